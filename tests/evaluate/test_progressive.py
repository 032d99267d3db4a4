"""Test, then train: what is learnt when, and what counts."""

import math

import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.evaluate.contract import MailPreparer, Scores
from mtspam.evaluate.corpus import Corpus
from mtspam.evaluate.index import read_index
from mtspam.evaluate.progressive import run_progressive
from mtspam.types import Example, Features, UserKey
from tests.reference.counting_learner import CountingLearner


def _extract(raws):
    letters = [np.unique(np.frombuffer(raw, np.uint8)).astype(np.uint32) for raw in raws]
    return Features.from_examples([Example((view,)) for view in letters]), None


PREPARE = MailPreparer(extract=_extract, user_key=lambda user: UserKey(user.encode()))


def _run(tmp_path, lines, learner=None, **options):
    """Run over an index whose messages hold the last letter of their path."""
    index = tmp_path / "index"
    index.write_text("\n".join(lines))
    entries = read_index(index)
    for entry in entries:
        (tmp_path / entry.path).write_bytes(entry.path[-1].encode())
    with Corpus(index, entries) as corpus:
        return run_progressive(corpus, learner or CountingLearner(), PREPARE, **options)


def test_a_message_is_scored_before_it_teaches(tmp_path):
    run = _run(tmp_path, ["spam 1s ann", "spam 2s bob", "ham 3h ann", "ham 4h", "spam 5s ann"])
    # Counts start at one: the second message has seen one spam with an s, the last one two; the
    # second ham has seen one ham with an h.
    expected = [0, math.log(2 / 1), 0, math.log(1 / 2), math.log(3 / 1)]
    assert run.scores.shared.tolist() == pytest.approx(expected)
    # Ann's own counts hold one of those two spams.
    assert run.scores.personal.tolist() == pytest.approx([0, 0, 0, 0, math.log(2)])
    assert run.is_spam.tolist() == [True, True, False, False, True]
    assert run.has_feedback.all()


def test_without_feedback_nothing_is_learnt(tmp_path):
    learner = CountingLearner()
    run = _run(tmp_path, ["spam 1s", "Spam 2s", "Spam 3s"], learner)
    assert learner.n_learnt == 1
    assert run.scores.shared.tolist() == pytest.approx([0, math.log(2), math.log(2)])
    assert run.has_feedback.tolist() == [True, False, False]


def test_late_feedback_teaches_when_it_comes_and_counts_once(tmp_path):
    run = _run(tmp_path, ["Spam 1s", "Spam 2s", "SPAM 1s", "Spam 3s"])
    assert [entry.path for entry in run.entries] == ["1s", "2s", "3s"]
    assert run.scores.shared.tolist() == pytest.approx([0, 0, math.log(2)])
    assert run.has_feedback.tolist() == [True, False, False]


def test_bulk_does_not_count(tmp_path):
    run = _run(tmp_path, ["spam 1s", "bulk 2s", "phishing 3s"])
    assert [entry.path for entry in run.entries] == ["1s", "3s"]
    assert run.is_spam.tolist() == [True, True]


def test_no_learning(tmp_path):
    learner = CountingLearner()
    run = _run(tmp_path, ["spam 1s", "spam 2s"], learner, is_learning=False)
    assert learner.n_learnt == 0
    assert run.scores.shared.tolist() == [0, 0]
    assert not run.has_feedback.any()
    assert run.score_per_second > 0
    assert math.isnan(run.learn_per_second)


@pytest.mark.parametrize("n", [1, 256, 257, 600, 1500])
def test_batches_change_nothing_and_are_reported(tmp_path, n):
    lines = [f"{'spam' if i % 3 else 'ham'} {i}{'ab'[i % 2]}" for i in range(n)]
    done = []
    run = _run(tmp_path, lines, on_batch=done.append)
    assert done == sorted({*range(256, n, 256), n})
    expected = CountingLearner()
    one_by_one = []
    for entry in run.entries:
        message = type("Message", (), {"entry": entry, "raw": entry.path[-1].encode()})
        one_by_one.append(expected.progress(PREPARE([message])).blend[0])
    assert run.scores.blend.tolist() == one_by_one
    assert run.score_per_second > 0
    assert run.learn_per_second > 0


def test_times_and_users_reach_the_learner(tmp_path):
    seen = []

    class Watching(CountingLearner):
        def progress(self, batch):
            seen.append((batch.times.tolist(), list(batch.users)))
            return super().progress(batch)

    _run(tmp_path, ["spam 1s ann 993467899", "ham 2h"], Watching())
    assert seen == [([993467899, 0], [b"ann", b""])]


def test_a_learner_that_leaves_out_messages_is_caught(tmp_path):
    class Short(CountingLearner):
        def progress(self, batch):
            scores = super().progress(batch)
            return Scores(
                shared=scores.shared[1:],
                personal=scores.personal,
                blend=scores.blend,
                probability=scores.probability,
            )

    with pytest.raises(DataError, match="1 scores for 2 messages"):
        _run(tmp_path, ["spam 1s", "ham 2h"], Short())
