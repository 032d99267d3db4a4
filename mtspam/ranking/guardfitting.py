"""Fitting the guard when trees are grown: weights from rankings that the trees have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtspam.metrics.ranking import ndcg
from mtspam.ranking.guard import NEW_QUERY, NOBODYS_NEW_QUERY, STRANGER, Guard

__all__ = ["GuardLesson", "fit_guard"]

_LEAST_LESSONS = 10
"""Of fewer rankings not even the spread of what is gained is known."""
_ENOUGH = 50
"""Rankings of users, or of queries, of which nothing is known that can speak for others."""
_SURE = 1.64
"""Standard errors by which a mix must be better than the host's order: one in twenty by chance."""
_RIDGE = 1.0
_BUCKET_RIDGE = 10.0
"""What a bucket adds to everybody's weights is held back harder: each has less evidence."""
_MOST_STEPS = 25
_SMALL_STEP = 1e-4
_SHARES = (0.25, 0.5, 1.0)
_BESIDE_HOST = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Weights of the trees beside the host's order."""


@dataclass(frozen=True, slots=True)
class GuardLesson:
    """A ranking of which all clicks are in.

    Parameters
    ----------
    inputs
        What was mixed, shape ``(n, 6)``.
    grades
        What each candidate turned out to be worth, shape ``(n,)``: 1 where it was clicked.
    bucket, user_bucket
        Evidence of user and query, and of the user alone.
    """

    inputs: NDArray[np.float64]
    grades: NDArray[np.float64]
    bucket: int
    user_bucket: int


def fit_guard(
    guard: Guard, lessons: Sequence[GuardLesson], imagined: Sequence[GuardLesson] = ()
) -> None:
    """Set the guard's weights to what orders the lessons best, and surely better than the host.

    Weights are found by pairwise logistic regression, drawn towards the trees and towards the
    host. How far to go there, or whether to put a little of the trees beside the host, is told by
    nDCG, which the trees were grown for and the regression was not: of each mix the gain over the
    host's order, less some standard errors of it. Where no mix surely gains, or there are hardly
    any lessons, the host's order stands. For users of whom nothing is known, and for queries that
    nobody asked before, that is found out by itself: what helps others need not help them.

    Parameters
    ----------
    guard
        Changed.
    lessons
        Rankings that taught neither the trees nor the personal part before they were seen.
    imagined
        Some of them as they would have been for somebody unknown, or had nobody asked that query
        before: they count where hardly anybody unknown has clicked, or hardly any query was new.
    """
    useful, imagined = _with_choice(lessons), _with_choice(imagined)
    if sum(one.bucket < NOBODYS_NEW_QUERY for one in useful) < _ENOUGH:
        # Where hardly any query was asked before, one that is new is like any other.
        useful, imagined = (
            [replace(one, bucket=one.user_bucket) for one in some] for some in (useful, imagined)
        )
    mixes, squares = _mixes(guard, useful)
    beside, host = mixes[-2:]
    if not useful:
        guard.weights = beside.copy()
        guard.weights[1 + STRANGER] = host[0] - beside[0]
        guard.weights[1 + NOBODYS_NEW_QUERY] = host[0]
        guard.weights[1 + NEW_QUERY] = beside[0]
        return
    told = [*useful, *imagined]
    gains = np.stack([_worth(mix, told) for mix in mixes]) - _worth(host, told)
    buckets = np.array([one.bucket for one in told])
    is_real = np.arange(len(told)) < len(useful)

    def surest(chosen: NDArray[np.bool_], n_kept: int) -> NDArray[np.float64]:
        few = (chosen & is_real).sum() < _ENOUGH
        return _surest(mixes, gains[:, chosen if few else chosen & is_real], n_kept)

    # What a user does is to show, be it by little, unless it surely does harm.
    of_new = (buckets == NOBODYS_NEW_QUERY) | (buckets == NEW_QUERY)
    warm = surest(~of_new & (buckets != STRANGER), 2)
    cold = surest(buckets == STRANGER, 1)
    guard.weights = warm.copy()
    guard.weights[1 + STRANGER] = cold[0] + cold[1 + STRANGER] - warm[0]
    guard.weights[1 + NOBODYS_NEW_QUERY] = cold[0] + cold[1 + STRANGER]
    guard.weights[1 + NEW_QUERY] = warm[0]
    for bucket, n_kept in ((NOBODYS_NEW_QUERY, 1), (NEW_QUERY, 2)):
        if (buckets == bucket).any():
            mix = surest(buckets == bucket, n_kept)
            guard.weights[1 + bucket] = mix[0] + mix[1 + bucket]
    guard.squares = guard.squares + squares


def _mixes(
    guard: Guard, lessons: Sequence[GuardLesson]
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return mixes to choose from, and the squared gradients of the first regression.

    The last is the host's order alone, the one before it has a little of the personal part beside;
    without lessons there are only these.
    """
    host, beside, trees = (np.zeros_like(guard.weights) for _ in range(3))
    host[0, 0] = 1.0
    beside[0] = np.where(guard.of_trees, 0.0, guard.mostly_trees)
    beside[0, 0] = 1.0
    if not lessons:
        return [beside, host], np.zeros_like(host)
    trees[0] = guard.mostly_trees
    fitted, squares = _regression(guard, trees, lessons)
    other, _ = _regression(guard, beside, lessons)
    return [
        trees,
        *(trees + share * (fitted - trees) for share in _SHARES),
        *(beside + share * (other - beside) for share in _SHARES),
        *(beside + weight * np.where(guard.of_trees, trees, 0.0) for weight in _BESIDE_HOST),
        beside,
        host,
    ], squares


def _with_choice(lessons: Sequence[GuardLesson]) -> list[GuardLesson]:
    return [one for one in lessons if one.grades.min() < one.grades.max()]


def _surest(
    mixes: Sequence[NDArray[np.float64]], gains: NDArray[np.float64], n_kept: int
) -> NDArray[np.float64]:
    """Return the mix that surely gains most beside the host's order, which is the last one.

    Parameters
    ----------
    gains
        Of each mix in each lesson.
    n_kept
        Where none surely gains, the first of so many last mixes is taken that does not surely
        lose.
    """
    n = gains.shape[1]
    if n < _LEAST_LESSONS:
        return mixes[-n_kept]
    means, spread = gains.mean(axis=1), _SURE * gains.std(axis=1, ddof=1) / np.sqrt(n)
    best = int(np.argmax(means - spread))
    if (means - spread)[best] > 0.0:
        return mixes[best]
    kept = np.flatnonzero((means + spread)[-n_kept:] >= 0.0)[0]
    return mixes[-n_kept:][int(kept)]


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
    """Return each candidate's inputs less those of each that was worth less."""
    inputs = lesson.inputs[:, free]
    better, worse = np.nonzero(lesson.grades[:, None] > lesson.grades[None])
    gaps: NDArray[np.float64] = inputs[better] - inputs[worse]
    return gaps


def _worth(weights: NDArray[np.float64], lessons: Sequence[GuardLesson]) -> NDArray[np.float64]:
    """Return the nDCG of each lesson under weights, none of them below 0 as in serving."""
    mixes = np.maximum(weights[0] + weights[1:], 0.0)
    scores = np.concatenate([one.inputs @ mixes[one.bucket] for one in lessons])
    grades = np.concatenate([one.grades for one in lessons])
    offsets = np.r_[0, np.cumsum([len(one.inputs) for one in lessons])]
    return ndcg(scores, grades, offsets)
