"""A small learner in plain Python, shared and personal, that evaluation is tested with."""

import math
from collections import defaultdict

import numpy as np

from mtspam.evaluate.contract import LabelledBatch, Scores
from mtspam.types import Label


class CountingLearner:
    """Log-ratios of smoothed counts for everybody and for each user; the blend is their sum."""

    def __init__(self):
        self.counts = defaultdict(lambda: [1.0, 1.0])
        self.n_learnt = 0

    def predict(self, batch: LabelledBatch) -> Scores:
        return _columns(
            [
                self._score(example, user)
                for example, user in zip(_examples(batch), batch.users, strict=True)
            ]
        )

    def progress(self, batch: LabelledBatch) -> Scores:
        rows = []
        for i, (example, user) in enumerate(zip(_examples(batch), batch.users, strict=True)):
            rows.append(self._score(example, user))
            if batch.has_feedback[i]:
                self._learn(example, user, batch.labels[i])
        return _columns(rows)

    def _score(self, example, user):
        shared = sum(self._weight(b"", f) for f in example)
        personal = sum(self._weight(user, f) for f in example)
        return shared, personal if user else 0.0

    def _weight(self, user, feature):
        ham, spam = self.counts.get((user, feature), (1.0, 1.0))
        return math.log(spam / ham)

    def _learn(self, example, user, label):
        self.n_learnt += 1
        for feature in example:
            for key in {b"", user}:
                self.counts[key, feature][label is not Label.HAM] += 1.0


def _examples(batch):
    """The features of each message, all views together."""
    values, offsets = batch.features.values.tolist(), batch.features.offsets
    return [values[start:end] for start, end in offsets[:, [0, -1]].tolist()]


def _columns(rows):
    shared, personal = np.array(rows, np.float64).reshape(-1, 2).T
    blend = shared + personal
    return Scores(
        shared=shared,
        personal=personal,
        blend=blend,
        probability=1.0 / (1.0 + np.exp(-np.clip(blend, -50, 50))),
    )
