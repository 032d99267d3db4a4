"""Figures of one ranking after another: discounted gain, first hit, precision at the hits."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["average_precision", "discounted_gain", "first_hit", "order_gains"]


@kernel
def order_gains(
    scores: NDArray[np.float64],
    gains: NDArray[np.float64],
    offsets: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the gains of each query from the highest score down, ties in the order given.

    Parameters
    ----------
    scores
        Shape ``(n,)``, no NaN.
    gains
        What each document is worth, 0 or more, shape ``(n,)``.
    offsets
        Where each query's documents begin, then ``n``; shape ``(n_queries + 1,)``.
    out
        Output, shape ``(n,)``.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        order = np.argsort(-scores[first:last], kind="mergesort")
        for place in range(last - first):
            out[first + place] = gains[first + order[place]]


@kernel
def discounted_gain(
    ordered: NDArray[np.float64], offsets: NDArray[np.int64], cutoff: int, out: NDArray[np.float64]
) -> None:
    """Write the discounted cumulative gain of each query.

    Parameters
    ----------
    ordered
        Gains as `order_gains` writes them, shape ``(n,)``.
    offsets
        As for `order_gains`.
    cutoff
        Places that count, at least 1.
    out
        Output, shape ``(n_queries,)``.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        total = 0.0
        for place in range(min(cutoff, last - first)):
            total += ordered[first + place] * (1.0 / np.log2(place + 2.0))
        out[q] = total


@kernel
def first_hit(
    ordered: NDArray[np.float64], offsets: NDArray[np.int64], cutoff: int, out: NDArray[np.float64]
) -> None:
    """Write one over the place of the first document worth anything; 0 if it is past `cutoff`.

    The parameters are those of `discounted_gain`; NaN where no document is worth anything.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        out[q] = np.nan
        for i in range(first, last):
            if ordered[i] > 0.0:
                place = i - first
                out[q] = 1.0 / (place + 1.0) if place < cutoff else 0.0
                break


@kernel
def average_precision(
    ordered: NDArray[np.float64], offsets: NDArray[np.int64], cutoff: int, out: NDArray[np.float64]
) -> None:
    """Write the mean, over all documents worth anything, of the precision at their places.

    A document past `cutoff` counts as never found. The parameters are those of
    `discounted_gain`; NaN where no document is worth anything.
    """
    for q in range(offsets.shape[0] - 1):
        first, last = offsets[q], offsets[q + 1]
        n_worth = 0
        total = 0.0
        for i in range(first, last):
            if ordered[i] > 0.0:
                n_worth += 1
                if i - first < cutoff:
                    total += n_worth / (i - first + 1.0)
        out[q] = total / n_worth if n_worth else np.nan
