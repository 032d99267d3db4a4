"""Kernels that score messages by the starter model's small table of whole numbers."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["starter_margin", "starter_margins"]

# How kernels/distinct.py seals a base hash (a test holds them equal).
MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)


@kernel
def starter_margins(
    features: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    weights: NDArray[np.int8],
    scales: NDArray[np.float64],
    limit: float,
    out: NDArray[np.float64],
) -> None:
    """Write the sum over views of each message's scaled and limited margin.

    Parameters
    ----------
    features, offsets
        Hashes by the public seed, and where views begin and messages end, shape
        ``(n, n_views + 1)``.
    weights
        Shape ``(n_views, power of two)``.
    scales
        What a weight of one is worth in each view, the view's share in the sum included; 0 leaves
        a view out; shape ``(n_views,)``.
    limit
        Bound on what one view says, in log-odds.
    out
        Output, shape ``(n,)``; the margins are added to what is there.
    """
    mask = np.uint32(weights.shape[1] - 1)
    for i in range(offsets.shape[0]):
        for k in range(weights.shape[0]):
            first, last = offsets[i, k], offsets[i, k + 1]
            if last == first or scales[k] == 0.0:
                continue
            total = 0
            for j in range(first, last):
                total += int(weights[k, features[j] & mask])
            margin = total * scales[k] / np.sqrt(last - first)
            out[i] += min(max(margin, -limit), limit)


@kernel
def starter_margin(
    bases: NDArray[np.uint64],
    counts: NDArray[np.int64],
    seed: np.uint64,
    weights: NDArray[np.int8],
    scales: NDArray[np.float64],
    limit: float,
    bias: float,
) -> float:
    """Return `bias` and the margins of one message that was not sealed yet.

    To the bit what :func:`starter_margins` says of its features, which are not written anywhere.

    Parameters
    ----------
    bases
        Base hashes of each view, shape ``(>= n_views, room)``.
    counts
        How many of them count, shape ``(>= n_views,)``.
    seed
        The starter's public seed.
    weights, scales, limit
        As for :func:`starter_margins`.
    bias
        What the margins are added to.
    """
    mask = np.uint64(weights.shape[1] - 1)
    out = bias
    for k in range(weights.shape[0]):
        n = counts[k]
        if n == 0 or scales[k] == 0.0:
            continue
        total = 0
        for j in range(n):
            h = (bases[k, j] ^ seed) * MIX_1
            h = (h ^ (h >> HALF)) * MIX_2
            # The table has at most 2^32 weights a view, so that the low bits alone tell.
            total += int(weights[k, (h ^ (h >> HALF)) & mask])
        margin = total * scales[k] / np.sqrt(n)
        out += min(max(margin, -limit), limit)
    return out
