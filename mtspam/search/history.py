"""What people were shown and did: `observe` writes it, `read` gives features as of a moment."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtspam.config.history import HistorySettings
from mtspam.kernels.history import add_count, add_pairs
from mtspam.search.events import Event, Interaction, Item, RankingShown
from mtspam.search.historyreading import (
    ACT_COLUMNS,
    COLUMNS,
    EVERYBODY,
    OF_ACTS,
    OF_FIELDS,
    HistoryReader,
)
from mtspam.search.historystate import HistoryState
from mtspam.search.keys import key

__all__ = ["History", "Shown"]

_IMPRESSION, _CLICK, _CONVERSION = 0, 1, 2
_MANY_PENDING = 20_000
_LARGEST_EXAMINATION = 3.0
_LEAST_EXAMINATION = 0.05


@dataclass(slots=True)
class Shown:
    """A ranking that may still be clicked."""

    user: str
    market: str
    query: str
    places: dict[str, int]
    done: set[tuple[str, str]] = field(default_factory=set)


class History:
    """Decayed counters, users' latest documents, pairs of documents; of bounded size.

    Events are taken in the order in which they come; a late one counts as of its own time. A
    click that comes before its ranking is kept for it.

    Parameters
    ----------
    settings
        Sizes, half-life, smoothing; None: the defaults.
    click_kinds, conversion_kinds
        Interactions that count as a click and as a conversion.
    secret
        Seeds the hashes, so that nobody outside can aim at a bucket.

    Examples
    --------
    >>> from mtspam.search.events import Interaction, RankingShown, ShownItem
    >>> history = History()
    >>> items = (ShownItem("a"), ShownItem("b"))
    >>> history.observe(RankingShown(id="1", time=0, items=items, user="ana"))
    >>> history.observe(
    ...     Interaction(id="2", time=1, kind="click", item="b", ranking="1", user="ana"))
    >>> rates = history.read(RankingShown(id="3", time=2, items=items))[:, 0]
    >>> bool(rates[1] > rates[0])
    True
    """

    columns = COLUMNS
    act_columns = ACT_COLUMNS

    def __init__(
        self,
        settings: HistorySettings | None = None,
        *,
        click_kinds: Sequence[str] = ("click",),
        conversion_kinds: Sequence[str] = ("conversion", "purchase"),
        secret: bytes = b"",
    ) -> None:
        self.settings = settings or HistorySettings()
        self._state = HistoryState(self.settings, secret)
        self._reader = HistoryReader(self._state)
        self._clicks = frozenset(click_kinds)
        self._conversions = frozenset(conversion_kinds)
        self._secret = secret
        self._pending: OrderedDict[str, Shown] = OrderedDict()
        self._early: OrderedDict[str, list[Interaction]] = OrderedDict()

    @property
    def state(self) -> HistoryState:
        """The arrays, to be kept in a file."""
        return self._state

    def observe(self, event: Event) -> None:
        """Take an event into account: what is read afterwards knows of it."""
        if isinstance(event, Item):
            self._state.describe(event)
        elif isinstance(event, RankingShown):
            self._show(event)
        elif isinstance(event, Interaction):
            self._interact(event)

    def read(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return features of candidates as of the ranking's time.

        Returns
        -------
        NDArray
            Shape ``(n, len(columns))``.
        """
        return self._reader.read(ranking)

    @property
    def has_acts(self) -> bool:
        """Whether anybody did anything else with a document than to click or to buy it."""
        return self._state.n_acts > 0

    def read_acts(self, ranking: RankingShown) -> NDArray[np.float32]:
        """Return features of such interactions as of the ranking's time.

        Returns
        -------
        NDArray
            Shape ``(n, len(act_columns))``.
        """
        return self._reader.read_acts(ranking)

    def _show(self, event: RankingShown) -> None:
        if event.id in self._pending:
            return
        state, now = self._state, event.time / 1000.0
        names = [one.item for one in event.items]
        slots = state.slots(names)
        values = state.item_keys[slots]
        examined = self.examination(len(names))
        rates = self._reader.rates(values, now)
        state.expect(rates)
        for scope in self._scopes(event.user, event.market, event.query):
            self._count(scope, values, _IMPRESSION, examined, now)
        self._count_fields(slots, event.market, _IMPRESSION, examined, now)
        state.see(event.user, slots, -rates * examined, now)
        places = {name: place for place, name in reversed(list(enumerate(names)))}
        self._pending[event.id] = Shown(event.user, event.market, event.query, places)
        if len(self._pending) > _MANY_PENDING:
            self._pending.popitem(last=False)
        for early in self._early.pop(event.id, ()):
            self._interact(early)

    def _interact(self, event: Interaction) -> None:
        shown = self._pending.get(event.ranking) if event.ranking else None
        if event.ranking and shown is None:
            self._early.setdefault(event.ranking, []).append(event)
            if len(self._early) > _MANY_PENDING:
                self._early.popitem(last=False)
            return
        if shown is not None:
            if (event.kind, event.item) in shown.done:
                return
            shown.done.add((event.kind, event.item))
        is_click, is_conversion = event.kind in self._clicks, event.kind in self._conversions
        slot = self._state.slot(event.item)
        user = event.user or (shown.user if shown else "")
        market = event.market or (shown.market if shown else "")
        now = event.time / 1000.0
        once, at = np.ones(1), np.array([slot])
        if not (is_click or is_conversion):
            if not event.is_done:
                return
            for scope in self._scopes("", market):
                self._count(scope ^ OF_ACTS, self._state.item_keys[at], _CLICK, once, now)
            self._state.act(user, slot, event.kind, now)
            self._state.dwell(slot, event.value)
            return
        what = _CLICK if is_click else _CONVERSION
        query = shown.query if shown is not None else ""
        for scope in self._scopes(user, market, query):
            self._count(scope, self._state.item_keys[at], what, once, now)
        self._count_fields(at, market, what, once, now)
        if is_click and shown is not None and event.item in shown.places:
            self._state.clicked_at(shown.places[event.item])
        self._take(user, market, slot, now)

    def _take(self, user: str, market: str, slot: int, now: float) -> None:
        """Note that a user took a document, and with which others."""
        state = self._state
        others = state.take(user, slot, market, now)
        if others is None:
            return
        item = state.item_keys[slot]
        for scope in self._scopes("", market):
            table = state.pair_marks, state.pair_tags, state.together
            pairs = *table, np.uint64(scope)
            add_pairs(*pairs, item, state.item_keys[others], 1.0)

    def _scopes(self, user: str, market: str, query: str = "") -> list[int]:
        """Return the keys of everybody and of what is named."""
        scopes = [EVERYBODY]
        for what, name in (("market", market), ("user", user), ("query", query.casefold())):
            if name:
                scopes.append(key(f"{what} {name}", self._secret))
        return scopes

    def _count_fields(
        self,
        slots: NDArray[np.int64],
        market: str,
        what: int,
        amounts: NDArray[np.float64],
        now: float,
    ) -> None:
        state = self._state
        sizes = state.n_tokens[slots]
        if not sizes.any():
            return
        is_used = np.arange(state.tokens.shape[1]) < sizes[:, None]
        values = state.tokens[slots][is_used].astype(np.uint64)
        for scope in self._scopes("", market):
            self._count(scope ^ OF_FIELDS, values, what, np.repeat(amounts, sizes), now)

    def _count(
        self,
        scope: int,
        values: NDArray[np.uint64],
        what: int,
        amounts: NDArray[np.float64],
        now: float,
    ) -> None:
        state = self._state
        table = state.tags, state.counts, state.worth, state.when
        add_count(*table, np.uint64(scope), values, what, amounts, now, state.rate)

    def examination(self, n: int) -> NDArray[np.float64]:
        """Return how likely each of the first `n` places is looked at, next to the average.

        Clicks at a place over the clicks that its documents get wherever they stand.

        References
        ----------
        Zhang and Jones, "Comparing Click Logs and Editorial Labels for Training Query Rewriting",
        2007: clicks over expected clicks.
        """
        return np.clip(self._state.examination(n), _LEAST_EXAMINATION, _LARGEST_EXAMINATION)
