"""The arrays behind history: documents and users by place, tables of counters and of pairs."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from mtspam.config.history import HistorySettings
from mtspam.kernels.factors import begin_factors, learn_factors, repeat_factors
from mtspam.search.events import FieldValue, Item
from mtspam.search.keys import key

__all__ = ["MOST_ACTED", "MOST_SEEN", "MOST_TAKEN", "HistoryState"]

MOST_SEEN = 128
"""Latest documents shown to a user that are kept: some rankings' worth."""
MOST_TAKEN = 32
"""Latest documents taken by a user that are kept."""
MOST_ACTED = 32
"""Latest interactions of a user besides clicks and conversions that are kept."""
_MOST_TOKENS = 32
_MOST_VALUES = 12
"""Values of one field that are kept, so that one field cannot crowd out the others."""
_LONGEST_VALUE = 64
"""Longer texts are prose: that is for `mtspam.search.text`."""
_FREQUENCY_BITS = 18
_N_PLACES = 256
_FACTOR_SPREAD = 0.1
_FACTOR_STEPS = 4
_MANY_HOMES = 1 << 16
"""So many markets are told apart where documents are drawn."""
_DAY_SECONDS = 86_400.0


class HistoryState:
    """Arrays of fixed size; what has not been seen for longest gives way.

    Parameters
    ----------
    settings
        Sizes.
    secret
        Seeds the keys.
    """

    def __init__(self, settings: HistorySettings, secret: bytes) -> None:
        self.settings = settings
        self.rate = math.log(2.0) / (settings.half_life_days * _DAY_SECONDS)
        self.secret = secret
        n = settings.items
        self._items: OrderedDict[str, int] = OrderedDict()
        self.item_keys = np.zeros(n, np.uint64)
        self.generation = np.zeros(n, np.int64)
        self.tokens = np.zeros((n, _MOST_TOKENS), np.uint32)
        self.fields = np.zeros((n, _MOST_TOKENS), np.uint8)
        self.n_tokens = np.zeros(n, np.int32)
        self.weights = np.zeros((n, _MOST_TOKENS), np.float32)
        self.stamps = np.zeros(n, np.int64)
        self.dwells = np.zeros((n, 2), np.float32)
        self.frequency = np.zeros(1 << _FREQUENCY_BITS, np.int32)
        self.n_described = 0
        self._field_numbers: dict[str, int] = {}
        self._begin_users(settings.users)
        self.n_acts = 0
        size = 1 << settings.counter_bits
        self.tags = np.zeros(size, np.uint64)
        self.counts = np.zeros((size, 3), np.float32)
        self.worth = np.zeros(size, np.float32)
        self.when = np.zeros(size, np.float64)
        self.pair_marks = np.zeros(1 << (settings.pair_bits - 3), np.uint8)
        self.pair_tags = np.zeros(1 << settings.pair_bits, np.uint64)
        self.together = np.zeros(1 << settings.pair_bits, np.float32)
        self.given = np.zeros((n, settings.factor_size), np.float32)
        self.wanted = np.zeros((n, settings.factor_size), np.float32)
        self.bias = np.zeros(n, np.float32)
        self._homes = np.zeros(n, np.int32)
        self._home_numbers: dict[str, int] = {}
        self._generator = np.ones(1, np.uint64)
        self._place_clicks = np.zeros(_N_PLACES)
        self._place_expected = np.zeros(_N_PLACES)
        self.n_shown = 0.0
        self.n_clicked = 0.0

    def _begin_users(self, m: int) -> None:
        self._users: OrderedDict[str, int] = OrderedDict()
        self.seen = np.zeros((m, MOST_SEEN), np.int64)
        self.seen_generation = np.zeros((m, MOST_SEEN), np.int64)
        self.residual = np.zeros((m, MOST_SEEN), np.float32)
        self.seen_when = np.zeros((m, MOST_SEEN), np.float64)
        self.n_seen = np.zeros(m, np.int64)
        self.taken = np.zeros((m, MOST_TAKEN), np.int64)
        self.taken_generation = np.zeros((m, MOST_TAKEN), np.int64)
        self.n_taken = np.zeros(m, np.int64)
        self.acted = np.zeros((m, MOST_ACTED), np.int64)
        self.acted_generation = np.zeros((m, MOST_ACTED), np.int64)
        self.acted_when = np.zeros((m, MOST_ACTED), np.float64)
        self.acted_kind = np.zeros((m, MOST_ACTED), np.uint16)
        self.n_acted = np.zeros(m, np.int64)
        self._user_homes = np.zeros(m, np.int32)

    # Documents.

    def slots(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of documents, shape ``(n,)``; new ones get one."""
        return np.array([self.slot(name) for name in names], np.int64)

    def slot(self, name: str) -> int:
        """Return the place of a document; a new one gets that of the one seen longest ago."""
        slot = self._items.get(name)
        if slot is not None:
            self._items.move_to_end(name)
            return slot
        if len(self._items) < self.settings.items:
            slot = len(self._items)
        else:
            _, slot = self._items.popitem(last=False)
            self._undescribe(slot)
            self.dwells[slot] = 0.0
            self.generation[slot] += 1
        self._items[name] = slot
        item = np.uint64(key(f"item {name}", self.secret))
        self.item_keys[slot] = item
        begin_factors(self.given, self.wanted, self.bias, slot, item, _FACTOR_SPREAD)
        return slot

    def known(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of documents without changing anything, -1 for unknown ones."""
        return np.fromiter(map(self._items.get, names, repeat(-1)), np.int64, len(names))

    def describe(self, item: Item) -> None:
        """Take over the fields of a document, in place of what was known of it."""
        slot = self.slot(item.item)
        self._undescribe(slot)
        n = 0
        for name, value in item.fields.items():
            number = self._field_numbers.setdefault(name, len(self._field_numbers) % 256)
            for text in _values(value)[: min(_MOST_VALUES, _MOST_TOKENS - n)]:
                token = key(f"{name}={text}", self.secret) & 0xFFFFFFFF
                self.tokens[slot, n] = token
                self.fields[slot, n] = number
                n += 1
        self.n_tokens[slot] = n
        self.stamps[slot] = 0
        if n:
            self.n_described += 1
            np.add.at(self.frequency, self.tokens[slot, :n] % self.frequency.size, 1)

    def _undescribe(self, slot: int) -> None:
        n = self.n_tokens[slot]
        if n:
            self.n_described -= 1
            np.add.at(self.frequency, self.tokens[slot, :n] % self.frequency.size, -1)
        self.n_tokens[slot] = 0

    def dwell(self, slot: int, seconds: float) -> None:
        """Note how long somebody stayed with a document."""
        if seconds > 0.0:
            self.dwells[slot] += (math.log1p(seconds), 1.0)

    # Users.

    def user(self, name: str, *, is_new: bool = False) -> int:
        """Return the place of a user, -1 for one who is not known; with `is_new` they get one."""
        slot = self._users.get(name, -1) if name else -1
        if slot >= 0 or not name or not is_new:
            return slot
        if len(self._users) < self.settings.users:
            slot = len(self._users)
        else:
            _, slot = self._users.popitem(last=False)
            self.n_seen[slot] = self.n_taken[slot] = self.n_acted[slot] = 0
        self._users[name] = slot
        return slot

    def see(
        self, user: str, slots: NDArray[np.int64], residual: NDArray[np.float64], now: float
    ) -> None:
        """Note what a user was shown, and what everybody would have done about it."""
        place = self.user(user, is_new=True)
        if place < 0:
            return
        self._users.move_to_end(user)
        slots, residual = slots[:MOST_SEEN], residual[:MOST_SEEN]
        ring = (self.n_seen[place] + np.arange(slots.size)) % MOST_SEEN
        self.seen[place, ring] = slots
        self.seen_generation[place, ring] = self.generation[slots]
        self.residual[place, ring] = residual
        self.seen_when[place, ring] = now
        self.n_seen[place] += slots.size

    def take(self, user: str, slot: int, market: str, now: float) -> NDArray[np.int64] | None:
        """Note what a user took; return what they took before, None if this was among it."""
        self.n_clicked += 1.0
        place = self.user(user, is_new=True)
        if place < 0:
            return None
        self._users.move_to_end(user)
        kept = min(int(self.n_seen[place]), MOST_SEEN)
        latest = (self.n_seen[place] - 1 - np.arange(kept)) % MOST_SEEN
        hits = latest[self.seen[place, latest] == slot]
        if hits.size:
            self.residual[place, hits[0]] += 1.0
        else:
            self.see(user, np.array([slot]), np.array([1.0 - self.mean_rate()]), now)
        before = self.taken_by(place)
        if slot in before:
            return None
        ring = self.n_taken[place] % MOST_TAKEN
        self.taken[place, ring] = slot
        self.taken_generation[place, ring] = self.generation[slot]
        self.n_taken[place] += 1
        home = self._home_numbers.setdefault(market, len(self._home_numbers) % _MANY_HOMES)
        self._homes[slot] = self._user_homes[place] = home
        self._learn_factors(np.append(before, slot), home)
        return before

    def _learn_factors(self, taken: NDArray[np.int64], home: int) -> None:
        """Learn from what a user took, the new one last, and once more from some others."""
        settings = self.settings
        rate, decay, generator = settings.factor_rate, settings.factor_decay, self._generator
        factors = self.given, self.wanted, self.bias
        n_items = len(self._items)
        learn_factors(
            *factors, taken, self._homes, home, n_items, min(_FACTOR_STEPS, taken.size),
            rate, decay, generator,
        )  # fmt: skip
        repeat_factors(
            *factors, self.taken, self.taken_generation, self.n_taken, self.generation,
            self._homes, self._user_homes, len(self._users), n_items,
            settings.factor_repeats, _FACTOR_STEPS, rate, decay, generator,
        )  # fmt: skip

    def taken_by(self, place: int) -> NDArray[np.int64]:
        """Return the documents that the user at a place took lately."""
        if place < 0:
            return np.zeros(0, np.int64)
        n = min(int(self.n_taken[place]), MOST_TAKEN)
        slots = self.taken[place, :n]
        fresh: NDArray[np.int64] = slots[
            self.generation[slots] == self.taken_generation[place, :n]
        ]
        return fresh

    def act(self, user: str, slot: int, kind: str, now: float) -> None:
        """Note what else a user did with a document than to click or to buy it."""
        self.n_acts += 1
        place = self.user(user, is_new=True)
        if place < 0:
            return
        self._users.move_to_end(user)
        ring = self.n_acted[place] % MOST_ACTED
        self.acted[place, ring] = slot
        self.acted_generation[place, ring] = self.generation[slot]
        self.acted_when[place, ring] = now
        # A hash, not a number by first appearance: trees keep it, whoever is forgotten.
        self.acted_kind[place, ring] = key(f"kind {kind}", self.secret) & 0xFFFF
        self.n_acted[place] += 1

    def acts_of(
        self, place: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint16]]:
        """Return documents, moments and kinds of a user's latest acts, the last one first."""
        n = int(self.n_acted[place]) if place >= 0 else 0
        ring = (n - 1 - np.arange(min(n, MOST_ACTED))) % MOST_ACTED
        slots = self.acted[place, ring]
        ring = ring[self.generation[slots] == self.acted_generation[place, ring]]
        return self.acted[place, ring], self.acted_when[place, ring], self.acted_kind[place, ring]

    # Places in a list.

    def expect(self, expected: NDArray[np.float64]) -> None:
        """Note the clicks that a ranking should get at each place."""
        n = min(expected.size, _N_PLACES)
        self._place_expected[:n] += expected[:n]
        self.n_shown += expected.size

    def clicked_at(self, place: int) -> None:
        """Note a click at a place."""
        if place < _N_PLACES:
            self._place_clicks[place] += 1.0

    def mean_rate(self) -> float:
        """Return how often anything is taken that is shown."""
        return (self.n_clicked + 1.0) / (max(self.n_shown, self.n_clicked) + 10.0)

    def examination(self, n: int) -> NDArray[np.float64]:
        """Return clicks over expected clicks at the first `n` places, 1 on average."""
        prior = self.settings.position_prior
        mean = (self._place_clicks.sum() + 1.0) / (self._place_expected.sum() + 1.0)
        ratio = (self._place_clicks / mean + prior) / (self._place_expected + prior)
        found: NDArray[np.float64] = ratio[np.minimum(np.arange(n), _N_PLACES - 1)]
        return found


def _values(value: FieldValue) -> list[str]:
    """Return what a field says as values that documents can share; no numbers, no prose."""
    if isinstance(value, bool):
        return [str(value)]
    if isinstance(value, str):
        return [value.casefold()] if 0 < len(value) <= _LONGEST_VALUE else []
    if isinstance(value, tuple):
        return [one.casefold() for one in dict.fromkeys(value) if isinstance(one, str)]
    return []
