"""Kernels of the personal part of a ranking: margins by level, pairs of a click, the step.

A candidate is a set of hashes, each of value x = 1/sqrt(n). A level (everybody, the market, the
user) is a table of weights; a level's key moves its hashes to slots of its own. G is the sum of
squared gradients of everybody's level, which sets the step of all three.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["add_click", "gather_hashes", "level_margins", "step_levels"]

MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
ZERO = np.uint64(0)

LEAST_GRADIENT = 1e-3  # below it a step changes nothing that anybody sees, and costs time
LARGEST_WEIGHT = 8.0


@kernel
def _slot(feature: np.uint64, key: np.uint64, mask: np.uint64) -> np.int64:
    h = (feature ^ (key * MIX_2)) * MIX_1
    h = (h ^ (h >> HALF)) * MIX_2
    return np.int64((h ^ (h >> HALF)) & mask)


@kernel
def gather_hashes(
    pool: NDArray[np.uint64],
    places: NDArray[np.int64],
    extra: NDArray[np.uint64],
    out: NDArray[np.uint64],
    offsets: NDArray[np.int64],
) -> None:
    """Join what is known of each candidate's document and what is its own in this query.

    Parameters
    ----------
    pool
        Hashes of all documents.
    places
        Where those of each candidate's document begin, and how many they are; shape ``(n, 2)``.
    extra
        Further hashes of each candidate, shape ``(n, n_extra)``.
    out
        Room for all of them.
    offsets
        Overwritten: where each candidate's begin, then where the last end; shape ``(n + 1,)``.
    """
    end = 0
    for i in range(places.shape[0]):
        offsets[i] = end
        start, n = places[i, 0], places[i, 1]
        for k in range(n):
            out[end + k] = pool[start + k]
        end += n
        for k in range(extra.shape[1]):
            out[end + k] = extra[i, k]
        end += extra.shape[1]
    offsets[places.shape[0]] = end


@kernel
def level_margins(
    features: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    weights: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    """Sum the weights of each candidate on each level.

    Parameters
    ----------
    features
        The hashes of all candidates.
    offsets
        Where those of each begin, then where the last end; shape ``(n + 1,)``.
    keys
        Of each level, 0: this level does not speak (but the first, which is everybody's).
    weights
        A table for each level, shape ``(n_levels, size)``, the size a power of two.
    out
        Overwritten, shape ``(n, n_levels)``.
    """
    mask = np.uint64(weights.shape[1] - 1)
    for i in range(offsets.shape[0] - 1):
        n = offsets[i + 1] - offsets[i]
        for level in range(keys.shape[0]):
            total = 0.0
            if n > 0 and (level == 0 or keys[level] != ZERO):
                for place in range(offsets[i], offsets[i + 1]):
                    total += weights[level, _slot(features[place], keys[level], mask)]
                total /= np.sqrt(n)
            out[i, level] = total


@kernel
def add_click(
    scores: NDArray[np.float64],
    clicked: int,
    is_clicked: NDArray[np.bool_],
    below: float,
    out: NDArray[np.float64],
) -> float:
    """Add to each candidate how far a click wants it up or down, and return the loss.

    Parameters
    ----------
    scores
        Of the candidates, in the order in which they were shown.
    clicked
        Which one was clicked.
    is_clicked
        Which ones were clicked at any time: these are not held against each other.
    below
        Weight of a candidate that was shown below the click, perhaps never seen; above it is 1.
    out
        Added to, shape ``(n,)``; the whole click moves by 1 at most.
    """
    total = 0.0
    for j in range(scores.shape[0]):
        if not is_clicked[j]:
            total += 1.0 if j < clicked else below
    if total == 0.0:
        return 0.0
    loss = 0.0
    for j in range(scores.shape[0]):
        if is_clicked[j]:
            continue
        gap = min(max(scores[clicked] - scores[j], -40.0), 40.0)
        weight = (1.0 if j < clicked else below) / total
        push = weight / (1.0 + np.exp(gap))
        loss += weight * np.log1p(np.exp(-gap))
        out[clicked] += push
        out[j] -= push
    return loss


@kernel
def step_levels(
    features: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    keys: NDArray[np.uint64],
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
    push: NDArray[np.float64],
    rates: NDArray[np.float64],
    decay: float,
) -> None:
    """Move the weights of each candidate the way it is pushed.

    Parameters
    ----------
    features, offsets, keys, weights
        As in `level_margins`; the weights are changed.
    squares
        G, shape ``(size,)``; changed.
    push
        How far each candidate is wanted up or down, shape ``(n,)``.
    rates
        Of each level.
    decay
        Share of a weight that a step takes away.
    """
    mask = np.uint64(weights.shape[1] - 1)
    for i in range(offsets.shape[0] - 1):
        n = offsets[i + 1] - offsets[i]
        if n == 0 or abs(push[i]) < LEAST_GRADIENT:
            continue
        gradient = push[i] / np.sqrt(n)
        for place in range(offsets[i], offsets[i + 1]):
            common = _slot(features[place], keys[0], mask)
            squares[common] += np.float32(gradient * gradient)
            scale = gradient / np.sqrt(squares[common])
            for level in range(keys.shape[0]):
                if level > 0 and keys[level] == ZERO:
                    continue
                slot = _slot(features[place], keys[level], mask)
                moved = weights[level, slot] * (1.0 - decay) + rates[level] * scale
                weights[level, slot] = np.float32(min(max(moved, -LARGEST_WEIGHT), LARGEST_WEIGHT))
