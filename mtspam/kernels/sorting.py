"""Kernel that brings every view of many messages into rising order, each hash once."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["sort_views"]

BITS = np.uint32(8)
DIGITS = 256
SMALL = 24  # below it insertion is quicker than counting
BUCKETS = 1 << 13
CROWD = 32  # hashes in a bucket: with more of them, insertion would not stay cheap


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
def _by_counting(
    values: NDArray[np.uint32], first: int, n: int, spare: NDArray[np.uint32]
) -> None:
    """Sort `n` hashes however they lie: two digits a turn, there and back, to end in place."""
    counts = np.zeros(DIGITS, np.int64)
    for digit in range(0, 4, 2):
        _by_digit(values, first, spare, 0, n, digit, counts)
        _by_digit(spare, 0, values, first, n, digit + 1, counts)


@kernel
def _by_spreading(
    values: NDArray[np.uint32],
    first: int,
    n: int,
    spare: NDArray[np.uint32],
    counts: NDArray[np.int32],
    at: int,
) -> int:
    """Sort `n` hashes that lie evenly, as hashes do, to `at`; say where they end, repeats dropped.

    Each goes to where its first bits say, which is at most a few places from where it belongs.
    Where many lie close together it changes nothing and returns -1.
    """
    bits = 5
    while (1 << bits) < 2 * n and (1 << bits) < counts.shape[0]:
        bits += 1
    shift = np.uint32(32 - bits)
    counts[: 1 << bits] = 0
    for j in range(first, first + n):
        counts[values[j] >> shift] += 1
    total = np.int32(0)
    for c in range(1 << bits):
        here = counts[c]
        if here > CROWD:
            return -1
        counts[c] = total
        total += here
    for j in range(first, first + n):
        c = values[j] >> shift
        spare[counts[c]] = values[j]
        counts[c] += 1
    begin = at
    for j in range(n):
        value = spare[j]
        to = at
        while to > begin and values[to - 1] > value:
            to -= 1
        if to > begin and values[to - 1] == value:
            continue
        for back in range(at, to, -1):
            values[back] = values[back - 1]
        values[to] = value
        at += 1
    return at


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
    arrays of counts. Of hashes that lie evenly the first bits alone leave little to insertion.
    """
    counts = np.zeros(BUCKETS, np.int32)
    at = 0
    for i in range(offsets.shape[0]):
        first = offsets[i, 0]
        offsets[i, 0] = at
        for k in range(1, offsets.shape[1]):
            last = offsets[i, k]
            n = last - first
            end = -1
            if n < SMALL:
                for j in range(first + 1, last):
                    value = values[j]
                    to = j
                    while to > first and values[to - 1] > value:
                        values[to] = values[to - 1]
                        to -= 1
                    values[to] = value
            else:
                end = _by_spreading(values, first, n, spare, counts, at)
                if end < 0:
                    _by_counting(values, first, n, spare)
            if end < 0:
                end = at
                for j in range(first, last):
                    if end == at or values[j] != values[end - 1]:
                        values[end] = values[j]
                        end += 1
            at = end
            first = last
            offsets[i, k] = at
    return at
