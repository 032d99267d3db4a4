"""Counting over a list sorted by score: errors at each threshold, and the area under the ROC."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["count_errors", "twice_area"]


@kernel
def count_errors(
    scores: NDArray[np.float64], is_spam: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Count both kinds of error at every threshold that tells messages apart.

    Parameters
    ----------
    scores
        Shape ``(n,)``, in rising order, no NaN.
    is_spam
        Shape ``(n,)``, the truth, in the order of `scores`.

    Returns
    -------
    cuts : shape ``(n_distinct + 1,)``
        How many of the lowest messages are called ham, from 0 to ``n``. Equal scores are never
        parted, so that a run of ties is one step.
    n_ham_wrong : the same shape
        Ham called spam, falling from all to none.
    n_spam_wrong : the same shape
        Spam called ham, rising from none to all.
    """
    n = scores.shape[0]
    n_distinct = 0
    n_ham = 0
    for i in range(n):
        if i + 1 == n or scores[i + 1] != scores[i]:
            n_distinct += 1
        if not is_spam[i]:
            n_ham += 1
    cuts = np.zeros(n_distinct + 1, np.int64)
    n_ham_wrong = np.zeros(n_distinct + 1, np.int64)
    n_spam_wrong = np.zeros(n_distinct + 1, np.int64)
    n_ham_wrong[0] = n_ham
    n_spam_below = 0
    k = 0
    for i in range(n):
        if is_spam[i]:
            n_spam_below += 1
        if i + 1 == n or scores[i + 1] != scores[i]:
            k += 1
            cuts[k] = i + 1
            n_ham_wrong[k] = n_ham - (i + 1 - n_spam_below)
            n_spam_wrong[k] = n_spam_below
    return cuts, n_ham_wrong, n_spam_wrong


@kernel
def twice_area(
    cuts: NDArray[np.int64], is_spam: NDArray[np.bool_], counts: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Count the pairs of a ham and a spam that the scores put right, a tie as half a pair.

    Whole numbers, so that the area is exact: ``area = twice / (2 n_ham n_spam)``.

    Parameters
    ----------
    cuts
        Where each run of equal scores begins and ends, shape ``(n_distinct + 1,)``, from
        `count_errors`.
    is_spam
        Shape ``(n,)``, in rising order of score.
    counts
        How often each message counts, shape ``(n,)``: ones, or a bootstrap's resample.

    Returns
    -------
    twice : int
        Twice the number of pairs put right.
    n_ham : int
        Ham messages, counted.
    n_spam : int
        Spam messages, counted.
    """
    twice = 0
    n_ham = 0
    n_spam = 0
    for k in range(cuts.shape[0] - 1):
        ham = 0
        spam = 0
        for i in range(cuts[k], cuts[k + 1]):
            if is_spam[i]:
                spam += counts[i]
            else:
                ham += counts[i]
        twice += spam * (2 * n_ham + ham)
        n_ham += ham
        n_spam += spam
    return twice, n_ham, n_spam
