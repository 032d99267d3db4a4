"""Files of results: parts of Parquet joined in order, whole or not there."""

import polars as pl
import pytest

from mtspam.commands import targets
from mtspam.commands.targets import open_target
from mtspam.errors import DataError

SCHEMA = {"name": str, "score": float}


def write(path, n, size):
    with open_target(path, SCHEMA) as sink:
        for start in range(0, n, size):
            stop = min(n, start + size)
            sink(
                {
                    "name": [f"m{i}" for i in range(start, stop)],
                    "score": [i / 2 for i in range(start, stop)],
                }
            )


@pytest.mark.parametrize("n", [0, 5, 20, 21, 99])
def test_parts_are_joined_in_order(tmp_path, monkeypatch, n):
    monkeypatch.setattr(targets, "_PART_ROWS", 10)
    write(tmp_path / "a.parquet", n, 4)
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table.schema == {"name": pl.String, "score": pl.Float64}
    assert table["name"].to_list() == [f"m{i}" for i in range(n)]
    assert table["score"].to_list() == [i / 2 for i in range(n)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_PART_ROWS", 2)

    def fail():
        with open_target(tmp_path / "a.parquet", SCHEMA) as sink:
            sink({"name": ["a", "b", "c"], "score": [1.0, 2.0, 3.0]})
            assert len(list(tmp_path.iterdir())) == 2
            raise DataError("stop")

    with pytest.raises(DataError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_number_is_missing(tmp_path):
    with open_target(tmp_path / "a.parquet", SCHEMA) as sink:
        sink({"name": ["a", None], "score": [float("nan"), 1.0]})
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table.to_dict(as_series=False) == {"name": ["a", None], "score": [None, 1.0]}


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(DataError, match=r"gone/a\.csv: cannot be written"):
        write(tmp_path / "gone" / "a.csv", 3, 3)
