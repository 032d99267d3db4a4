"""Figures of orders: whole, by history, by market; and the picture of them."""

from pathlib import Path

import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.evaluate.ranking import earlier_queries, rank_rows
from mtspam.evaluate.rankingplot import plot_ranking
from mtspam.metrics.ranking import EmptyQueries
from mtspam.search.features import FeatureTable


def _table() -> FeatureTable:
    return FeatureTable(
        columns=("x",),
        values=np.zeros((8, 1), np.float32),
        offsets=np.array([0, 2, 4, 6, 8]),
        items=np.arange(8, dtype=np.uint64),
        position=np.tile(np.arange(2, dtype=np.int32), 4),
        click=np.array([1, 0, 0, 1, 0, 0, 0, 1], np.float32),
        conversion=np.full(8, np.nan, np.float32),
        user=np.array([7, 0, 7, 7], np.uint64),
        market=np.array([0, 1, 0, 1], np.int32),
        time=np.array([30, 0, 10, 20]),
        markets=("north", "south"),
    )


def test_earlier_queries_count_by_time_and_not_for_nobody() -> None:
    assert earlier_queries(_table()).tolist() == [2, 0, 0, 1]


def test_rows_are_split_by_history_and_market() -> None:
    table = _table()
    host = -table.position.astype(np.float64)
    rows = rank_rows(
        table, {"host": host, "truth": table.click.astype(float)}, earlier_queries(table)
    )
    found = {(row.name, row.split): row for row in rows}
    assert {split for _, split in found} == {
        "all",
        "history 0",
        "history 1-2",
        "ranking 1",
        "ranking 2",
        "ranking 3",
        "market north",
        "market south",
    }
    second_place = 1.0 / np.log2(3.0)
    whole = found["host", "all"]
    assert whole.n_queries == 3
    assert whole.ndcg_at_10.value == pytest.approx((1.0 + 2 * second_place) / 3.0)
    assert whole.mrr.value == pytest.approx((1.0 + 0.5 + 0.5) / 3.0)
    assert whole.ndcg_at_10.low <= whole.ndcg_at_10.value <= whole.ndcg_at_10.high
    assert found["truth", "all"].ndcg_at_10.value == 1.0
    assert found["host", "market south"].ndcg_at_10.value == pytest.approx(second_place)


def test_the_rule_for_queries_without_anything_relevant_moves_the_mean() -> None:
    table = _table()
    scores = {"truth": table.click.astype(np.float64)}
    earlier = earlier_queries(table)
    means = {
        rule: rank_rows(table, scores, earlier, empty=rule)[0].ndcg_at_10.value
        for rule in EmptyQueries
    }
    assert means == {EmptyQueries.SKIP: 1.0, EmptyQueries.ZERO: 0.75, EmptyQueries.ONE: 1.0}


def test_a_picture_is_the_same_for_the_same_rows(tmp_path: Path) -> None:
    table = _table()
    rows = rank_rows(table, {"host": -table.position.astype(np.float64)}, earlier_queries(table))
    for name in ("one.svg", "two.svg"):
        plot_ranking(rows, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    with pytest.raises(DataError, match="a plot ends in"):
        plot_ranking(rows, tmp_path / "three.txt")
    with pytest.raises(DataError, match="no ranking names a user"):
        plot_ranking([row for row in rows if row.split == "all"], tmp_path / "four.svg")
