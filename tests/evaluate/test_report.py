"""The report: names, values, and null for what is undefined."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from mtspam.evaluate.contract import Scores
from mtspam.evaluate.figures import as_json, figures, sigmoid
from mtspam.evaluate.index import Feedback, IndexEntry
from mtspam.evaluate.progressive import Run
from mtspam.evaluate.report import mail_report
from mtspam.evaluate.tables import mail_tables
from mtspam.types import Label


def _run(is_spam, blend, feedback=None, users=None, shared=None):
    blend = np.array(blend, np.float64)
    users = users or [None] * len(is_spam)
    entries = [
        IndexEntry(
            line=i + 1,
            path=f"m{i}",
            label=Label.SPAM if truth else Label.HAM,
            feedback=Feedback.AT_ONCE,
            user=user,
            time=None,
        )
        for i, (truth, user) in enumerate(zip(is_spam, users, strict=True))
    ]
    return Run(
        entries=entries,
        is_spam=np.array(is_spam, np.bool_),
        has_feedback=np.array(feedback or [True] * len(is_spam), np.bool_),
        scores=Scores(
            shared=blend if shared is None else np.array(shared, np.float64),
            personal=np.zeros(blend.size),
            blend=blend,
            probability=sigmoid(blend),
        ),
        score_per_second=10.0,
        learn_per_second=math.nan,
    )


RUN = _run(
    [False, False, True, True, True, False],
    [-2, 1, 3, -1, 2, -3],
    feedback=[True, True, True, False, False, False],
    users=["ann", "ann", "ann", "bob", None, "bob"],
    shared=[2, 1, 0, -1, -2, 3],
)


def _json(run, **options):
    # Through text, so that whatever json.dumps cannot write fails here.
    return json.loads(json.dumps(as_json(mail_report(run, **options)), allow_nan=False))


def test_overall():
    report = _json(RUN)
    assert (report["n"], report["n_ham"], report["n_spam"]) == (6, 3, 3)
    # Nine pairs; only the spam at -1 against the ham at 1 is wrong.
    assert report["one_minus_roca_percent"] == pytest.approx(100 / 9)
    assert report["error_percent"] == pytest.approx(100 * 2 / 6)
    assert report["hm_percent"] == pytest.approx(100 / 3)
    assert report["sm_percent"] == pytest.approx(100 / 3)
    assert report["lam_percent"] == pytest.approx(100 * 1.5 / 4)
    for limit in ("0_01", "0_1", "1"):
        assert report[f"sm_at_hm_{limit}_percent"] == pytest.approx(100 / 3)
    losses = [math.log1p(math.exp(-z)) for z in (2, -1, 3, -1, 2, 3)]
    assert report["logloss"] == pytest.approx(sum(losses) / 6)
    assert 0 < report["calibration_error"] < 1
    interval = report["one_minus_roca_percent_interval"]
    assert 0 <= interval["low"] <= 100 / 9 <= interval["high"]
    assert report["score_per_second"] == 10.0
    assert report["learn_per_second"] is None


def test_levels():
    levels = _json(RUN)["levels"]
    assert list(levels) == ["shared", "personal", "blend"]
    # Shared: every ham lies above every spam. Personal: all are tied.
    assert levels["shared"]["one_minus_roca_percent"] == 100
    assert levels["personal"]["one_minus_roca_percent"] == 50
    assert levels["blend"]["one_minus_roca_percent"] == pytest.approx(100 / 9)
    assert levels["shared"]["error_percent"] == 100
    assert levels["personal"]["logloss"] == pytest.approx(math.log(2))


def test_no_feedback():
    silent = _json(RUN)["no_feedback"]
    assert (silent["n"], silent["n_ham"], silent["n_spam"]) == (3, 1, 2)
    assert silent["one_minus_roca_percent"] == 0
    assert silent["error_percent"] == pytest.approx(100 / 3)
    assert _json(_run([True, False], [1, 0]))["no_feedback"] is None


def test_one_class_gives_null():
    report = _json(_run([True, True], [1, -1]))
    assert report["one_minus_roca_percent"] is None
    assert report["one_minus_roca_percent_interval"] == {"low": None, "high": None}
    assert report["hm_percent"] is None
    assert report["lam_percent"] is None
    assert report["sm_at_hm_0_1_percent"] is None
    assert report["sm_percent"] == 50
    assert report["levels"]["shared"]["one_minus_roca_percent"] is None


def test_no_message_counts():
    report = _json(_run([], []))
    assert report["n"] == 0
    assert report["error_percent"] is None
    assert report["learning_curve"] == []
    assert report["per_user"] == []


def test_learning_curve():
    is_spam = [i % 2 == 0 for i in range(1001)]
    # Wrong on the first hundred, right from then on.
    scores = [(1 if truth else -1) * (-1 if i < 100 else 1) for i, truth in enumerate(is_spam)]
    curve = _json(_run(is_spam, scores))["learning_curve"]
    assert len(curve) == 50
    assert curve[-1]["position"] == 1001
    assert curve[0]["error_percent"] == 100
    assert curve[-1]["error_percent"] == 0
    assert sum(point["n_ham"] + point["n_spam"] for point in curve) == 1001
    # The area is over all messages so far, the first hundred among them.
    n_ham, n_spam = 500, 501
    right = (n_ham - 50) * (n_spam - 50)
    tied = 50 * (n_spam - 50) + 50 * (n_ham - 50)
    expected = 100 * (1 - (right + tied / 2) / (n_ham * n_spam))
    assert curve[-1]["one_minus_roca_percent"] == pytest.approx(expected)
    assert len(_json(_run([True, False, True], [1, 2, 3]))["learning_curve"]) == 3


def test_the_table_of_the_learning_curve_counts_every_error():
    is_spam = [i % 4 == 0 for i in range(1000)]
    # One spam in ten is missed, and never within the last of the points that a row joins.
    missed = [truth and i % 40 == 0 and i % 100 < 80 for i, truth in enumerate(is_spam)]
    scores = [1 if truth and not miss else -1 for truth, miss in zip(is_spam, missed, strict=True)]
    console = Console(file=io.StringIO(), width=100)
    console.print(mail_tables(mail_report(_run(is_spam, scores)))[1])
    rows = [
        [float(cell.replace(",", "")) for cell in line.split("│")[1:-1]]
        for line in console.file.getvalue().splitlines()
        if line.startswith("│")
    ]
    assert [row[0] for row in rows] == [100.0 * (i + 1) for i in range(10)]
    assert sum(row[1] for row in rows) == sum(missed)
    assert all(row[2] == 0 for row in rows)
    assert sum(row[3] for row in rows) == pytest.approx(sum(missed) * 100 / 25)


def test_per_user():
    users = _json(RUN)["per_user"]
    assert [(user["user"], user["n"]) for user in users] == [("ann", 3), ("bob", 2), (None, 1)]
    assert users[0]["error_percent"] == pytest.approx(100 / 3)
    assert users[0]["one_minus_roca_percent"] == 0
    assert users[2]["one_minus_roca_percent"] is None


def test_the_seed_repeats():
    generator = np.random.default_rng(1)
    is_spam = generator.random(200) < 0.5
    run = _run(is_spam.tolist(), generator.normal(size=200) + is_spam)
    assert _json(run, seed=3) == _json(run, seed=3)
    interval = "one_minus_roca_percent_interval"
    assert _json(run, seed=3)[interval] != _json(run, seed=4)[interval]


def test_sigmoid_takes_any_log_odds():
    values = sigmoid(np.array([-np.inf, -1e300, 0.0, 1e300, np.inf]))
    assert values.tolist() == pytest.approx([0, 0, 0.5, 1, 1])


def test_endless_scores_are_measured():
    report = as_json(figures(np.array([False, True]), np.array([-np.inf, np.inf])))
    assert isinstance(report, dict)
    assert report["one_minus_roca_percent"] == 0


def test_names_that_are_no_utf8():
    assert as_json("caf\udce9") == "caf\\udce9"


def test_what_no_report_holds():
    with pytest.raises(TypeError, match="no report holds a set"):
        as_json({1, 2})


def test_tables_show_the_figures():
    many = _run(
        [i % 2 == 0 for i in range(90)], range(90), users=[f"u{i % 30}" for i in range(90)]
    )
    for run, words in [
        (RUN, ["11.1111", "no feedback", "ann", "(nobody)", "–"]),
        (_run([], []), ["0 messages"]),
        (_run([True], [1], users=["[red]\x1b[2Jx"]), ["[red]\N{REPLACEMENT CHARACTER}[2Jx"]),
        (many, ["and 10 more"]),
    ]:
        console = Console(width=120, record=True, file=io.StringIO())
        for table in mail_tables(mail_report(run, n_resamples=5)):
            console.print(table)
        text = console.export_text()
        assert [word for word in words if word not in text] == []
