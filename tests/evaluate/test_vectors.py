"""Inboxes of word counts: order, stages and means."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mtspam.errors import DataError
from mtspam.evaluate.figures import as_json
from mtspam.evaluate.tables import vectors_tables
from mtspam.evaluate.vectors import run_vectors
from mtspam.evaluate.wordcounts import WordCounts
from mtspam.types import Example, Label
from tests.reference.counting_learner import CountingLearner

HAM_WORD, SPAM_WORD = 1, 2


def _file(name, labels, turn=1, first=100):
    """Messages of one telling word and one of their own; -1 turns what the words tell."""
    examples = []
    for i, is_spam in enumerate(labels):
        word = SPAM_WORD if bool(is_spam) == (turn > 0) else HAM_WORD
        examples.append(Example((np.array([word, first + i], np.uint32),)))
    return WordCounts(
        Path(name), examples, [Label.SPAM if is_spam else Label.HAM for is_spam in labels]
    )


def _json(*args, **options):
    report = run_vectors(*args, **options)
    return json.loads(json.dumps(as_json(report), allow_nan=False))


def test_users_who_disagree_need_the_personal_level():
    inboxes = [
        _file("a", [0, 1] * 100, first=1000),
        _file("b", [0, 1] * 100, first=2000, turn=-1),
        _file("c", [0, 1] * 100, first=3000),
    ]
    report = _json([_file("t", [0, 1] * 10)], inboxes, CountingLearner(), seed=1)
    assert report["personal"]["auc_second_half"] > 0.99
    assert report["shared"]["auc_second_half"] < 0.8
    assert report["inboxes"][1]["shared"]["auc_all"] < 0.2
    assert report["personal"]["auc_first_50"] < report["personal"]["auc_second_half"]
    assert set(report["blend"]) == {"auc_all", "auc_first_50", "auc_second_half"}
    assert (report["n"], report["n_train"], report["n_inboxes"]) == (600, 20, 3)
    for level in ("shared", "personal", "blend"):
        for stage, mean in report[level].items():
            each = [inbox[level][stage] for inbox in report["inboxes"]]
            assert mean == pytest.approx(sum(each) / 3)


class Recording(CountingLearner):
    def __init__(self):
        super().__init__()
        self.seen = []

    def progress(self, batch):
        lasts = batch.features.values[batch.features.offsets[:, -1] - 1].tolist()
        self.seen += zip(batch.users, lasts, strict=True)
        assert batch.has_feedback.all()
        return super().progress(batch)


def test_inboxes_take_turns_in_shuffled_order():
    learner = Recording()
    run_vectors(
        [_file("t", [0, 1] * 5)], [_file("a", [0, 1] * 2), _file("b", [0, 1] * 4)], learner
    )
    train, mail = learner.seen[:10], learner.seen[10:]
    assert {user for user, _ in train} == {b""}
    assert sorted(word for _, word in train) == list(range(100, 110))
    assert [word for _, word in train] != list(range(100, 110))
    users = [user for user, _ in mail]
    first, second = users[0], users[1]
    assert users == [first, second] * 4 + [second] * 4
    assert all(len(user) == 16 for user in (first, second))
    assert sorted(word for user, word in mail if user == second) == list(range(100, 108))


def test_the_seed_sets_the_order():
    files = ([_file("t", [0, 1] * 50)], [_file("a", [0, 1] * 300)])
    seen = []
    for seed in (0, 0, 1):
        learner = Recording()
        run_vectors(*files, learner, seed=seed)
        seen.append(learner.seen)
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_stages_lie_within_an_inbox():
    # Shared knows all from training; the stages hold 50 and half of each inbox.
    report = run_vectors([_file("t", [0, 1] * 50)], [_file("a", [0, 1] * 30)], CountingLearner())
    assert (report.shared.auc_all, report.shared.auc_first_50) == (1.0, 1.0)


def test_a_stage_without_both_classes_does_not_count():
    files = [_file("a", [1] * 10), _file("b", [0, 1] * 100)]
    report = _json([_file("t", [0, 1] * 50)], files, CountingLearner())
    assert report["inboxes"][0]["shared"]["auc_all"] is None
    assert report["shared"]["auc_all"] == 1.0
    assert _json([], files[:1], CountingLearner())["blend"]["auc_first_50"] is None


def test_no_inbox():
    with pytest.raises(DataError, match="no inbox"):
        run_vectors([], [], CountingLearner())


def test_table():
    report = run_vectors([], [_file("a", [0, 1] * 30)], CountingLearner())
    console = Console(width=100, record=True, file=io.StringIO())
    for table in vectors_tables(report):
        console.print(table)
    text = console.export_text()
    assert f"{report.blend.auc_all:.4f}" in text
    assert "auc first 50" in text
