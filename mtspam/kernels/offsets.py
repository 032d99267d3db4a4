"""Kernel that holds the offsets of a block of messages to what other kernels trust in."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["are_offsets_sound"]


@kernel
def are_offsets_sound(offsets: NDArray[np.int64], n_values: int) -> bool:
    """Tell whether each row lies within ``0..n_values`` and never falls.

    Parameters
    ----------
    offsets
        Where views begin and messages end, shape ``(n, n_views + 1)``.
    n_values
        How many values the offsets point into.
    """
    for i in range(offsets.shape[0]):
        before = np.int64(0)
        for k in range(offsets.shape[1]):
            if offsets[i, k] < before:
                return False
            before = offsets[i, k]
        if before > n_values:
            return False
    return True
