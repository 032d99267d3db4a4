"""Files of an evaluation: whole or not at all."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mtspam.errors import DataError
from mtspam.evaluate.contract import Scores
from mtspam.evaluate.index import read_index
from mtspam.evaluate.outputs import replacing, write_json, write_scores
from mtspam.evaluate.progressive import Run


@pytest.fixture
def run(tmp_path):
    index = tmp_path / "index"
    index.write_bytes(b"ham a ann\nSpam caf\xe9\nphishing c\n")
    values = np.array([-1.5, 0.25, 3.0])
    return Run(
        entries=read_index(index),
        is_spam=np.array([False, True, True]),
        has_feedback=np.array([True, False, True]),
        scores=Scores(shared=values, personal=values, blend=values, probability=values / 10 + 0.5),
        score_per_second=1.0,
        learn_per_second=1.0,
    )


def test_scores_table(tmp_path, run):
    path = tmp_path / "scores.parquet"
    write_scores(run, path)
    assert pl.read_parquet(path).to_dict(as_series=False) == {
        "path": ["a", "caf\\udce9", "c"],
        "label": ["ham", "spam", "phishing"],
        "user": ["ann", None, None],
        "score": [-1.5, 0.25, 3.0],
        "probability": pytest.approx([0.35, 0.525, 0.8]),
        "feedback": [True, False, True],
    }


def test_json(tmp_path):
    path = tmp_path / "report.json"
    write_json({"a": [1.5, None, "é"]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1.5, None, "é"]}


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")

    def fail():
        with replacing(path) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_has_the_usual_mode(tmp_path):
    usual = tmp_path / "usual"
    usual.write_text("")
    write_json(None, tmp_path / "report.json")
    assert (tmp_path / "report.json").stat().st_mode == usual.stat().st_mode


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_json(1, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "1\n"


@pytest.mark.parametrize("name", ["gone/report.json", "."])
def test_where_nothing_can_be_written(tmp_path, run, name):
    with pytest.raises(DataError, match="cannot be written"):
        write_json({}, tmp_path / name)
    with pytest.raises(DataError, match="cannot be written"):
        write_scores(run, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_full_disk(run):
    with pytest.raises(DataError, match=r"/dev/full: cannot be written: No space left"):
        write_json({"a": "b" * 100_000}, Path("/dev/full"))
    with pytest.raises(DataError, match=r"/dev/full: cannot be written"):
        write_scores(run, Path("/dev/full"))
