"""The table that rankers learn from: its checks, its parts."""

from dataclasses import replace

import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.search.features import FeatureTable


def _table() -> FeatureTable:
    return FeatureTable(
        columns=("a", "b"),
        values=np.arange(10, dtype=np.float32).reshape(5, 2),
        offsets=np.array([0, 2, 5]),
        items=np.arange(5, dtype=np.uint64),
        position=np.zeros(5, np.int32),
        click=np.zeros(5, np.float32),
        conversion=np.zeros(5, np.float32),
        user=np.zeros(2, np.uint64),
        market=np.full(2, -1, np.int32),
        time=np.array([5, 3]),
        categorical=("b",),
    )


def test_the_latest_queries_are_held_out_whole() -> None:
    early, late = _table().split_by_time(0.5)
    assert early.values.tolist() == [[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]
    assert late.values.tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert (early.sizes.tolist(), late.query_of_row.tolist()) == ([3], [0, 0])


def test_columns_are_added_and_chosen_by_name() -> None:
    wider = _table().with_columns(["c"], np.ones((5, 1), np.float32))
    assert wider.only_columns(["c", "a"]).values[:, 0].tolist() == [1.0] * 5
    assert wider.only_columns(["a"]).categorical == ()
    with pytest.raises(DataError, match="no column 'z'"):
        wider.column("z")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"columns": ("a", "a")}, "stands twice"),
        ({"categorical": ("z",)}, "not among"),
        ({"offsets": np.array([0, 3, 2])}, "offsets must rise"),
        ({"click": np.zeros(4, np.float32)}, "click must be"),
        ({"market": np.array([0, -1], np.int32)}, "market's index"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        replace(_table(), **change)
