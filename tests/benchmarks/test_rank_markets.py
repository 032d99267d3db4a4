"""Purchases that pass: what is asked, of whom, and what is known by then."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from rank_corpora import Purchases
from rank_market_tasks import MarketPlan, rank_markets, rank_small_market
from rank_markets import Question, Shop, Teaching, join, passed

from mtspam.config import RankingSettings

ITEMS = [f"x{n}" for n in range(60)]


def purchases(n_users=40):
    generator = np.random.default_rng(0)
    rows = []
    for market in ("s3", "t1"):
        for user in range(n_users):
            half = ITEMS[:30] if user % 2 else ITEMS[30:]
            rows += [
                (f"{market}{user}", half[n], market)
                for n in generator.permutation(30)[:8].tolist()
            ]
    frame = pl.DataFrame(rows, schema=["user", "item", "market"], orient="row")
    last = frame.filter(pl.col("market") == "t1").unique("user", keep="last", maintain_order=True)
    bought = frame.join(last, on=["user", "item"], how="anti", maintain_order="left")
    runs = [(user, ITEMS, item) for user, item, _ in last.iter_rows()]
    return Purchases(bought, bought, runs)


@pytest.fixture(scope="module")
def plan():
    return MarketPlan(
        n_taught=60,
        n_tested=20,
        n_users=None,
        small_users=12,
        small_seeds=1,
        small_markets=("t1",),
        rounds=5,
        settings=RankingSettings(rounds=10, threads=1),
        seed=0,
    )


def teaching(made):
    pairs = {}
    for user, item, market in made.taught.iter_rows():
        pairs.setdefault(market, set()).add((user, item))
    return Teaching(taught=pairs, n_taught=30, shop=Shop(made.bought, dict.fromkeys(pairs, ITEMS)))


def test_a_purchase_is_asked_for_before_it_is_told():
    made = purchases()
    tested = [Question(user, "t1", listed, right) for user, listed, right in made.runs]
    train, test = passed(made.bought, teaching(made), tested, seed=1)
    assert train.n_queries == 60
    assert train.click.sum() == 60
    assert test.n_queries == len(made.runs)
    seen = train.column("history clicks you")
    assert not seen[train.click > 0].any()  # nobody has bought what they are asked for
    assert (np.diff(train.time) > 0).all()
    assert train.time.min() > 0.5 * test.time[0]
    assert set(train.markets) == {"s3", "t1"}


def test_without_names_there_is_one_market():
    made = purchases()
    tested = [Question(user, "t1", listed, right) for user, listed, right in made.runs]
    train, test = passed(made.bought, teaching(made), tested, seed=1, names_markets=False)
    assert train.markets == test.markets == ()
    assert (train.market == -1).all()
    assert not train.column("history together market cosine").any()
    assert train.column("history together everyone cosine").any()


def test_joined_tables_name_markets_once():
    made = purchases()
    tested = [Question(user, "t1", listed, right) for user, listed, right in made.runs]
    _, test = passed(made.bought, teaching(made), tested, seed=1)
    other = replace(
        test, markets=("t1", "s3"), market=np.where(test.market == 1, 0, 1).astype("i4")
    )
    both = join([test, other])
    names = [both.markets[place] for place in both.market.tolist()]
    assert names == ["t1"] * both.n_queries
    assert both.n_rows == 2 * test.n_rows


def test_markets_are_compared_on_the_same_questions(plan):
    for peer in ("xgboost", "catboost"):
        pytest.importorskip(peer, reason="the peers are a bench extra")
    found = rank_markets(purchases(), plan)
    figures = {(row.split, row.name): row for row in found.rows}
    assert figures["market t1", "mtspam, all markets"].n_queries == 40
    assert figures["market s3", "mtspam, own market"].n_queries == 20
    popular = figures["all", "popularity, all markets"].ndcg_at_10.value
    assert figures["all", "mtspam, all markets"].ndcg_at_10.value > popular
    gap = next(gap for gap in found.gaps if gap.split == "market t1")
    ours, own = (
        figures["market t1", f"mtspam, {name}"].ndcg_at_10.value
        for name in ("all markets", "own market")
    )
    assert gap.value == pytest.approx(ours - own)
    assert {gap.split for gap in found.gaps} == {"market s3", "market t1"}


def test_a_small_market_has_three_rows_and_two_gaps(plan):
    found = rank_small_market(purchases(), plan)
    whole = {row.name: row.n_queries for row in found.rows if row.split == "all"}
    assert whole == {"alone": 12, "pooled": 12, "mtspam": 12}
    assert [gap.what for gap in found.gaps] == ["mtspam over alone", "mtspam over pooled"]
