"""What is known of documents and users when a query comes: fields, hashes, numbers of deeds."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings
from mtspam.kernels.residual import gather_hashes
from mtspam.ranking.exploring import PROPENSITY
from mtspam.ranking.residual import CandidateHashes
from mtspam.search.blocks import BlockFields
from mtspam.search.events import Event, FieldValue, Interaction, Item, RankingShown
from mtspam.search.keys import key

__all__ = ["HOST_PLACE", "HOST_SCORE", "History", "Memory"]

HOST_PLACE, HOST_SCORE = "host place", "host score"

_MIX = np.uint64(0x9E3779B97F4A7C15)
_LEAF = np.uint64(0x51ED270B37C9A16D)
_MANY_KEYS = 200_000
_FIRST_ROOM = 1 << 10
_MANY_LAYOUTS = 64
A = TypeVar("A", bound=np.generic)


class History(Protocol):
    """Counters of what was shown and what was done with it: `observe` writes, `read` reads.

    Parameters
    ----------
    columns
        Names of the features that `read` gives.
    act_columns
        Names of those that `read_acts` gives.
    """

    columns: tuple[str, ...]
    act_columns: tuple[str, ...]

    @property
    def has_acts(self) -> bool:
        """Whether anybody did anything but click and buy."""
        ...

    def observe(self, event: Event) -> None:
        """Take an event into account from its time on."""
        ...

    def read(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return features of the candidates as of the ranking's time, ``(n, n_columns)``."""
        ...

    def read_acts(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return features of interactions besides clicks, ``(n, n_act_columns)``."""
        ...


class Memory:
    """Fields and hashes of documents, deeds of users, rankings that wait for clicks.

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
        self.pending: OrderedDict[str, str] = OrderedDict()
        self._secret = secret
        self._most_pending = settings.pending_rankings
        self._deeds: dict[str, int] = {}
        self._early_deeds: OrderedDict[str, int] = OrderedDict()
        self._keys: dict[str, int] = {}
        self._documents: dict[str, int] = {}
        self._keys_of = np.zeros(_FIRST_ROOM, np.uint64)
        self._places = np.zeros((_FIRST_ROOM, 2), np.int64)
        self._pool = np.zeros(_FIRST_ROOM, np.uint64)
        self._pool_end = 0
        self._names: dict[str, int] = {}
        self._numbers = np.full((_FIRST_ROOM, 0), np.nan, np.float32)
        self._layouts: dict[tuple[str, ...], _Layout] = {}

    # Writing.

    def observe(self, event: Event) -> None:
        """Take an event into account: what is asked afterwards knows of it."""
        if isinstance(event, Item):
            self._observe_item(event)
        elif isinstance(event, RankingShown):
            self.pending[event.id] = event.user
            if len(self.pending) > self._most_pending:
                self.pending.popitem(last=False)
            self._count(event.user, self._early_deeds.pop(event.id, 0))
        elif isinstance(event, Interaction) and event.is_done:
            shown = self.pending.get(event.ranking)
            user = event.user or shown or ""
            self._count(user, 1)
            if not user and event.ranking and shown is None:
                early = self._early_deeds.get(event.ranking, 0)
                self._early_deeds[event.ranking] = early + 1
                if len(self._early_deeds) > self._most_pending:
                    self._early_deeds.popitem(last=False)
        if self.history is not None:
            self.history.observe(event)

    def _count(self, user: str, n_deeds: int) -> None:
        if user and n_deeds:
            self._deeds[user] = self._deeds.get(user, 0) + n_deeds

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
        self._note_numbers(document, numbers)
        start, end = self._pool_end, self._pool_end + len(hashes)
        self._pool = _with_room(self._pool, end)
        self._pool[start:end] = np.array(hashes, np.uint64)
        self._pool_end = end
        self._places = _with_room(self._places, document + 1)
        self._places[document] = start, len(hashes)
        self._keys_of = _with_room(self._keys_of, document + 1)
        self._keys_of[document] = self.key(event.item)

    def _note_numbers(self, document: int, numbers: dict[str, float]) -> None:
        """Put a document's own numbers into its row; the first row is of unknown documents."""
        names = self._names
        for name in numbers:
            names.setdefault(name, len(names))
        n_missing = len(names) - self._numbers.shape[1]
        if n_missing > 0:
            more = np.full((len(self._numbers), n_missing), np.nan, np.float32)
            self._numbers = np.concatenate([self._numbers, more], axis=1)
            self._layouts.clear()
        self._numbers = _with_room(self._numbers, document + 2)
        row = self._numbers[document + 1]
        row[:] = np.nan
        for name, number in numbers.items():
            row[names[name]] = number

    # Reading.

    def key(self, name: str) -> int:
        """Return the key of a name under the installation's secret; 0 for the empty one."""
        found = self._keys.get(name)
        if found is None:
            if len(self._keys) >= _MANY_KEYS:
                self._keys.clear()
            found = self._keys[name] = key(name, self._secret)
        return found

    def n_deeds(self, user: str) -> int:
        """Return how often a user, as the journal names them, clicked or did anything else."""
        return self._deeds.get(user, 0)

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

    def names_of(self, ranking: RankingShown) -> tuple[str, ...]:
        """Name all numbers that are known of candidates: the columns that `values` can fill."""
        names = [HOST_PLACE, HOST_SCORE]
        names += [name for name, value in ranking.fields.items() if _is_number(value)]
        if self._names:
            own = self._numbers[self._documents_of([one.item for one in ranking.items]) + 1]
            first = np.argmax(~np.isnan(own), axis=0).tolist()
            known = np.flatnonzero(~np.isnan(own).all(axis=0)).tolist()
            every = list(self._names)
            names += [every[place] for place in sorted(known, key=lambda place: first[place])]
        # What came of a ranking is not known when it is asked for, and no feature.
        names += [name for name in _block_of(ranking)[0] if name != PROPENSITY]
        if self.history is not None and self.history.has_acts:
            names += self.history.act_columns
        return tuple(dict.fromkeys(names))

    def values(self, ranking: RankingShown, columns: tuple[str, ...]) -> NDArray[np.float32]:
        """Return features of candidates by the names of columns, NaN where nothing is known."""
        out = np.empty((len(ranking.items), len(columns)), np.float32)
        self.fill(out, ranking, columns)
        return out

    def fill(
        self, out: NDArray[np.float32], ranking: RankingShown, columns: tuple[str, ...]
    ) -> None:
        """Write features of candidates by the names of columns, NaN where nothing is known.

        Parameters
        ----------
        out
            Overwritten, shape ``(n, len(columns))``.
        ranking
            The candidates.
        columns
            Their names; those of history may be some of what `history` has.
        """
        layout = self._layouts.get(columns)
        if layout is None:
            if len(self._layouts) >= _MANY_LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[columns] = _Layout.of(columns, self._names)
        place_of = layout.place_of
        out[:] = np.nan
        if layout.own_columns:
            documents = self._documents_of([one.item for one in ranking.items])
            out[:, layout.own_columns] = self._numbers[documents + 1][:, layout.own_places]
        if HOST_PLACE in place_of:
            out[:, place_of[HOST_PLACE]] = ranking.host_places
        if HOST_SCORE in place_of:
            out[:, place_of[HOST_SCORE]] = [one.score for one in ranking.items]
        for name, value in ranking.fields.items():
            if name in place_of and isinstance(value, float | int):
                out[:, place_of[name]] = value
        names, block = _block_of(ranking)
        layout.put(out, names, block)
        if self.history is not None and self.history.act_columns[0] in place_of:
            layout.put(out, self.history.act_columns, self.history.read_acts(ranking))
        if self.history is not None and self.history.columns[0] in place_of:
            # By name: a version that was trained with fewer of them has others where these end.
            layout.put(out, self.history.columns, self.history.read(ranking))


_Places = slice | list[int]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where what is known goes in rows of some columns.

    Parameters
    ----------
    place_of
        The place of each column.
    own_columns, own_places
        Places of the documents' own numbers in a row, and where these are kept.
    blocks
        By the names of a request's numbers: their places in a row, and in the request.
    """

    place_of: dict[str, int]
    own_columns: list[int]
    own_places: list[int]
    blocks: dict[tuple[str, ...], tuple[_Places, _Places]] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: tuple[str, ...], own: dict[str, int]) -> "_Layout":
        """Lay out rows of some columns, where documents have numbers of their own."""
        there = [name for name in columns if name in own]
        place_of = {name: place for place, name in enumerate(columns)}
        return cls(place_of, [place_of[name] for name in there], [own[name] for name in there])

    def put(
        self, out: NDArray[np.float32], names: tuple[str, ...], block: NDArray[np.floating]
    ) -> None:
        """Write those of some named columns that belong in the rows."""
        there, here = self._block_places(names)
        if isinstance(there, slice) or there:
            out[:, there] = block[:, here]

    def _block_places(self, names: tuple[str, ...]) -> tuple[_Places, _Places]:
        """Return where named columns go, and which of them."""
        found = self.blocks.get(names)
        if found is None:
            if len(self.blocks) >= _MANY_LAYOUTS:
                self.blocks.clear()
            known = [place for place, name in enumerate(names) if name in self.place_of]
            there = [self.place_of[names[place]] for place in known]
            found = self.blocks[names] = _sliced(there), _sliced(known)
        return found


def _sliced(places: list[int]) -> _Places:
    """Return places that follow on each other as a slice, which is quicker."""
    if not places or places != list(range(places[0], places[0] + len(places))):
        return places
    return slice(places[0], places[0] + len(places))


def _with_room(array: NDArray[A], size: int) -> NDArray[A]:
    """Return the array, twice as long if it is too short."""
    while size > len(array):
        array = np.concatenate([array, np.zeros_like(array)])
    return array


def _block_of(ranking: RankingShown) -> tuple[tuple[str, ...], NDArray[np.float64]]:
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
            is_whole = rows == list(range(len(first.block)))
            return tuple(first.places), first.block if is_whole else first.block[rows]
    names = tuple([name for name, value in first.items() if _is_number(value)])
    try:
        if len(names) > 1:
            pick = itemgetter(*names)
            flat = list(chain.from_iterable([pick(one.fields) for one in items]))
            return names, np.array(flat, np.float64).reshape(len(items), len(names))
    except (KeyError, TypeError, ValueError):
        pass  # not all candidates have the same fields
    every = tuple(
        dict.fromkeys(
            name for one in items for name, value in one.fields.items() if _is_number(value)
        )
    )
    rows_of = [[_number(one.fields.get(name)) for name in every] for one in items]
    return every, np.array(rows_of, np.float64).reshape(len(items), len(every))


def _is_number(value: FieldValue | None) -> bool:
    return isinstance(value, float | int)


def _number(value: FieldValue | None) -> float:
    return float(value) if isinstance(value, float | int) else float("nan")
