"""Figures of one ranking after another: discounted gain, first hit, precision at the hits."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["average_precision", "discounted_gain", "first_hit"]


@kernel
def _ordered(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the places of scores from the highest down, ties in the order given."""
    order: NDArray[np.int64] = np.argsort(-scores, kind="mergesort")
    return order


@kernel
def discounted_gain(
    scores: NDArray[np.float64],
    gains: NDArray[np.float64],
    offsets: NDArray[np.int64],
    cutoff: int,
    out: NDArray[np.float64],
) -> None:
    """Write the normalised discounted cumulative gain of each query.

    Parameters
    ----------
    scores
        Higher ranks first, shape ``(n,)``, no NaN.
    gains
        What each document is worth, 0 or more, shape ``(n,)``.
    offsets
        Where each query's documents begin, then ``n``; shape ``(n_queries + 1,)``.
    cutoff
        Places that count, at least 1.
    out
        Output, shape ``(n_queries,)``: NaN where no document is worth anything.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        n = min(cutoff, last - first)
        order = _ordered(scores[first:last])
        best = _ordered(gains[first:last])
        got = 0.0
        ideal = 0.0
        for place in range(n):
            discount = 1.0 / np.log2(place + 2.0)
            got += gains[first + order[place]] * discount
            ideal += gains[first + best[place]] * discount
        out[q] = got / ideal if ideal > 0.0 else np.nan


@kernel
def first_hit(
    scores: NDArray[np.float64],
    gains: NDArray[np.float64],
    offsets: NDArray[np.int64],
    cutoff: int,
    out: NDArray[np.float64],
) -> None:
    """Write one over the place of the first document worth anything; 0 if it is past `cutoff`.

    The parameters are those of `discounted_gain`; NaN where no document is worth anything.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        out[q] = np.nan
        for i in range(first, last):
            if gains[i] > 0.0:
                out[q] = 0.0
        order = _ordered(scores[first:last])
        for place in range(min(cutoff, last - first)):
            if gains[first + order[place]] > 0.0:
                out[q] = 1.0 / (place + 1.0)
                break


@kernel
def average_precision(
    scores: NDArray[np.float64],
    gains: NDArray[np.float64],
    offsets: NDArray[np.int64],
    cutoff: int,
    out: NDArray[np.float64],
) -> None:
    """Write the mean, over all documents worth anything, of the precision at their places.

    A document past `cutoff` counts as never found. The parameters are those of
    `discounted_gain`; NaN where no document is worth anything.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        n_worth = 0
        for i in range(first, last):
            if gains[i] > 0.0:
                n_worth += 1
        order = _ordered(scores[first:last])
        n_hits = 0
        total = 0.0
        for place in range(min(cutoff, last - first)):
            if gains[first + order[place]] > 0.0:
                n_hits += 1
                total += n_hits / (place + 1.0)
        out[q] = total / n_worth if n_worth else np.nan
