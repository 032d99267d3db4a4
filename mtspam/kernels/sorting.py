"""Kernel that brings every view of many messages into rising order, each hash once."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["sort_views"]

BITS = np.uint32(8)
DIGITS = 256
SMALL = 24  # below it insertion is quicker than counting


@kernel
def _by_digit(
    source: NDArray[np.uint32],
    begin: int,
    target: NDArray[np.uint32],
    to: int,
    n: int,
    digit: int,
    counts: NDArray[np.int64],
) -> None:
    """Move `n` hashes from one array to another, in order of one digit, else as they were."""
    shift = np.uint32(digit) * BITS
    low = np.uint32(DIGITS - 1)
    counts[:] = 0
    for j in range(begin, begin + n):
        counts[(source[j] >> shift) & low] += 1
    total = to
    for c in range(DIGITS):
        here = counts[c]
        counts[c] = total
        total += here
    for j in range(begin, begin + n):
        c = (source[j] >> shift) & low
        target[counts[c]] = source[j]
        counts[c] += 1


@kernel
def sort_views(
    values: NDArray[np.uint32], offsets: NDArray[np.int64], spare: NDArray[np.uint32]
) -> int:
    """Sort each view in place, drop repeated hashes and close the gaps.

    Parameters
    ----------
    values
        Hashes of all views, shape ``(n_features,)``; on return the first ones count.
    offsets
        Where views begin and messages end, shape ``(n, n_views + 1)``, brought up to date.
    spare
        Scratch as long as the longest view.

    Returns
    -------
    int
        How many hashes are left.

    References
    ----------
    D. Knuth, "The Art of Computer Programming" 3, section 5.2.5: radix list sort, here with
    arrays of 256 counts.
    """
    counts = np.zeros(DIGITS, np.int64)
    at = 0
    for i in range(offsets.shape[0]):
        first = offsets[i, 0]
        offsets[i, 0] = at
        for k in range(1, offsets.shape[1]):
            last = offsets[i, k]
            n = last - first
            if n < SMALL:
                for j in range(first + 1, last):
                    value = values[j]
                    to = j
                    while to > first and values[to - 1] > value:
                        values[to] = values[to - 1]
                        to -= 1
                    values[to] = value
            else:
                # Two digits a turn, there and back, so that the last one ends where it began.
                for digit in range(0, 4, 2):
                    _by_digit(values, first, spare, 0, n, digit, counts)
                    _by_digit(spare, 0, values, first, n, digit + 1, counts)
            begin = at
            for j in range(first, last):
                if at == begin or values[j] != values[at - 1]:
                    values[at] = values[j]
                    at += 1
            first = last
            offsets[i, k] = at
    return at
