"""How good rankings are: nDCG, MRR and MAP of each query, their means and intervals.

A query without a document worth anything has no figure of its own (NaN); what it counts for in a
mean is a rule that has to be said, since it moves the mean more than most models do.
"""

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtspam.errors import DataError
from mtspam.kernels import rankings as kernels
from mtspam.metrics.binary import Interval, check_resampling, percentile_interval

__all__ = [
    "EmptyQueries",
    "Gain",
    "average_precision",
    "difference_interval",
    "mean_figure",
    "mean_interval",
    "ndcg",
    "reciprocal_rank",
]

_Kernel = Callable[[NDArray[np.float64], NDArray[np.int64], int, NDArray[np.float64]], None]
_MOST_GRADE = 60.0  # two to this power is a number yet


class Gain(StrEnum):
    """What a document of grade g is worth: ``2**g - 1`` or ``g``; for grades 0 and 1 the same."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"


class EmptyQueries(StrEnum):
    """What a query without a document worth anything counts for in a mean."""

    SKIP = "skip"
    ZERO = "zero"
    ONE = "one"


def ndcg(
    scores: ArrayLike,
    grades: ArrayLike,
    offsets: ArrayLike,
    *,
    cutoff: int = 10,
    gain: Gain = Gain.EXPONENTIAL,
) -> NDArray[np.float64]:
    """Return the normalised discounted cumulative gain of each query.

    The gain at place *p* is divided by ``log2(p + 1)``, summed down to the cutoff, and divided by
    the largest sum that any order of the same documents has. Documents of equal score stand in
    the order given.

    Parameters
    ----------
    scores
        Higher ranks first, shape ``(n,)``.
    grades
        0 or more, shape ``(n,)``.
    offsets
        Where each query's documents begin, then ``n``; shape ``(n_queries + 1,)``.
    cutoff
        Places that count.
    gain
        What a grade is worth.

    Returns
    -------
    ndarray
        Shape ``(n_queries,)``, from 0 to 1; NaN where no document is worth anything.

    Raises
    ------
    DataError
        If shapes do not fit, a score or a grade is no number, or a grade is negative.

    References
    ----------
    K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20
    (2002); the exponential gain is that of C. Burges et al., "Learning to rank using gradient
    descent", ICML 2005.

    Examples
    --------
    >>> ndcg([0.9, 0.5, 0.1], [0, 1, 0], [0, 3]).round(4).tolist()
    [0.6309]
    """
    worth = _worth(grades, gain)
    reached = _by_query(kernels.discounted_gain, scores, worth, offsets, cutoff)
    ideal = _by_query(kernels.discounted_gain, worth, worth, offsets, cutoff)
    return np.divide(reached, ideal, out=np.full_like(ideal, np.nan), where=ideal > 0.0)


def reciprocal_rank(
    scores: ArrayLike, grades: ArrayLike, offsets: ArrayLike, *, cutoff: int | None = None
) -> NDArray[np.float64]:
    """Return one over the place of the first document of a grade above 0, for each query.

    Parameters and errors are those of `ndcg`; without a cutoff all places count.

    Examples
    --------
    >>> reciprocal_rank([0.9, 0.5, 0.1], [0, 1, 1], [0, 3]).tolist()
    [0.5]
    """
    return _by_query(kernels.first_hit, scores, _worth(grades, Gain.LINEAR), offsets, cutoff)


def average_precision(
    scores: ArrayLike, grades: ArrayLike, offsets: ArrayLike, *, cutoff: int | None = None
) -> NDArray[np.float64]:
    """Return the precision at the place of each document of a grade above 0, meant, by query.

    Parameters and errors are those of `ndcg`; without a cutoff all places count.

    Examples
    --------
    >>> average_precision([0.9, 0.5, 0.1], [1, 0, 1], [0, 3]).round(4).tolist()
    [0.8333]
    """
    return _by_query(
        kernels.average_precision, scores, _worth(grades, Gain.LINEAR), offsets, cutoff
    )


def mean_figure(figures: NDArray[np.float64], empty: EmptyQueries = EmptyQueries.SKIP) -> float:
    """Return the mean over queries; NaN where none is left.

    Examples
    --------
    >>> figures = np.array([0.5, np.nan])
    >>> [mean_figure(figures, rule) for rule in EmptyQueries]
    [0.5, 0.25, 0.75]
    """
    counted = _counted(figures, empty)
    return float(counted.mean()) if counted.size else math.nan


def mean_interval(
    figures: NDArray[np.float64],
    empty: EmptyQueries = EmptyQueries.SKIP,
    *,
    n_resamples: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return a bootstrap interval of the mean, queries drawn with replacement.

    Raises
    ------
    DataError
        If `n_resamples` or `level` is out of range.

    Examples
    --------
    >>> mean_interval(np.array([0.5, 0.5]))
    Interval(low=0.5, high=0.5)
    """
    check_resampling(n_resamples, level)
    counted = _counted(figures, empty)
    if not counted.size:
        return Interval(math.nan, math.nan)
    generator = np.random.default_rng(seed)
    means = [
        counted[generator.integers(0, counted.size, counted.size)].mean()
        for _ in range(n_resamples)
    ]
    return percentile_interval(means, level)


def difference_interval(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    *,
    n_resamples: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return a bootstrap interval of how much better `one` is, query by query.

    Pairs stay together, so that what makes a query hard for both does not widen the interval.

    Raises
    ------
    DataError
        If the two are not of the same queries, or a parameter is out of range.

    Examples
    --------
    >>> difference_interval(np.array([0.75, 0.5]), np.array([0.5, 0.25]))
    Interval(low=0.25, high=0.25)
    """
    if one.shape != other.shape:
        raise DataError(f"figures of {one.size} and of {other.size} queries have no difference")
    return mean_interval(one - other, n_resamples=n_resamples, level=level, seed=seed)


def _counted(figures: NDArray[np.float64], empty: EmptyQueries) -> NDArray[np.float64]:
    if empty is EmptyQueries.SKIP:
        return figures[~np.isnan(figures)]
    return np.where(np.isnan(figures), 1.0 if empty is EmptyQueries.ONE else 0.0, figures)


def _worth(grades: ArrayLike, gain: Gain) -> NDArray[np.float64]:
    found = np.asarray(grades, np.float64)
    if found.size and not (found.min() >= 0.0 and found.max() <= _MOST_GRADE):
        raise DataError(
            f"a grade must be from 0 to {_MOST_GRADE:g}, got {found.min()} to {found.max()}"
        )
    return np.exp2(found) - 1.0 if gain is Gain.EXPONENTIAL else found.copy()


def _by_query(
    kernel: _Kernel,
    scores: ArrayLike,
    worth: NDArray[np.float64],
    offsets: ArrayLike,
    cutoff: int | None,
) -> NDArray[np.float64]:
    given = np.ascontiguousarray(scores, np.float64)
    bounds = np.ascontiguousarray(offsets, np.int64)
    if given.ndim != 1 or given.shape != worth.shape:
        raise DataError(
            f"scores have shape {given.shape}, grades {worth.shape}; both must be (n,)"
        )
    if np.isnan(given).any():
        raise DataError("a score is not a number")
    if (
        bounds.ndim != 1
        or bounds.size == 0
        or bounds[0] != 0
        or bounds[-1] != given.size
        or np.any(np.diff(bounds) < 0)
    ):
        raise DataError(f"offsets must rise from 0 to {given.size}")
    if cutoff is not None and cutoff < 1:
        raise DataError(f"a cutoff is {cutoff}; it must be 1 or more")
    ordered, out = np.empty(given.size), np.empty(bounds.size - 1)
    kernels.order_gains(given, np.ascontiguousarray(worth), bounds, ordered)
    kernel(ordered, bounds, given.size + 1 if cutoff is None else cutoff, out)
    return out
