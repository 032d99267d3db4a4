"""Kernel that brings every view of many messages into rising order, each hash once."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["sort_views"]

BITS = np.uint32(8)
DIGITS = 256
SMALL = 24  # below it insertion is quicker than counting


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
                for digit in range(4):
                    shift = np.uint32(digit) * BITS
                    counts[:] = 0
                    for j in range(first, last):
                        counts[(values[j] >> shift) & np.uint32(255)] += 1
                    total = 0
                    for c in range(DIGITS):
                        here = counts[c]
                        counts[c] = total
                        total += here
                    for j in range(first, last):
                        c = (values[j] >> shift) & np.uint32(255)
                        spare[counts[c]] = values[j]
                        counts[c] += 1
                    for j in range(n):
                        values[first + j] = spare[j]
            begin = at
            for j in range(first, last):
                if at == begin or values[j] != values[at - 1]:
                    values[at] = values[j]
                    at += 1
            first = last
            offsets[i, k] = at
    return at
