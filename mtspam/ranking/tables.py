"""From events to a table that trees can be grown from: features as of then, grades from later."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings
from mtspam.errors import DataError
from mtspam.ranking.memory import Memory
from mtspam.ranking.rowstore import RowStore
from mtspam.search.events import Event, Interaction, Judgement, RankingShown
from mtspam.search.features import FeatureTable

__all__ = ["noting", "table_of", "truth_of"]


def table_of(events: Iterable[Event], memory: Memory, settings: RankingSettings) -> FeatureTable:
    """Make the table of all rankings among events.

    Parameters
    ----------
    events
        By time.
    memory
        Empty; it takes every event after what was known before it has been read.
    settings
        Which interactions are clicks and conversions.

    Raises
    ------
    DataError
        If there is no ranking among them.
    """
    maker = _Maker(memory, settings)
    for event in events:
        maker.observe(event)
    return maker.table()


def noting(events: Iterable[Event], rankings: list[str]) -> Iterator[Event]:
    """Yield events, and add to a list the ids of the rankings that `table_of` makes queries of."""
    for event in events:
        if isinstance(event, RankingShown) and event.items:
            rankings.append(event.id)
        yield event


def truth_of(
    table: FeatureTable, rankings: Sequence[str], n: int, settings: RankingSettings
) -> dict[str, NDArray[np.floating]]:
    """Return what the candidates of the last rankings turned out to be worth, by ranking.

    Parameters
    ----------
    table
        Of these rankings, in their order.
    rankings
        Their ids.
    n
        How many, the last ones; not more than the settings allow.
    settings
        How far a conversion is what counts rather than a click.
    """
    worth: NDArray[np.floating] = table.click
    share = settings.conversion_share
    if share > 0.0:
        worth = (1.0 - share) * table.click + share * np.nan_to_num(table.conversion)
    offsets = table.offsets.tolist()
    first = max(0, table.n_queries - min(n, settings.guard_rankings))
    return {
        rankings[number]: worth[offsets[number] : offsets[number + 1]]
        for number in range(first, table.n_queries)
    }


class _Maker:
    """Gathers rows while events pass."""

    def __init__(self, memory: Memory, settings: RankingSettings) -> None:
        self._memory = memory
        self._clicks = set(settings.click_kinds.split())
        self._conversions = set(settings.conversion_kinds.split())
        history = memory.history
        self._behind: tuple[str, ...] = () if history is None else history.columns
        self._columns: tuple[str, ...] = ()
        self._known: set[tuple[str, ...]] = set()
        self._rows = RowStore(len(self._behind))
        self._items: list[NDArray[np.uint64]] = []
        self._grades: list[NDArray[np.float32]] = []
        self._numbers: dict[str, int] = {}
        self._queries: dict[str, list[tuple[int, str, str]]] = {}
        self._judgements: list[Judgement] = []
        self._facts: list[tuple[int, int, int]] = []
        self._markets: dict[str, int] = {}

    def observe(self, event: Event) -> None:
        """Add a ranking's rows, or a grade to rows that are there."""
        if isinstance(event, RankingShown):
            if event.items:
                self._add(event)
        elif isinstance(event, Interaction):
            number = self._numbers.get(event.ranking)
            if number is not None:
                for task, kinds in enumerate((self._clicks, self._conversions)):
                    if event.kind in kinds:
                        self._grade(number, task, event.item, 1.0)
        elif isinstance(event, Judgement):
            self._judgements.append(event)
        self._memory.observe(event)

    def _add(self, event: RankingShown) -> None:
        names = self._memory.names_of(event)
        if names not in self._known:
            self._known.add(names)
            self._columns = tuple(dict.fromkeys((*self._columns, *names)))
            self._rows.widen(len(self._columns))
        front, behind = self._rows.add(len(event.items))
        self._memory.fill(front, event, self._columns)
        if self._memory.history is not None:
            behind[:] = self._memory.history.read(event)
        self._items.append(
            np.array([self._memory.key(one.item) for one in event.items], np.uint64)
        )
        grades = np.zeros((2, len(event.items)), np.float32)
        grades[0] = [one.label or 0.0 for one in event.items]
        self._grades.append(grades)
        number = self._numbers[event.id] = len(self._facts)
        if event.query:
            asked = number, event.user, event.market
            self._queries.setdefault(event.query, []).append(asked)
        market = -1
        if event.market:
            market = self._markets.setdefault(event.market, len(self._markets))
        user = self._memory.key(f"user {event.user}") if event.user else 0
        self._facts.append((user, market, event.time))

    def _grade(self, number: int, task: int, item: str, grade: float) -> None:
        rows = self._items[number] == np.uint64(self._memory.key(item))
        grades = self._grades[number][task]
        grades[rows] = np.maximum(grades[rows], grade)

    def _judge(self, event: Judgement) -> None:
        """Grade a document in the rankings of its query, whenever they were shown.

        What nobody in particular judged, or of no market, holds for all of them.
        """
        for number, user, market in self._queries.get(event.query, ()):
            is_theirs = not event.user or user in {event.user, ""}
            if is_theirs and event.market in {market, ""}:
                self._grade(number, 0, event.item, event.grade)

    def table(self) -> FeatureTable:
        """Join all rows."""
        if not self._facts:
            raise DataError("there is no ranking to learn from")
        for judgement in self._judgements:
            self._judge(judgement)
        sizes = [len(items) for items in self._items]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
        values = self._rows.matrix()
        grades = np.concatenate(self._grades, axis=1)
        converts = bool(grades[1].any())
        return FeatureTable(
            columns=(*self._columns, *self._behind),
            values=values,
            offsets=offsets,
            items=np.concatenate(self._items),
            position=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
            click=np.ascontiguousarray(grades[0]),
            conversion=np.ascontiguousarray(grades[1])
            if converts
            else np.full(len(values), np.nan, np.float32),
            user=np.array([fact[0] for fact in self._facts], np.uint64),
            market=np.array([fact[1] for fact in self._facts], np.int32),
            time=np.array([fact[2] for fact in self._facts], np.int64),
            markets=tuple(self._markets),
        )
