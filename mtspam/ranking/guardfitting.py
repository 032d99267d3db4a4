"""Fitting the guard when trees are grown: weights from rankings that the trees have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.metrics.ranking import ndcg
from mtspam.ranking.guard import Guard

__all__ = ["GuardLesson", "fit_guard"]

_LEAST_LESSONS = 50
"""Fewer rankings than this cannot tell one weighting from another."""
_RIDGE = 1.0
_BUCKET_RIDGE = 10.0
"""What a bucket adds to everybody's weights is held back harder: each has less evidence."""
_MOST_STEPS = 25
_SMALL_STEP = 1e-4
_SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class GuardLesson:
    """A ranking of which all clicks are in.

    Parameters
    ----------
    inputs
        What was mixed, shape ``(n, 6)``.
    is_clicked
        Shape ``(n,)``.
    bucket
        Evidence of the user.
    """

    inputs: NDArray[np.float64]
    is_clicked: NDArray[np.bool_]
    bucket: int


def fit_guard(guard: Guard, lessons: Sequence[GuardLesson]) -> None:
    """Set the guard's weights to what orders the lessons best; with too few they stay.

    Weights are found by pairwise logistic regression, drawn towards the trees. How far to
    go there is then told by nDCG, which the trees were grown for and the regression was not: the
    trees and the host stand as candidates, each with hardly anything beside it, so that a part
    that does not help is left.

    Parameters
    ----------
    guard
        Changed.
    lessons
        Rankings that taught neither the trees nor the personal part before they were seen.
    """
    useful = [one for one in lessons if one.is_clicked.any() and not one.is_clicked.all()]
    if len(useful) < _LEAST_LESSONS:
        return
    trees = np.zeros_like(guard.weights)
    trees[0] = guard.mostly_trees
    host = np.zeros_like(guard.weights)
    host[0] = np.where(guard.of_trees, 0.0, guard.mostly_trees)
    host[0, 0] = 1.0
    fitted, squares = _regression(guard, trees, useful)
    mixes = [trees, *(trees + share * (fitted - trees) for share in _SHARES), host]
    worth = [_worth(weights, useful) for weights in mixes]
    guard.weights = mixes[int(np.argmax(worth))]
    guard.squares = guard.squares + squares


def _regression(
    guard: Guard, start: NDArray[np.float64], lessons: Sequence[GuardLesson]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights by Newton's method, and for each the sum of squared gradients."""
    free = np.flatnonzero(guard.is_free)
    n, n_rows = free.size, len(start)
    # A lesson counts 1, however many pairs it has.
    pairs = [(_gaps(one, free), one.bucket) for one in lessons]
    ridge = np.repeat([_RIDGE] + [_BUCKET_RIDGE] * (n_rows - 1), n)
    first = start[:, free].ravel()
    weights = first.copy()
    squares = np.zeros(weights.size)
    for _ in range(_MOST_STEPS):
        gradient = ridge * (weights - first)
        curvature = np.diag(ridge)
        squares[:] = 0.0
        for gaps, bucket in pairs:
            places = np.r_[0:n, (1 + bucket) * n : (2 + bucket) * n]
            mixed = weights[:n] + weights[places[n:]]
            wrong = 1.0 / (1.0 + np.exp(np.clip(gaps @ mixed, -40.0, 40.0)))
            push = -(wrong @ gaps) / len(gaps)
            bend = (gaps.T * (wrong * (1.0 - wrong))) @ gaps / len(gaps)
            gradient[places] += np.tile(push, 2)
            squares[places] += np.tile(push, 2) ** 2
            curvature[np.ix_(places, places)] += np.tile(bend, (2, 2))
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < _SMALL_STEP:
            break
    found, sums = np.zeros_like(start), np.zeros_like(start)
    found[:, free] = weights.reshape(n_rows, n)
    sums[:, free] = squares.reshape(n_rows, n)
    return found, sums


def _gaps(lesson: GuardLesson, free: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each clicked candidate's inputs less each other one's."""
    inputs = lesson.inputs[:, free]
    good, rest = inputs[lesson.is_clicked], inputs[~lesson.is_clicked]
    gaps: NDArray[np.float64] = (good[:, None] - rest[None]).reshape(-1, free.size)
    return gaps


def _worth(weights: NDArray[np.float64], lessons: Sequence[GuardLesson]) -> float:
    """Return the mean nDCG of the lessons under weights, none of them below 0 as in serving."""
    mixes = np.maximum(weights[0] + weights[1:], 0.0)
    scores = np.concatenate([one.inputs @ mixes[one.bucket] for one in lessons])
    grades = np.concatenate([one.is_clicked for one in lessons]).astype(np.float64)
    offsets = np.r_[0, np.cumsum([len(one.inputs) for one in lessons])]
    return float(np.mean(ndcg(scores, grades, offsets)))
