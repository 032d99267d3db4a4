"""Weights that are one user's or one group's own, read back for explanations."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["crossed_weights"]

MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
TOP = np.uint64(63)


@kernel
def _cross(h: np.uint32, key: np.uint64) -> np.uint64:
    """Hash a feature with the key of a user or group: low bits a bucket, top bit a sign."""
    x = (np.uint64(h) ^ key) * MIX_1
    x = (x ^ (x >> HALF)) * MIX_2
    return x ^ (x >> HALF)


@kernel
def _sign(x: np.uint64) -> float:
    # Without it, who fills the personal table would lift the scores of all who share its buckets.
    return 1.0 - 2.0 * float(np.int64(x >> TOP))


@kernel
def crossed_weights(
    features: NDArray[np.uint32],
    key: np.uint64,
    table: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    """Write the weight of each feature crossed with `key`, for explanations."""
    mask = np.uint64(table.shape[0] - 1)
    for i in range(features.shape[0]):
        x = _cross(features[i], key)
        out[i] = _sign(x) * table[x & mask]
