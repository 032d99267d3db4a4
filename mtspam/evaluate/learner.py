"""The project's own learner as evaluation sees it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mtspam.config import ModelSettings
from mtspam.evaluate.contract import LabelledBatch, Scores
from mtspam.model import Batch, Learner
from mtspam.model import Scores as ModelScores
from mtspam.model.batch import KINDS, NO_LABEL
from mtspam.types import Features, Label, LabelKind

__all__ = ["EvaluatedLearner"]

_MAIN = KINDS.index(LabelKind.SPAM)
_ANSWERS: dict[Label, tuple[tuple[int, int], ...]] = {
    Label.HAM: ((_MAIN, 0),),
    Label.SPAM: ((_MAIN, 1),),
    Label.PHISHING: ((_MAIN, 1), (KINDS.index(LabelKind.PHISHING), 1)),
    Label.BULK: ((KINDS.index(LabelKind.BULK), 1),),
}
"""Which questions a label answers: index of the kind, and yes or no."""


@dataclass(slots=True)
class EvaluatedLearner:
    """A `Learner` as evaluation wants it: batches of labels in, columns of scores out.

    *Phishing* answers two questions, so such a message is learnt twice in a row; its scores are
    those from before the first.

    Parameters
    ----------
    learner
        Changed by what is learnt.
    """

    learner: Learner

    @classmethod
    def fresh(cls, settings: ModelSettings, n_views: int) -> Self:
        """Begin with an empty model."""
        return cls(Learner(settings, n_views))

    def predict(self, batch: LabelledBatch) -> Scores:
        """Score all messages by what is learnt so far; learn nothing."""
        scores = self.learner.predict_many(
            Batch(features=batch.features, users=batch.users, priors=batch.priors)
        )
        return _columns(scores, np.arange(len(batch)))

    def progress(self, batch: LabelledBatch) -> Scores:
        """Score each message by what is learnt before it, then learn it if it has feedback."""
        answers = [
            _ANSWERS[label] if is_told else ((_MAIN, NO_LABEL),)
            for label, is_told in zip(batch.labels, batch.has_feedback.tolist(), strict=True)
        ]
        counts = np.array([len(answer) for answer in answers], np.int64)
        rows = np.repeat(np.arange(len(batch)), counts)
        kinds, values = (
            np.array([pair for answer in answers for pair in answer], np.int8).reshape(-1, 2).T
        )
        scores = self.learner.learn_many(
            Batch(
                features=Features(batch.features.values, batch.features.offsets[rows]),
                users=[batch.users[row] for row in rows.tolist()],
                values=values,
                kinds=kinds,
                times=batch.times[rows],
                priors=None if batch.priors is None else batch.priors[rows],
            )
        )
        return _columns(scores, np.cumsum(counts) - counts)


def _columns(scores: ModelScores, firsts: NDArray[np.int64]) -> Scores:
    return Scores(
        shared=scores.shared[firsts],
        personal=scores.personal[firsts],
        blend=scores.blend[firsts],
        probability=scores.probability[firsts],
    )
