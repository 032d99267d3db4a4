from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.model.trunk import Trunk
from mtspam.ranking.training import train_both, train_trunk


def market_of_rows(table):
    return np.repeat(table.market, table.sizes)


def click_scores(trunk, table):
    return trunk.scores(table.values, market_of_rows(table)).click


def test_it_ranks_better_than_any_one_feature(tables, small, ndcg):
    trunk = train_trunk(tables(300, 1), small)
    unseen = tables(200, 2)
    best = max(ndcg(unseen, unseen.values[:, i]) for i in range(5))
    assert ndcg(unseen, click_scores(trunk, unseen)) > best + 0.02


def test_the_same_again(tables, small):
    table = tables(150, 1, market_sizes=(3, 1), conversion=True)
    assert train_trunk(table, small).texts == train_trunk(table, small).texts
    other = train_trunk(table, replace(small, seed=7))
    assert other.texts != train_trunk(table, small).texts


def test_it_serves_what_lightgbm_says(tables, small):
    table = tables(150, 1, conversion=True)
    trunk = train_trunk(table, small)
    scores = trunk.scores(table.values)
    theirs = lightgbm.Booster(model_str=trunk.texts["click", -1]).predict(table.values)
    assert np.array_equal(scores.click, theirs)
    wider = np.concatenate([table.values, theirs[:, None].astype(np.float32)], axis=1)
    with_clicks = lightgbm.Booster(model_str=trunk.texts["conversion", -1]).predict(wider)
    alone = lightgbm.Booster(model_str=trunk.texts["conversion alone", -1]).predict(table.values)
    assert np.array_equal(scores.conversion, (with_clicks + alone) * 0.5)


def test_a_small_market_among_large_ones(tables, small, ndcg):
    settings = replace(small, rounds=80, market_rounds=60)
    table = tables(700, 1, market_sizes=(20, 12, 3))
    unseen = tables(3000, 2, market_sizes=(20, 12, 3))
    chosen = unseen.take(np.flatnonzero(unseen.market == 2))
    alone = table.take(np.flatnonzero(table.market == 2))
    pooled = train_trunk(replace(table, market=np.zeros_like(table.market)), settings)
    both = ndcg(chosen, click_scores(train_trunk(table, settings), chosen))
    single = train_trunk(replace(alone, market=np.zeros_like(alone.market)), settings)
    assert both > ndcg(chosen, pooled.scores(chosen.values).click) + 0.01
    assert both > ndcg(chosen, single.scores(chosen.values).click) + 0.005


@pytest.mark.parametrize(("n", "n_unseen"), [(30, 0), (100, 50), (400, 150), (2000, 300)])
def test_enough_is_set_aside_to_tell_how_far_to_trust_the_trees(tables, small, n, n_unseen):
    trained = train_both(tables(n), replace(small, rounds=2))
    assert trained.n_unseen == n_unseen


def test_conversions_gain_from_clicks(tables, small, ndcg):
    table, unseen = tables(400, 1, conversion=True), tables(600, 2, conversion=True)
    joint = train_trunk(table, small).scores(unseen.values).conversion
    alone = train_trunk(replace(table, click=table.conversion), small).scores(unseen.values).click
    assert ndcg(unseen, joint, unseen.conversion) > ndcg(unseen, alone, unseen.conversion)


def test_more_never_ranks_lower_where_that_is_asked(tables, small):
    table = tables(200, 1)
    trunk = train_trunk(table, replace(small, increasing="a", decreasing="c"))
    rows = np.tile(table.values[:1], (50, 1))
    rows[:, 0] = np.linspace(-3, 3, 50)
    assert np.all(np.diff(trunk.scores(rows).click) >= 0)
    rows[:, 0], rows[:, 2] = 0, np.linspace(-3, 3, 50)
    assert np.all(np.diff(trunk.scores(rows).click) <= 0)
    with pytest.raises(DataError, match="both"):
        train_trunk(table, replace(small, increasing="a", decreasing="a"))


def test_places_are_owed_their_part(tables, small, ndcg):
    rng = np.random.default_rng(0)
    table = tables(800, 1)
    seen = rng.random(table.n_rows) < 0.8 ** table.position.astype(float)
    biased = replace(
        table.with_columns(["place"], (0.05 * table.position[:, None]).astype(np.float32)),
        click=(table.click * seen).astype(np.float32),
    )
    unseen = tables(400, 2)
    unseen = unseen.with_columns(["place"], np.zeros((unseen.n_rows, 1), np.float32))
    plain = train_trunk(biased.only_columns(unseen.columns[:5]), small)
    trunk = train_trunk(biased.only_columns(unseen.columns[:5]), replace(small, unbiased=True))
    narrow = unseen.only_columns(unseen.columns[:5])
    assert ndcg(narrow, trunk.scores(narrow.values).click) > 0.9 * ndcg(
        narrow, plain.scores(narrow.values).click
    )
    assert trunk.texts != plain.texts


def test_large_categories_become_small_ones(tables, small):
    table = tables(200, 1)
    large = table.values.copy()
    large[:, 4] = large[:, 4] * 2.0**20 + 2.0**21
    plain = train_trunk(table, small).scores(table.values).click
    trunk = train_trunk(replace(table, values=large), small)
    assert np.array_equal(trunk.scores(large).click, plain)
    unknown = large.copy()
    unknown[:, 4] = 12345.0
    missing = large.copy()
    missing[:, 4] = np.nan
    assert np.array_equal(trunk.scores(unknown).click, trunk.scores(missing).click)


def test_there_and_back(tables, small):
    table = tables(150, 1, market_sizes=(3, 1), conversion=True)
    trunk = train_trunk(table, small)
    again = Trunk.from_arrays(trunk.header(), trunk.arrays())
    ours, theirs = (one.scores(table.values, 1) for one in (trunk, again))
    assert np.array_equal(ours.click, theirs.click)
    assert np.array_equal(ours.conversion, theirs.conversion)
    assert again.columns == table.columns
    assert (again.market_of("m1"), again.market_of("else")) == (1, -1)


def test_nothing_to_learn_is_said(tables, small):
    table = tables(30, 1)
    with pytest.raises(DataError, match="nothing to learn"):
        train_trunk(replace(table, click=np.ones_like(table.click)), small)
    with pytest.raises(DataError, match="grades"):
        train_trunk(replace(table, click=table.click - 1.0), small)


def test_queries_without_candidates_are_passed_over(tables, small):
    table = tables(60, 1)
    offsets = np.sort(np.concatenate([table.offsets, table.offsets[[0, 5, 60]]]))
    gaps = replace(
        table,
        offsets=offsets,
        **{
            name: np.concatenate([getattr(table, name), getattr(table, name)[:3]])
            for name in ("user", "market", "time")
        },
    )
    assert train_trunk(gaps, small).texts["click", -1]
