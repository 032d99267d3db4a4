"""Features of candidates from history, as of a moment; nothing is written here."""

import math

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels.affinity import affinity, fill_weights
from mtspam.kernels.factors import read_factors
from mtspam.kernels.history import field_rates, latest_seen, pair_features, read_counts
from mtspam.search.events import RankingShown
from mtspam.search.historystate import MOST_SEEN, HistoryState
from mtspam.search.keys import key

__all__ = ["ACT_COLUMNS", "COLUMNS", "EVERYBODY", "OF_ACTS", "OF_FIELDS", "HistoryReader"]

_PAIRS = (
    "cosine",
    "conditional",
    "nearest",
    "second",
    "related",
    "ridge",
    "jaccard",
    "nearest jaccard",
)
COLUMNS = tuple(
    f"history {name}"
    for name in (
        "rate everyone",
        "rate market",
        "rate you",
        "conversions everyone",
        "conversions market",
        "shown everyone",
        "shown market",
        "shown you",
        "clicks everyone",
        "clicks market",
        "clicks you",
        "rate query",
        "shown query",
        "fields everyone",
        "fields market",
        "affinity",
        "likeness",
        "age shown you",
        "dwell",
        "your clicks",
        "your shown",
        "your rate",
        *(f"together everyone {name}" for name in _PAIRS),
        *(f"together market {name}" for name in _PAIRS),
        "rate behind best",
        "affinity behind best",
        "cosine of best",
        "ridge of best",
        "jaccard of best",
        "taste",
        "taste behind best",
    )
)
_PAIRS_EVERYONE = 22
_PAIRS_MARKET = _PAIRS_EVERYONE + len(_PAIRS)
_BESIDE_BEST = _PAIRS_MARKET + len(_PAIRS)

ACT_COLUMNS = tuple(
    f"history {name}"
    for name in (
        "acts everyone",
        "acts market",
        "acts you",
        "acts you here",
        "your acts",
        "age acted you",
        "acts since",
        "latest act",
    )
)
"""Of interactions that are neither clicks nor conversions: apart, as many hosts tell of none."""

EVERYBODY = 1
"""The scope of all users; no key of a market or a user is as small."""
OF_FIELDS = 2
"""Tells a scope's counters of field values from those of documents."""
OF_ACTS = 3
"""Tells a scope's counters of other interactions from those of clicks."""
_CG_STEPS = 12
_USER_BIAS = 0.02
_PAIR_PRIOR = 5.0
_FADE_OF_SEEN_DAYS = 180.0


class HistoryReader:
    """Reads a state.

    Parameters
    ----------
    state
        Somebody else writes it.
    """

    def __init__(self, state: HistoryState) -> None:
        self._state = state

    def rates(self, values: NDArray[np.uint64], now: float) -> NDArray[np.float64]:
        """Return how often everybody clicks documents, by their keys, shape ``(n,)``."""
        found = self._counts(values, (EVERYBODY,), now)[:, 0]
        return _shrunk(found, self._state.mean_rate(), self._state.settings.smoothing)

    def _counts(
        self, values: NDArray[np.uint64], scopes: tuple[int, ...], now: float
    ) -> NDArray[np.float64]:
        state = self._state
        out = np.empty((values.size, len(scopes), 3))
        table = state.tags, state.counts, state.when
        read_counts(*table, np.array(scopes, np.uint64), values, now, state.rate, out)
        return out

    def read(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return features of candidates, shape ``(n, len(COLUMNS))``."""
        state, now = self._state, ranking.time / 1000.0
        n = len(ranking.items)
        out = np.zeros((n, len(COLUMNS)))
        if n == 0:
            return out.astype(np.float32)
        secret = state.secret
        names = [one.item for one in ranking.items]
        slots = state.known(names)
        values = np.where(slots >= 0, state.item_keys[slots], np.uint64(0))
        market = key(f"market {ranking.market}", secret) if ranking.market else 0
        user = key(f"user {ranking.user}", secret) if ranking.user else 0
        query = key(f"query {ranking.query.casefold()}", secret) if ranking.query else 0
        counts = self._counts(values, (EVERYBODY, market, user, query), now)
        place = state.user(ranking.user)
        if not market:
            counts[:, 1] = 0.0
        self._rates(out, counts)
        self._fields(out, slots, market, now)
        self._user(out, slots, place, now)
        taken = state.taken_by(place)
        if taken.size:
            for first, scope, level in (
                (_PAIRS_EVERYONE, EVERYBODY, 0),
                (_PAIRS_MARKET, market, 1),
            ):
                if scope:
                    own = slice(first, first + len(_PAIRS))
                    n_values = counts[:, level, 1]
                    out[:, own] = self._pairs(scope, taken, values, n_values, now)
        beside = out[:, _BESIDE_BEST:]
        beside[:, 0] = out[:, 0] - out[:, 0].max()
        beside[:, 1] = out[:, 15] - out[:, 15].max()
        for place, name in enumerate(("cosine", "ridge", "jaccard"), 2):
            column = out[:, _PAIRS_EVERYONE + _PAIRS.index(name)]
            beside[:, place] = column / max(column.max(), 1e-6)
        taste = np.empty(n)
        read_factors(state.given, state.wanted, state.bias, taken, slots, taste)
        beside[:, 5] = taste
        beside[:, 6] = taste - taste.max()
        return out.astype(np.float32)

    def read_acts(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return what else people did with candidates, shape ``(n, len(ACT_COLUMNS))``.

        By everybody, the market and the user; of the user's latest with each candidate how long
        ago it was, how many they did since, and its kind (16 bits of its hash); not a number where
        there was none.
        """
        state, now = self._state, ranking.time / 1000.0
        slots = state.known([one.item for one in ranking.items])
        out = np.zeros((slots.size, len(ACT_COLUMNS)))
        values = np.where(slots >= 0, state.item_keys[slots], np.uint64(0))
        market = key(f"market {ranking.market}", state.secret) if ranking.market else 0
        scopes = (EVERYBODY ^ OF_ACTS, market ^ OF_ACTS)[: 2 if market else 1]
        out[:, : len(scopes)] = np.log1p(self._counts(values, scopes, now)[:, :, 1])
        acted, when, kinds = state.acts_of(state.user(ranking.user))
        is_of = slots[:, None] == acted
        n_acts = is_of.sum(axis=1)
        out[:, 2] = np.log1p(n_acts)
        out[:, 3] = math.log1p(n_acts.sum())
        out[:, 4] = math.log1p(acted.size)
        out[:, 5:] = np.nan
        done = np.flatnonzero(n_acts)
        latest = is_of[done].argmax(axis=1) if done.size else done
        out[done, 5] = np.log1p(np.maximum(now - when[latest], 0.0))
        out[done, 6] = latest
        out[done, 7] = kinds[latest]
        return out.astype(np.float32)

    def _rates(self, out: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
        """Rates level by level, each smoothed towards the one above; beta-binomial means."""
        k, mean = self._state.settings.smoothing, self._state.mean_rate()
        out[:, 0] = _shrunk(counts[:, 0], mean, k)
        out[:, 1] = _shrunk(counts[:, 1], out[:, 0], k)
        out[:, 2] = _shrunk(counts[:, 2], out[:, 1], k)
        for level in (0, 1):
            above = 0.05 if level == 0 else out[:, 3]
            clicks, conversions = counts[:, level, 1], counts[:, level, 2]
            out[:, 3 + level] = (conversions + k * above) / (np.maximum(clicks, conversions) + k)
        out[:, 5:8] = np.log1p(counts[:, :3, 0])
        out[:, 8:11] = np.log1p(counts[:, :3, 1])
        out[:, 11] = _shrunk(counts[:, 3], out[:, 0], k)
        out[:, 12] = np.log1p(counts[:, 3, 0])

    def _fields(
        self, out: NDArray[np.float64], slots: NDArray[np.int64], market: int, now: float
    ) -> None:
        """Mean rates of the documents' field values, for everybody and the market."""
        state = self._state
        own = market ^ OF_FIELDS if market else 0
        found = np.empty((slots.size, 2))
        field_rates(
            (state.tags, state.counts, state.when),
            slots,
            state.tokens,
            state.n_tokens,
            (np.uint64(EVERYBODY ^ OF_FIELDS), np.uint64(own)),
            (now, state.rate),
            (state.mean_rate(), state.settings.smoothing),
            found,
        )
        out[:, 13:15] = found

    def _user(
        self, out: NDArray[np.float64], slots: NDArray[np.int64], place: int, now: float
    ) -> None:
        """Tell what the user did about documents like these, and about these."""
        state, settings = self._state, self._state.settings
        n_items = state.n_described
        known = np.maximum(slots, 0)
        dwells = state.dwells[known]
        out[:, 17] = np.nan
        out[:, 18] = np.where(
            (slots >= 0) & (dwells[:, 1] > 0), dwells[:, 0] / np.maximum(dwells[:, 1], 1), np.nan
        )
        if place < 0:
            return
        n = min(int(state.n_seen[place]), MOST_SEEN)
        ring = state.seen[place, :n]
        fresh = state.generation[ring] == state.seen_generation[place, :n]
        ring, residual, when = (
            ring[fresh],
            state.residual[place, :n][fresh].astype(np.float64),
            state.seen_when[place, :n][fresh],
        )
        days = np.maximum(0.0, now - when) / 86_400.0
        noise = settings.affinity_noise * np.exp(np.minimum(days / _FADE_OF_SEEN_DAYS, 20.0))
        table = state.tokens, state.n_tokens, state.weights
        is_known = slots >= 0
        some = slots[is_known]
        both = np.concatenate([ring, some])
        fill_weights(
            both,
            state.tokens,
            state.fields,
            state.n_tokens,
            state.weights,
            state.stamps,
            state.frequency,
            n_items,
        )
        found = np.zeros((some.size, 2))
        affinity(
            ring,
            residual,
            noise,
            some,
            *table,
            settings.affinity_variance,
            _USER_BIAS,
            _CG_STEPS,
            found,
        )
        out[is_known, 15:17] = found
        latest = np.empty(slots.size)
        latest_seen(slots, ring, when, latest)
        out[:, 17] = np.log1p(np.maximum(now - latest, 0.0))
        taken, shown = float(state.n_taken[place]), float(state.n_seen[place])
        out[:, 19], out[:, 20] = math.log1p(taken), math.log1p(shown)
        out[:, 21] = (taken + 10.0 * state.mean_rate()) / (shown + 10.0)

    def _pairs(
        self,
        scope: int,
        taken: NDArray[np.int64],
        values: NDArray[np.uint64],
        n_values: NDArray[np.float64],
        now: float,
    ) -> NDArray[np.float64]:
        """Compare documents with those that the user took by who else took both."""
        state = self._state
        keys_taken = state.item_keys[taken]
        n_taken = self._counts(keys_taken, (scope,), now)[:, 0, 1]
        rows = np.zeros((values.size, len(_PAIRS)))
        pair_features(
            state.pair_marks,
            state.pair_tags,
            state.together,
            np.uint64(scope),
            keys_taken,
            np.ascontiguousarray(n_taken),
            values,
            np.ascontiguousarray(n_values),
            _PAIR_PRIOR,
            rows,
        )
        return rows


def _shrunk(
    counts: NDArray[np.float64], above: float | NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    """Return the mean of a beta-binomial rate whose prior is the level above."""
    shown = np.maximum(counts[..., 0], counts[..., 1])
    rate: NDArray[np.float64] = (counts[..., 1] + strength * above) / (shown + strength)
    return rate
