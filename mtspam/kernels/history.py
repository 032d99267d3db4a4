"""Kernels of behaviour history: decayed counters, pairs of documents taken together.

Counters lie in a table with open places: C[k] = impressions, clicks, conversions of what has the
tag k, as they were at `when[k]`; they fade with a half-life.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = [
    "add_count",
    "add_pairs",
    "field_rates",
    "latest_seen",
    "pair_features",
    "read_counts",
]

MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
N_PROBES = 8
LEAST_PIVOT = 0.1  # of the ridge: counts without one user's own may take as much


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
                    out[k, s, j] = float(counts[place, j]) * fade


@kernel
def field_rates(
    table: tuple[NDArray[np.uint64], NDArray[np.float32], NDArray[np.float64]],
    slots: NDArray[np.int64],
    tokens: NDArray[np.uint32],
    n_tokens: NDArray[np.int32],
    scopes: tuple[np.uint64, np.uint64],
    moment: tuple[float, float],
    prior: tuple[float, float],
    out: NDArray[np.float64],
) -> None:
    """Take the mean rate of each document's field values, for everybody and a market.

    Parameters
    ----------
    table
        Tags, counts and moments of counters, as in `read_counts`.
    slots
        Documents, -1 for one that is not known; shape ``(n,)``.
    tokens, n_tokens
        Field values of all documents, shape ``(d, t)``, and how many each has, ``(d,)``.
    scopes
        Of everybody's counters of field values, and of the market's; 0: no market.
    moment
        Now, in seconds, and the rate at which counters fade.
    prior
        The rate of anything, and how many impressions that is worth; a market's rate is drawn
        towards everybody's.
    out
        Overwritten, shape ``(n, 2)``; the mean has the rate of anything as one value more.
    """
    tags, counts, when = table
    now, fading = moment
    mean, strength = prior
    for i in range(slots.shape[0]):
        n = n_tokens[slots[i]] if slots[i] >= 0 else 0
        totals = (0.0, 0.0)
        for t in range(n):
            value = np.uint64(tokens[slots[i], t])
            above = mean
            rates = (mean, mean)
            for s in range(2):
                if scopes[s] != np.uint64(0):
                    shown = clicks = 0.0
                    place = _find(tags, _mixed(value, scopes[s]))
                    if place >= 0:
                        fade = math.exp(-fading * max(0.0, now - when[place]))
                        shown = float(counts[place, 0]) * fade
                        clicks = float(counts[place, 1]) * fade
                    above = (clicks + strength * above) / (max(shown, clicks) + strength)
                rates = (above, rates[1]) if s == 0 else (rates[0], above)
            totals = (totals[0] + rates[0], totals[1] + rates[1])
        out[i, 0] = (totals[0] + mean) / (n + 1.0)
        out[i, 1] = (totals[1] + mean) / (n + 1.0)


@kernel
def latest_seen(
    slots: NDArray[np.int64],
    ring: NDArray[np.int64],
    when: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write when each document was last in a ring, NaN if it never was.

    Parameters
    ----------
    slots
        Documents, shape ``(n,)``.
    ring, when
        Documents seen and when; shape ``(m,)``.
    out
        Overwritten, shape ``(n,)``.
    """
    for i in range(slots.shape[0]):
        latest = -np.inf
        for k in range(ring.shape[0]):
            if ring[k] == slots[i] and when[k] > latest:
                latest = when[k]
        out[i] = latest if latest > -np.inf else np.nan


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
def _solve(gram: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Return x with gram · x = 1 by Cholesky's factors.

    Counts fade one by one, while those of pairs stay, so that the matrix may fall short of
    positive definite and the answer grow without bound. Where a pivot is below `least`, what is
    off the diagonal is halved until none is.
    """
    m = gram.shape[0]
    factor = np.zeros((m, m))
    share = 1.0
    is_sound = False
    while not is_sound:
        is_sound = True
        for i in range(m):
            for j in range(i + 1):
                dot = gram[i, j] * (1.0 if i == j else share)
                for k in range(j):
                    dot -= factor[i, k] * factor[j, k]
                if i > j:
                    factor[i, j] = dot / factor[j, j]
                elif dot >= least:
                    factor[i, i] = math.sqrt(dot)
                else:
                    is_sound = False
            if not is_sound:
                share *= 0.5
                break
    x = np.ones(m)
    for i in range(m):
        for k in range(i):
            x[i] -= factor[i, k] * x[k]
        x[i] /= factor[i, i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            x[i] -= factor[k, i] * x[k]
        x[i] /= factor[i, i]
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
    prior
        Added to each document's count: pairs of rare documents are chance.
    out
        Overwritten, shape ``(n, 8)``: sum of cosines; of conditional rates; the two largest
        cosines; how many of the taken were ever taken with it; ridge regression on the taken;
        the mean of Jaccard's coefficients, those of rare documents shrunk, and the largest one.
    """
    m = taken.shape[0]
    gram, ridge = np.zeros((m, m)), 10.0 * prior
    for i in range(m):
        gram[i, i] = n_taken[i] + ridge
        for j in range(i):
            # The user's own taking of both says nothing new.
            both = max(0.0, _together(marks, tags, together, scope, taken[i], taken[j]) - 1.0)
            gram[i, j] = both
            gram[j, i] = both
    alpha = _solve(gram, LEAST_PIVOT * ridge)
    for c in range(candidates.shape[0]):
        n_c = n_candidates[c]
        for j in range(8):
            out[c, j] = 0.0
        for i in range(m):
            if taken[i] == candidates[c]:
                continue
            both = _together(marks, tags, together, scope, taken[i], candidates[c])
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
            # Counts fade, pairs do not: who took either are at least those who took both.
            either = max(n_c + n_taken[i] - both, both)
            out[c, 6] += both / (either + 2.0 * prior)
            out[c, 7] = max(out[c, 7], both / (either + 0.5 * prior))
        out[c, 5] /= math.sqrt(n_c + prior)
        out[c, 6] /= max(m, 1)
