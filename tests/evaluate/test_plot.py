"""ROC and learning curve as a file."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.evaluate.contract import Scores
from mtspam.evaluate.figures import sigmoid
from mtspam.evaluate.plot import plot_mail
from mtspam.evaluate.progressive import Run
from mtspam.evaluate.report import mail_report


def _run(n, is_spam=None):
    generator = np.random.default_rng(1)
    truth = generator.random(n) < 0.5 if is_spam is None else np.full(n, is_spam)
    shared = generator.normal(size=n) + 3 * truth - 1.5
    blend = shared * 2
    return Run(
        entries=[],
        is_spam=truth,
        has_feedback=np.ones(n, np.bool_),
        scores=Scores(
            shared=shared, personal=np.zeros(n), blend=blend, probability=sigmoid(blend)
        ),
        score_per_second=1.0,
        learn_per_second=1.0,
    )


def _plot(run, path):
    plot_mail(run, mail_report(run, n_resamples=2), path)
    return path.read_bytes()


def test_svg_is_small_and_repeats(tmp_path):
    run = _run(20_000)
    content = _plot(run, tmp_path / "a.svg")
    assert ET.fromstring(content).tag.endswith("svg")
    assert len(content) < 300_000
    assert content == _plot(run, tmp_path / "b.svg")


def test_other_kinds(tmp_path):
    run = _run(100)
    assert _plot(run, tmp_path / "a.png").startswith(b"\x89PNG")
    assert _plot(run, tmp_path / "a.PDF").startswith(b"%PDF")


@pytest.mark.parametrize("run", [_run(0), _run(5, is_spam=True), _run(1)])
def test_nothing_to_draw_is_still_a_picture(tmp_path, run):
    assert ET.fromstring(_plot(run, tmp_path / "a.svg")).tag.endswith("svg")


def test_unknown_kind(tmp_path):
    run = _run(5)
    with pytest.raises(DataError, match=r"a\.txt: a plot ends in \.svg, \.png, \.pdf"):
        _plot(run, tmp_path / "a.txt")


def test_where_nothing_can_be_written(tmp_path):
    run = _run(5)
    with pytest.raises(DataError, match="cannot be written"):
        _plot(run, tmp_path / "gone" / "a.svg")
