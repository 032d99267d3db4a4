"""Kernels of behaviour history: decayed counters, what users saw last, pairs of documents.

Counters lie in a table with open places: C[k] = impressions, clicks, conversions of what has the
tag k, as they were at `when[k]`; they fade with a half-life. A user's ring holds the documents
they saw last, each with r = what they did − what everybody does.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["add_count", "add_pairs", "affinity", "fill_weights", "pair_features", "read_counts"]

MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
N_PROBES = 8


@kernel
def _mixed(a: np.uint64, b: np.uint64) -> np.uint64:
    h = (a ^ (b * MIX_2)) * MIX_1
    h = (h ^ (h >> HALF)) * MIX_2
    return np.uint64(h ^ (h >> HALF))


@kernel
def _find(tags: NDArray[np.uint64], tag: np.uint64) -> np.int64:
    """Return the place of a tag, -1 if it is not there."""
    mask = tags.shape[0] - 1
    first = np.int64(tag & np.uint64(mask))
    for n in range(N_PROBES):
        place = (first + n) & mask
        if tags[place] == tag:
            return np.int64(place)
        if tags[place] == np.uint64(0):
            return np.int64(-1)
    return np.int64(-1)


@kernel
def _claim(
    tags: NDArray[np.uint64], worth: NDArray[np.float32], tag: np.uint64
) -> tuple[np.int64, bool]:
    """Return the place of a tag and whether it is new there; the least worth gives way."""
    mask = tags.shape[0] - 1
    first = np.int64(tag & np.uint64(mask))
    least = first
    for n in range(N_PROBES):
        place = (first + n) & mask
        if tags[place] == tag:
            return place, False
        if tags[place] == np.uint64(0):
            tags[place] = tag
            return place, True
        if worth[place] < worth[least]:
            least = place
    tags[least] = tag
    return least, True


@kernel
def add_count(
    tags: NDArray[np.uint64],
    counts: NDArray[np.float32],
    worth: NDArray[np.float32],
    when: NDArray[np.float64],
    scope: np.uint64,
    values: NDArray[np.uint64],
    what: int,
    amounts: NDArray[np.float64],
    now: float,
    rate: float,
) -> None:
    """Add to one counter of each value in a scope.

    Parameters
    ----------
    tags, counts, worth, when
        The table, overwritten: shapes ``(m,)``, ``(m, 3)``, ``(m,)``, ``(m,)``, `m` a power of 2.
    scope, values
        Their mix is the tag; values shape ``(n,)``.
    what
        0: an impression, 1: a click, 2: a conversion.
    amounts
        How much is added to each, shape ``(n,)``.
    now
        In seconds. What happened before the counter's own moment counts less, too.
    rate
        A counter is multiplied by ``exp(-rate · seconds)``.
    """
    for k in range(values.shape[0]):
        tag = _mixed(values[k], scope)
        place, is_new = _claim(tags, worth, tag)
        if is_new:
            counts[place, :] = 0.0
            when[place] = now
        lag = now - when[place]
        if lag >= 0.0:
            fade = math.exp(-rate * lag)
            for j in range(3):
                counts[place, j] *= fade
            counts[place, what] += amounts[k]
            when[place] = now
        else:
            counts[place, what] += amounts[k] * math.exp(rate * lag)
        worth[place] = counts[place, 0] + counts[place, 1]


@kernel
def read_counts(
    tags: NDArray[np.uint64],
    counts: NDArray[np.float32],
    when: NDArray[np.float64],
    scopes: NDArray[np.uint64],
    values: NDArray[np.uint64],
    now: float,
    rate: float,
    out: NDArray[np.float64],
) -> None:
    """Read the counters of values in scopes as they are `now`; 0 where there is none.

    Parameters
    ----------
    tags, counts, when
        The table, as in `add_count`.
    scopes, values
        Shapes ``(s,)``, ``(n,)``.
    out
        Overwritten, shape ``(n, s, 3)``.
    """
    for k in range(values.shape[0]):
        for s in range(scopes.shape[0]):
            place = _find(tags, _mixed(values[k], scopes[s]))
            for j in range(3):
                out[k, s, j] = 0.0
            if place >= 0:
                fade = math.exp(-rate * max(0.0, now - when[place]))
                for j in range(3):
                    out[k, s, j] = counts[place, j] * fade


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


@kernel
def add_pairs(
    marks: NDArray[np.uint8],
    tags: NDArray[np.uint64],
    together: NDArray[np.float32],
    scope: np.uint64,
    item: np.uint64,
    others: NDArray[np.uint64],
    amount: float,
) -> None:
    """Count that the same user took a document and each of the others.

    Parameters
    ----------
    marks
        A bit for each place of the table, shape ``(m / 8,)``: most pairs never were, which
        these tell without a look at it. Overwritten.
    tags, together
        The table, shape ``(m,)``, `m` a power of two. Overwritten.
    scope
        Everybody or a market.
    item, others
        Keys; others shape ``(n,)``.
    amount
        Usually 1.
    """
    for k in range(others.shape[0]):
        low, high = min(item, others[k]), max(item, others[k])
        tag = _mixed(_mixed(low, high), scope)
        place, is_new = _claim(tags, together, tag)
        if is_new:
            together[place] = 0.0
        bit = tag & np.uint64(8 * marks.shape[0] - 1)
        marks[bit >> np.uint64(3)] |= np.uint8(1 << (bit & np.uint64(7)))
        together[place] += amount


@kernel
def _together(
    marks: NDArray[np.uint8],
    tags: NDArray[np.uint64],
    together: NDArray[np.float32],
    scope: np.uint64,
    a: np.uint64,
    b: np.uint64,
) -> float:
    tag = _mixed(_mixed(min(a, b), max(a, b)), scope)
    bit = tag & np.uint64(8 * marks.shape[0] - 1)
    if not (marks[bit >> np.uint64(3)] >> (bit & np.uint64(7))) & 1:
        return 0.0
    place = _find(tags, tag)
    return float(together[place]) if place >= 0 else 0.0


@kernel
def _solve(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x with gram · x = 1 by Cholesky's factors; `gram` is overwritten."""
    m = gram.shape[0]
    x = np.ones(m)
    for i in range(m):
        for j in range(i + 1):
            dot = gram[i, j]
            for k in range(j):
                dot -= gram[i, k] * gram[j, k]
            if i == j:
                # Counts fade one by one, so the matrix may fall short of positive definite.
                gram[i, i] = math.sqrt(max(dot, 1e-3 * gram[i, i]))
            else:
                gram[i, j] = dot / gram[j, j]
    for i in range(m):
        for k in range(i):
            x[i] -= gram[i, k] * x[k]
        x[i] /= gram[i, i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            x[i] -= gram[k, i] * x[k]
        x[i] /= gram[i, i]
    return x


@kernel
def pair_features(
    marks: NDArray[np.uint8],
    tags: NDArray[np.uint64],
    together: NDArray[np.float32],
    scope: np.uint64,
    taken: NDArray[np.uint64],
    n_taken: NDArray[np.float64],
    candidates: NDArray[np.uint64],
    n_candidates: NDArray[np.float64],
    held: np.uint64,
    prior: float,
    out: NDArray[np.float64],
) -> None:
    """Compare candidates with what a user took by who else took both.

    Parameters
    ----------
    marks, tags, together, scope
        As in `add_pairs`.
    taken, n_taken
        Documents that the user took, and how often each was taken by anybody; shape ``(m,)``.
    candidates, n_candidates
        The same of the candidates, shape ``(n,)``.
    held
        A document whose taking by this user is to be left out of all counts, as if it had never
        been; 0: none.
    prior
        Added to each document's count: pairs of rare documents are chance.
    out
        Overwritten, shape ``(n, 6)``: sum of cosines; of conditional rates; the two largest
        cosines; how many of the taken were ever taken with it; ridge regression on the taken.
    """
    m = taken.shape[0]
    gram = np.zeros((m, m))
    for i in range(m):
        gram[i, i] = n_taken[i] + 10.0 * prior
        for j in range(i):
            # The user's own taking of both says nothing new.
            both = max(0.0, _together(marks, tags, together, scope, taken[i], taken[j]) - 1.0)
            gram[i, j] = both
            gram[j, i] = both
    alpha = _solve(gram)
    for c in range(candidates.shape[0]):
        is_held = candidates[c] == held and held != np.uint64(0)
        less = 1.0 if is_held else 0.0
        n_c = max(0.0, n_candidates[c] - less)
        for j in range(6):
            out[c, j] = 0.0
        for i in range(m):
            if taken[i] == candidates[c]:
                continue
            both = _together(marks, tags, together, scope, taken[i], candidates[c]) - less
            if both <= 0.0:
                continue
            cosine = both / math.sqrt((n_c + prior) * (n_taken[i] + prior))
            out[c, 0] += cosine
            out[c, 1] += both / (n_taken[i] + prior)
            if cosine > out[c, 2]:
                out[c, 3] = out[c, 2]
                out[c, 2] = cosine
            elif cosine > out[c, 3]:
                out[c, 3] = cosine
            out[c, 4] += 1.0
            out[c, 5] += both * alpha[i]
        out[c, 5] /= math.sqrt(n_c + prior)
