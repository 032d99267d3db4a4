"""Kernel that finds the distinct four-byte windows of raw bytes."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["distinct_windows"]

SPREAD = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(40)
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)


@kernel
def distinct_windows(
    data: NDArray[np.uint8],
    size: int,
    out: NDArray[np.uint64],
    seen: NDArray[np.uint64],
    turn: int,
) -> int:
    """Gather each four-byte window of ``data[:size]`` once, in the order of first occurrence.

    A window *is* its base hash (four bytes, first byte lowest), so that different windows never
    collide before they are sealed.

    Parameters
    ----------
    data, size
        The bytes, shape ``(>= size,)``.
    out
        Output, shape ``(>= size - 3,)``.
    seen
        Scratch, shape ``(power of two,)``, at least twice as long as `size`.
    turn
        A number from 1 to 2^31 - 1 that differs from call to call on the same scratch; it makes
        old entries void.

    Returns
    -------
    int
        How many distinct windows there are.
    """
    if size < 4:
        return 0
    mark = np.uint64(turn) << HALF
    mask = np.uint64(seen.shape[0] - 1)
    n = 0
    word = (np.uint64(data[0]) << np.uint64(8)) | (np.uint64(data[1]) << np.uint64(16))
    word |= np.uint64(data[2]) << np.uint64(24)
    for i in range(3, size):
        word = (word >> np.uint64(8)) | (np.uint64(data[i]) << np.uint64(24))
        slot = ((word * SPREAD) >> SHIFT) & mask
        entry = mark | word
        while (seen[slot] & ~LOW) == mark and seen[slot] != entry:
            slot = (slot + np.uint64(1)) & mask
        if seen[slot] != entry:
            seen[slot] = entry
            out[n] = word
            n += 1
    return n
