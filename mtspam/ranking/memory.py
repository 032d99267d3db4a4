"""What is known of documents and users when a query comes: fields, hashes, numbers of clicks."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings
from mtspam.journal.searchpacking import BlockFields
from mtspam.kernels.residual import gather_hashes
from mtspam.ranking.residual import CandidateHashes
from mtspam.search.events import Event, FieldValue, Interaction, Item, RankingShown
from mtspam.search.keys import key

__all__ = ["HOST_PLACE", "HOST_SCORE", "History", "Memory"]

HOST_PLACE, HOST_SCORE = "host place", "host score"

_MIX = np.uint64(0x9E3779B97F4A7C15)
_LEAF = np.uint64(0x51ED270B37C9A16D)
_MANY_KEYS = 200_000
_FIRST_ROOM = 1 << 10
A = TypeVar("A", bound=np.generic)


class History(Protocol):
    """Counters of what was shown and what was done with it: `observe` writes, `read` reads.

    Parameters
    ----------
    columns
        Names of the features that `read` gives.
    """

    columns: tuple[str, ...]

    def observe(self, event: Event) -> None:
        """Take an event into account from its time on."""
        ...

    def read(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return features of the candidates as of the ranking's time, ``(n, n_columns)``."""
        ...


class Memory:
    """Fields and hashes of documents, clicks of users, rankings that wait for clicks.

    Parameters
    ----------
    settings
        Sizes and names.
    secret
        Of the installation: seeds the hashes.
    history
        Counters, if there are any.
    """

    def __init__(
        self, settings: RankingSettings, secret: bytes, history: History | None = None
    ) -> None:
        self.history = history
        self.pending: OrderedDict[str, RankingShown] = OrderedDict()
        self._secret = secret
        self._most_pending = settings.pending_rankings
        self._clicks: dict[str, int] = {}
        self._kinds = {*settings.click_kinds.split(), *settings.conversion_kinds.split()}
        self._keys: dict[str, int] = {}
        self._documents: dict[str, int] = {}
        self._numbers: list[Mapping[str, float]] = []
        self._keys_of = np.zeros(_FIRST_ROOM, np.uint64)
        self._places = np.zeros((_FIRST_ROOM, 2), np.int64)
        self._pool = np.zeros(_FIRST_ROOM, np.uint64)
        self._pool_end = 0
        self._columns: tuple[str, ...] = ()
        self._place_of: dict[str, int] = {}
        self._own_columns: list[int] = []
        self._own_values = np.zeros((0, 0), np.float32)

    # Writing.

    def observe(self, event: Event) -> None:
        """Take an event into account: what is asked afterwards knows of it."""
        if isinstance(event, Item):
            self._observe_item(event)
        elif isinstance(event, RankingShown):
            self.pending[event.id] = event
            if len(self.pending) > self._most_pending:
                self.pending.popitem(last=False)
        elif isinstance(event, Interaction) and event.kind in self._kinds:
            shown = self.pending.get(event.ranking)
            user = event.user or (shown.user if shown is not None else "")
            if user:
                self._clicks[user] = self._clicks.get(user, 0) + 1
        if self.history is not None:
            self.history.observe(event)

    def _observe_item(self, event: Item) -> None:
        numbers: dict[str, float] = {}
        hashes: list[int] = []
        for name, value in event.fields.items():
            if isinstance(value, float | int):
                numbers[name] = float(value)
            elif isinstance(value, str):
                hashes.append(self.key(f"{name}={value}"))
            elif value and isinstance(value[0], str):
                hashes += [self.key(f"{name}={one}") for one in value]
        document = self._documents.setdefault(event.item, len(self._documents))
        if document == len(self._numbers):
            self._numbers.append(numbers)
        else:
            self._numbers[document] = numbers
        start, end = self._pool_end, self._pool_end + len(hashes)
        self._pool = _with_room(self._pool, end)
        self._pool[start:end] = np.array(hashes, np.uint64)
        self._pool_end = end
        self._places = _with_room(self._places, document + 1)
        self._places[document] = start, len(hashes)
        self._keys_of = _with_room(self._keys_of, document + 1)
        self._keys_of[document] = self.key(event.item)
        self._lay_out_one(document, numbers)

    # Reading.

    def key(self, name: str) -> int:
        """Return the key of a name under the installation's secret; 0 for the empty one."""
        found = self._keys.get(name)
        if found is None:
            if len(self._keys) >= _MANY_KEYS:
                self._keys.clear()
            found = self._keys[name] = key(name, self._secret)
        return found

    def n_clicks(self, user: str) -> int:
        """Return how often a user, as the journal names them, has clicked."""
        return self._clicks.get(user, 0)

    def level_keys(self, ranking: RankingShown) -> NDArray[np.uint64]:
        """Return the keys of everybody, the market and the user."""
        market = self.key(f"market {ranking.market}") if ranking.market else 0
        user = self.key(f"user {ranking.user}") if ranking.user else 0
        return np.array([0, market, user], np.uint64)

    def hashes(self, ranking: RankingShown, leaves: NDArray[np.int32] | None) -> CandidateHashes:
        """Return the hashes of candidates: document, its fields, the query with it, leaves.

        Parameters
        ----------
        ranking
            The candidates.
        leaves
            Of the first trees, shape ``(n, n_trees)``; None: no trees.
        """
        names = [one.item for one in ranking.items]
        documents = self._documents_of(names)
        keys = self._keys_of[documents]
        places = self._places[documents]
        for row in np.flatnonzero(documents < 0).tolist():
            keys[row] = self.key(names[row])
            places[row] = 0
        columns = [keys[:, None]]
        if ranking.query:
            query = np.uint64(self.key(f"query {ranking.query.casefold()}"))
            columns.append(((keys ^ query) * _MIX)[:, None])
        if leaves is not None and leaves.shape[1]:
            trees = np.arange(1, leaves.shape[1] + 1, dtype=np.uint64) * _LEAF
            columns.append((leaves.astype(np.uint64) + trees) * _MIX)
        extra = np.concatenate(columns, axis=1)
        out = np.empty(int(places[:, 1].sum()) + extra.size, np.uint64)
        offsets = np.empty(len(names) + 1, np.int64)
        gather_hashes(self._pool, places, extra, out, offsets)
        return out, offsets

    def _documents_of(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the number of each document, -1 for those of which nothing was ever told."""
        known = self._documents
        return np.array([known.get(name, -1) for name in names], np.int64)

    def numbers_of(self, ranking: RankingShown) -> dict[str, NDArray[np.float64]]:
        """Return all numbers that are known of candidates, by name, each of shape ``(n,)``."""
        n = len(ranking.items)
        found: dict[str, NDArray[np.float64]] = {
            HOST_PLACE: np.array(ranking.host_places, np.float64),
            HOST_SCORE: np.array([one.score for one in ranking.items]),
        }
        for name, value in ranking.fields.items():
            if isinstance(value, float | int):
                found[name] = np.full(n, float(value))
        for row, item in enumerate(ranking.items):
            document = self._documents.get(item.item)
            own = {} if document is None else self._numbers[document]
            for name, number in own.items():
                found.setdefault(name, np.full(n, np.nan))[row] = number
        names, block = _block_of(ranking)
        found.update(zip(names, block.T, strict=True))
        return found

    def values(self, ranking: RankingShown, columns: tuple[str, ...]) -> NDArray[np.float32]:
        """Return features of candidates by the names of columns, NaN where nothing is known."""
        if columns != self._columns:
            self._lay_out(columns)
        place_of = self._place_of
        n = len(ranking.items)
        out = np.full((n, len(columns)), np.nan, np.float32)
        if self._own_columns:
            documents = self._documents_of([one.item for one in ranking.items])
            out[:, self._own_columns] = self._own_values[documents + 1]
        if HOST_PLACE in place_of:
            out[:, place_of[HOST_PLACE]] = ranking.host_places
        if HOST_SCORE in place_of:
            out[:, place_of[HOST_SCORE]] = [one.score for one in ranking.items]
        for name, value in ranking.fields.items():
            if name in place_of and isinstance(value, float | int):
                out[:, place_of[name]] = value
        names, block = _block_of(ranking)
        known = [(place_of[name], place) for place, name in enumerate(names) if name in place_of]
        if known:
            there, here = (list(side) for side in zip(*known, strict=True))
            out[:, there] = block[:, here]
        if self.history is not None and self.history.columns[0] in place_of:
            first = place_of[self.history.columns[0]]
            out[:, first : first + len(self.history.columns)] = self.history.read(ranking)
        return out

    def _lay_out(self, columns: tuple[str, ...]) -> None:
        """Lay the documents' own numbers out by columns; the first row is of unknown ones."""
        self._columns = columns
        self._place_of = {name: place for place, name in enumerate(columns)}
        names = {name for numbers in self._numbers for name in numbers}
        own = [name for name in columns if name in names]
        self._own_columns = [self._place_of[name] for name in own]
        self._own_values = np.full((len(self._numbers) + 1, len(own)), np.nan, np.float32)
        for place, name in enumerate(own):
            self._own_values[1:, place] = [one.get(name, np.nan) for one in self._numbers]

    def _lay_out_one(self, document: int, numbers: Mapping[str, float]) -> None:
        """Bring one document's row up to date, or have all laid out anew where it has more."""
        places = [self._place_of[name] for name in numbers if name in self._place_of]
        if not self._columns or not set(places) <= set(self._own_columns):
            self._columns = ()
            return
        self._own_values = _with_room(self._own_values, document + 2)
        self._own_values[document + 1] = [
            numbers.get(self._columns[place], np.nan) for place in self._own_columns
        ]


def _with_room(array: NDArray[A], size: int) -> NDArray[A]:
    """Return the array, twice as long if it is too short."""
    while size > len(array):
        array = np.concatenate([array, np.zeros_like(array)])
    return array


def _block_of(ranking: RankingShown) -> tuple[Sequence[str], NDArray[np.float64]]:
    """Return the numbers that the request itself has of candidates: names, and a row for each."""
    items = ranking.items
    if not items:
        return (), np.empty((0, 0))
    first = items[0].fields
    if isinstance(first, BlockFields):
        rows = [
            one.fields.row
            for one in items
            if isinstance(one.fields, BlockFields) and one.fields.block is first.block
        ]
        if len(rows) == len(items):
            return list(first.places), first.block[rows]
    names = [name for name, value in first.items() if _is_number(value)]
    try:
        if len(names) > 1:
            pick = itemgetter(*names)
            flat = chain.from_iterable([pick(one.fields) for one in items])
            shape = (len(items), len(names))
            return names, np.fromiter(flat, np.float64, shape[0] * shape[1]).reshape(shape)
    except (KeyError, TypeError, ValueError):
        pass  # not all candidates have the same fields
    every = dict.fromkeys(
        name for one in items for name, value in one.fields.items() if _is_number(value)
    )
    rows_of = [[_number(one.fields.get(name)) for name in every] for one in items]
    return list(every), np.array(rows_of, np.float64).reshape(len(items), len(every))


def _is_number(value: FieldValue | None) -> bool:
    return isinstance(value, float | int)


def _number(value: FieldValue | None) -> float:
    return float(value) if isinstance(value, float | int) else float("nan")
