"""The project's learner under test-then-train."""

import numpy as np
import pytest

from mtspam.config import ModelSettings
from mtspam.evaluate.contract import LabelledBatch
from mtspam.evaluate.learner import EvaluatedLearner
from mtspam.types import Example, Features, Label, UserKey

SMALL = ModelSettings(shared_bits=10, personal_bits=10, group_bits=10, auxiliary_bits=10)
ANN, BOB = UserKey(b"a" * 16), UserKey(b"b" * 16)


def _batch(rows, **more):
    """Rows of feature, label, user, feedback."""
    words, labels, users, told = zip(*rows, strict=True)
    return LabelledBatch(
        features=Features.from_examples([Example((np.array([w], np.uint32),)) for w in words]),
        users=users,
        labels=labels,
        has_feedback=np.array(told, np.bool_),
        times=np.arange(len(rows)) * 10_000,
        **more,
    )


def _fresh():
    return EvaluatedLearner.fresh(SMALL, 1)


def test_one_batch_is_as_many_of_one():
    rows = [(w % 5, list(Label)[w % 4], (ANN, BOB)[w % 2], w % 3 > 0) for w in range(60)]
    many, one = _fresh(), _fresh()
    together = many.progress(_batch(rows, priors=np.linspace(-1, 1, 60)))
    for i, row in enumerate(rows):
        batch = _batch([row], priors=np.linspace(-1, 1, 60)[i : i + 1])
        batch = LabelledBatch(**{**_fields(batch), "times": np.array([i * 10_000])})
        alone = one.progress(batch)
        for column in ("shared", "personal", "blend", "probability"):
            assert getattr(alone, column)[0] == getattr(together, column)[i]
    assert together.blend.shape == (60,)


def _fields(batch):
    return {name: getattr(batch, name) for name in LabelledBatch.__dataclass_fields__}


def test_without_feedback_labels_are_not_read():
    learner = _fresh()
    learner.progress(_batch([(1, None, ANN, False)] * 5))
    assert learner.learner.n_events == 0


def test_predicting_teaches_nothing():
    learner = _fresh()
    learner.progress(_batch([(1, Label.SPAM, ANN, True), (2, Label.HAM, ANN, True)]))
    before = {name: array.copy() for name, array in learner.learner.arrays().items()}
    batch = _batch([(1, Label.HAM, ANN, True)])
    assert learner.predict(batch).blend == learner.predict(batch).blend
    for name, array in learner.learner.arrays().items():
        assert np.array_equal(array, before[name])


def test_phishing_is_spam_and_phishing():
    learner = _fresh()
    scores = learner.progress(_batch([(1, Label.PHISHING, ANN, True), (1, Label.HAM, ANN, False)]))
    assert learner.learner.n_events == 2
    assert scores.blend[0] == 0.0
    assert scores.blend[1] > 0.0


def test_bulk_says_nothing_about_spam():
    learner = _fresh()
    learner.progress(_batch([(1, Label.BULK, ANN, True)]))
    assert learner.learner.n_labels == 0
    assert learner.learner.n_events == 1


def test_levels():
    learner = _fresh()
    rows = [(1, Label.SPAM, ANN, True), (1, Label.HAM, BOB, True)] * 20
    learner.progress(_batch(rows))
    scores = learner.predict(_batch([(1, Label.HAM, ANN, True), (1, Label.HAM, BOB, True)]))
    assert scores.shared[0] == scores.shared[1]
    assert scores.personal[0] > 0.5
    assert scores.personal[1] < -0.5
    assert scores.blend == pytest.approx(scores.shared + scores.personal)


def test_a_starter_speaks_before_the_first_label():
    batch = _batch([(1, Label.SPAM, ANN, True)], priors=np.array([3.0]))
    assert _fresh().predict(batch).shared[0] > 0.5
    assert _fresh().progress(batch).shared[0] > 0.5
