"""Kernel that scores messages by the starter model's small table of whole numbers."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["starter_margins"]


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
                total += np.int64(weights[k, features[j] & mask])
            margin = total * scales[k] / np.sqrt(last - first)
            out[i] += min(max(margin, -limit), limit)
