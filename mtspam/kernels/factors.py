"""Kernels of factors: items as vectors, so that what a user took tells of what they will take.

s(J, c) = |J|^-½ Σ_{j in J} p_j · q_c + b_c, learnt from pairs of taken and drawn documents.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["begin_factors", "learn_factors", "read_factors", "repeat_factors"]

_MIX_1 = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_3 = np.uint64(0x94D049BB133111EB)
_N_DRAWS = 8


@kernel
def _next(state: NDArray[np.uint64]) -> np.uint64:
    """Step a SplitMix64 generator: the same draws on every machine."""
    state[0] += _MIX_1
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * _MIX_2
    z = (z ^ (z >> np.uint64(27))) * _MIX_3
    return np.uint64(z ^ (z >> np.uint64(31)))


@kernel
def _below(state: NDArray[np.uint64], n: int) -> np.int64:
    """Return a whole number from 0 to `n` - 1, `n` up to 2^31."""
    return np.int64(((_next(state) >> np.uint64(33)) * np.uint64(n)) >> np.uint64(31))


@kernel
def _drawn(
    homes: NDArray[np.int32], home: int, n_items: int, state: NDArray[np.uint64]
) -> np.int64:
    """Return a document of a market, or any one if few draws meet none of that market."""
    item = _below(state, n_items)
    for _ in range(_N_DRAWS):
        if homes[item] == home:
            break
        item = _below(state, n_items)
    return item


@kernel
def begin_factors(
    given: NDArray[np.float32],
    wanted: NDArray[np.float32],
    bias: NDArray[np.float32],
    slot: int,
    key: np.uint64,
    spread: float,
) -> None:
    """Give a new document small vectors that its key alone decides.

    Parameters
    ----------
    given, wanted, bias
        p, q and b of documents, overwritten at `slot`: shapes ``(n, d)``, ``(n, d)``, ``(n,)``.
    spread
        Numbers are drawn evenly from ± this.
    """
    state = np.empty(1, np.uint64)
    state[0] = key
    bias[slot] = 0.0
    for k in range(given.shape[1]):
        a = float(_next(state) >> np.uint64(11)) / 9007199254740992.0
        b = float(_next(state) >> np.uint64(11)) / 9007199254740992.0
        given[slot, k] = spread * (2.0 * a - 1.0)
        wanted[slot, k] = spread * (2.0 * b - 1.0)


@kernel
def learn_factors(
    given: NDArray[np.float32],
    wanted: NDArray[np.float32],
    bias: NDArray[np.float32],
    taken: NDArray[np.int64],
    homes: NDArray[np.int32],
    home: int,
    n_items: int,
    n_steps: int,
    rate: float,
    decay: float,
    state: NDArray[np.uint64],
) -> None:
    """Learn from a user who took one document more.

    Each step takes one of the documents, the new one first, foresees it from the others, and moves
    it above one that is drawn from those of the user's market: above one of another it stands
    anyway.

    Parameters
    ----------
    given, wanted, bias
        p, q and b; overwritten.
    taken
        What the user took, the new one last; shape ``(m,)``.
    homes, home
        The market in which each document was last taken, shape ``(n,)``; the user's market.
    n_items
        Documents are drawn from the first so many.
    n_steps
        How many steps are gone.
    rate, decay
        Of a step; how far what it touches shrinks, per step and unit of rate.
    state
        Of the generator, shape ``(1,)``; overwritten.

    References
    ----------
    Kabbur, Ning and Karypis, "FISM: Factored Item Similarity Models for Top-N Recommender
    Systems", KDD 2013; Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit
    Feedback", UAI 2009.
    """
    m, d = taken.shape[0], given.shape[1]
    if m < 2 or n_items < 2:
        return
    user = np.empty(d, np.float32)
    scale = np.float32(1.0 / math.sqrt(m - 1.0))
    shrink = np.float32(1.0 - rate * decay)
    shrink_given = np.float32(1.0 - rate * decay / (m - 1.0))
    for step in range(n_steps):
        target = m - 1 if step == 0 else _below(state, m)
        i, j = taken[target], _drawn(homes, home, n_items, state)
        is_taken = False
        for t in range(m):
            is_taken |= taken[t] == j
        if is_taken:
            continue
        user[:] = 0.0
        for t in range(m):
            if t != target:
                for k in range(d):
                    user[k] += given[taken[t], k]
        margin = float(bias[i] - bias[j])
        for k in range(d):
            user[k] *= scale
            margin += user[k] * (wanted[i, k] - wanted[j, k])
        pull = np.float32(rate / (1.0 + math.exp(min(margin, 30.0))))
        bias[i] = shrink * bias[i] + pull
        bias[j] = shrink * bias[j] - pull
        for k in range(d):
            apart = pull * scale * (wanted[i, k] - wanted[j, k])
            wanted[i, k] = shrink * wanted[i, k] + pull * user[k]
            wanted[j, k] = shrink * wanted[j, k] - pull * user[k]
            for t in range(m):
                if t != target:
                    s = taken[t]
                    given[s, k] = shrink_given * given[s, k] + apart


@kernel
def repeat_factors(
    given: NDArray[np.float32],
    wanted: NDArray[np.float32],
    bias: NDArray[np.float32],
    taken: NDArray[np.int64],
    generations: NDArray[np.int64],
    n_taken: NDArray[np.int64],
    generation: NDArray[np.int64],
    homes: NDArray[np.int32],
    user_homes: NDArray[np.int32],
    n_users: int,
    n_items: int,
    n_repeats: int,
    n_steps: int,
    rate: float,
    decay: float,
    state: NDArray[np.uint64],
) -> None:
    """Learn once more from users who are drawn.

    Parameters
    ----------
    given, wanted, bias, n_items, rate, decay, state
        As in `learn_factors`.
    taken, generations, n_taken
        Rings of what users took, the generation of each document then, and how many were taken
        in all: shapes ``(u, r)``, ``(u, r)``, ``(u,)``.
    generation
        Of documents now, shape ``(n,)``: of another one the place is somebody else's.
    homes, user_homes
        The market in which each document was last taken, and each user took one last; shapes
        ``(n,)``, ``(u,)``.
    n_users
        Users are drawn from the first so many.
    n_repeats, n_steps
        How many users, and how many steps for each.
    """
    if n_users == 0:
        return
    fresh = np.empty(taken.shape[1], np.int64)
    for _ in range(n_repeats):
        user = _below(state, n_users)
        m = 0
        for t in range(min(n_taken[user], taken.shape[1])):
            slot = taken[user, t]
            if generation[slot] == generations[user, t]:
                fresh[m] = slot
                m += 1
        learn_factors(
            given, wanted, bias, fresh[:m], homes, user_homes[user], n_items,
            min(n_steps, m), rate, decay, state,
        )  # fmt: skip


@kernel
def read_factors(
    given: NDArray[np.float32],
    wanted: NDArray[np.float32],
    bias: NDArray[np.float32],
    taken: NDArray[np.int64],
    candidates: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Foresee what a user will take.

    Parameters
    ----------
    given, wanted, bias
        p, q and b.
    taken, candidates
        Documents, shapes ``(m,)`` and ``(n,)``; a candidate below 0 is not known.
    out
        Overwritten, shape ``(n,)``; 0 for what is not known. A candidate that was taken is
        foreseen from the others.
    """
    m, d = taken.shape[0], given.shape[1]
    user = np.zeros(d, np.float64)
    for t in range(m):
        for k in range(d):
            user[k] += given[taken[t], k]
    for c in range(candidates.shape[0]):
        s = candidates[c]
        out[c] = 0.0
        if s < 0:
            continue
        n = m
        dot = 0.0
        for k in range(d):
            dot += user[k] * wanted[s, k]
        for t in range(m):
            if taken[t] == s:
                n -= 1
                for k in range(d):
                    dot -= given[s, k] * wanted[s, k]
        out[c] = bias[s] + dot / math.sqrt(max(n, 1))
