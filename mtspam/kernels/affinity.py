"""Kernels of affinity: what a user will do, from what they did with documents of like fields.

A user's ring holds the documents they saw last, each with r = what they did − what everybody does.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["affinity", "fill_weights"]


@kernel
def fill_weights(
    slots: NDArray[np.int64],
    tokens: NDArray[np.uint32],
    fields: NDArray[np.uint8],
    n_tokens: NDArray[np.int32],
    weights: NDArray[np.float32],
    stamps: NDArray[np.int64],
    frequency: NDArray[np.int32],
    n_items: int,
) -> None:
    """Weigh the field values of documents: rare ones more, each field to unit length.

    Parameters
    ----------
    slots
        Documents, shape ``(n,)``.
    tokens, fields, n_tokens
        Values of each document, the field each is of, and how many: shapes ``(d, t)``, ``(d, t)``,
        ``(d,)``.
    weights, stamps
        Overwritten where they are out of date: shape ``(d, t)``; how many documents there were
        when it was done, ``(d,)``.
    frequency
        In how many documents a value occurs, shape ``(2^b,)``.
    n_items
        How many documents there are.
    """
    mask = np.uint32(frequency.shape[0] - 1)
    for i in range(slots.shape[0]):
        s = slots[i]
        if stamps[s] > 0 and 8 * stamps[s] >= 7 * n_items:
            continue
        stamps[s] = n_items
        n = n_tokens[s]
        for k in range(n):
            df = frequency[tokens[s, k] & mask]
            # What one document alone has relates it to no other.
            weights[s, k] = math.log((n_items + 1.0) / df) if df > 1 else 0.0
        start = 0
        while start < n:
            end = start
            squares = 0.0
            while end < n and fields[s, end] == fields[s, start]:
                squares += weights[s, end] * weights[s, end]
                end += 1
            if squares > 0.0:
                for k in range(start, end):
                    weights[s, k] /= math.sqrt(squares)
            start = end


@kernel
def affinity(
    ring: NDArray[np.int64],
    residual: NDArray[np.float64],
    noise: NDArray[np.float64],
    candidates: NDArray[np.int64],
    tokens: NDArray[np.uint32],
    n_tokens: NDArray[np.int32],
    weights: NDArray[np.float32],
    variance: float,
    bias: float,
    n_steps: int,
    out: NDArray[np.float64],
) -> None:
    """Foresee what a user will do from what they did with documents like these: ridge regression.

    The posterior mean of a linear model on field values, K = `variance` W Wᵀ + `bias`, solved by
    conjugate gradients in the space of the documents seen.

    Parameters
    ----------
    ring, residual, noise
        Documents seen, what was done beyond the expected, the variance of that; shape ``(m,)``.
    candidates
        Shape ``(n,)``.
    tokens, n_tokens, weights
        As in `fill_weights`.
    variance, bias
        Prior variance of a field, and of the user as a whole.
    n_steps
        Of conjugate gradients, at most.
    out
        Overwritten, shape ``(n, 2)``: what is foreseen, and how alike the candidate is to what
        was seen, from 0 to about 1.
    """
    m = ring.shape[0]
    n_places = 1 << 13
    mask = np.uint32(n_places - 1)
    names = np.zeros(n_places, np.uint32)
    used = np.zeros(n_places, np.uint8)
    total = 0
    for i in range(m):
        total += n_tokens[ring[i]]
    at = np.empty(total, np.int32)
    w = np.empty(total, np.float64)
    begin = np.empty(m + 1, np.int64)
    n = 0
    for i in range(m):
        begin[i] = n
        s = ring[i]
        for k in range(n_tokens[s]):
            if weights[s, k] == 0.0:
                continue
            token = tokens[s, k]
            place = (token * np.uint32(2654435761)) & mask
            while used[place] and names[place] != token:
                place = (place + np.uint32(1)) & mask
            used[place] = 1
            names[place] = token
            at[n] = np.int32(place)
            w[n] = weights[s, k]
            n += 1
    begin[m] = n
    sums = np.zeros(n_places, np.float64)
    alpha = np.zeros(m, np.float64)
    rest = residual.copy()
    step = rest.copy()
    image = np.empty(m, np.float64)
    old = 0.0
    for i in range(m):
        old += rest[i] * rest[i]
    first = old
    for _ in range(n_steps):
        if old <= 1e-6 * first or old == 0.0:
            break
        for k in range(n):
            sums[at[k]] = 0.0
        whole = 0.0
        for i in range(m):
            whole += step[i]
            for k in range(begin[i], begin[i + 1]):
                sums[at[k]] += w[k] * step[i]
        curve = 0.0
        for i in range(m):
            dot = 0.0
            for k in range(begin[i], begin[i + 1]):
                dot += w[k] * sums[at[k]]
            image[i] = variance * dot + bias * whole + noise[i] * step[i]
            curve += image[i] * step[i]
        length = old / curve
        new = 0.0
        for i in range(m):
            alpha[i] += length * step[i]
            rest[i] -= length * image[i]
            new += rest[i] * rest[i]
        for i in range(m):
            step[i] = rest[i] + new / old * step[i]
        old = new
    for k in range(n):
        sums[at[k]] = 0.0
    seen = np.zeros(n_places, np.float64)
    whole = 0.0
    for i in range(m):
        whole += alpha[i]
        for k in range(begin[i], begin[i + 1]):
            sums[at[k]] += w[k] * alpha[i]
            seen[at[k]] += w[k] * w[k]
    for c in range(candidates.shape[0]):
        s = candidates[c]
        dot = 0.0
        known = 0.0
        for k in range(n_tokens[s]):
            token = tokens[s, k]
            place = (token * np.uint32(2654435761)) & mask
            while used[place] and names[place] != token:
                place = (place + np.uint32(1)) & mask
            if used[place]:
                dot += weights[s, k] * sums[place]
                known += weights[s, k] * weights[s, k] * seen[place]
        out[c, 0] = variance * dot + bias * whole
        out[c, 1] = known / (known + 1.0)
