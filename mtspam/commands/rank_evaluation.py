"""Scores of several orders on rankings that were held out: the pass behind `rank evaluate`.

It stands here since it joins what rooms of one floor do: `ranking` learns, `evaluate` measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtspam.config import Settings
from mtspam.errors import DataError
from mtspam.ranking.memory import HOST_PLACE, Memory
from mtspam.ranking.online import OnlineRanker
from mtspam.ranking.tables import table_of, truth_of
from mtspam.ranking.training import Trained, train_both
from mtspam.search.events import Event, Interaction, RankingShown
from mtspam.search.features import FeatureTable
from mtspam.search.history import History
from mtspam.search.ordering import in_order
from mtspam.search.reading.letor import numbered_apart

__all__ = ["HeldOut", "evaluate_events", "events_table", "set_apart"]

_SECRET = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The rankings held out, and every order's scores of their candidates.

    Parameters
    ----------
    table
        Rankings held out.
    whole
        All rankings, by time; the last ones are those of `table`.
    scores
        By the order's name, shape ``(table.n_rows,)``.
    """

    table: FeatureTable
    whole: FeatureTable
    scores: dict[str, NDArray[np.float64]]


def evaluate_events(
    events: Sequence[Event], settings: Settings, *, held_out: float, tested: set[str] | None = None
) -> HeldOut:
    """Train on the earlier rankings, then test on each later one before it teaches.

    Parameters
    ----------
    events
        In any order.
    settings
        Of ranking and history.
    held_out
        The share of the rankings, the latest ones, that the trees never see.
    tested
        Ids of the rankings to hold out instead.

    Raises
    ------
    DataError
        If nothing is left to learn from or to test on.
    """
    events = in_order(events)
    if tested is not None:
        late = [_is_of(event, tested) for event in events]
        events = [e for e, is_late in zip(events, late, strict=True) if not is_late] + [
            e for e, is_late in zip(events, late, strict=True) if is_late
        ]
    shown = [event.id for event in events if isinstance(event, RankingShown) and event.items]
    n_test = len(tested) if tested is not None else round(held_out * len(shown))
    n_train = len(shown) - n_test
    if n_test <= 0 or n_train <= 0:
        raise DataError(
            f"of {len(shown)} rankings {n_test} would be held out: too few or too many"
        )
    history = _history(settings)
    whole = events_table(events, settings)
    train, test = whole.take(np.arange(n_train)), whole.take(np.arange(n_train, len(shown)))
    behind = {*history.columns, *history.act_columns}
    plain = [name for name in whole.columns if name not in behind]
    without = train_both(train.only_columns(plain), settings.ranking)
    trained = train_both(train, settings.ranking)
    market = test.market[test.query_of_row]
    scores = {
        "engine order": -test.column(HOST_PLACE).astype(np.float64),
        "popularity": test.column("history clicks everyone").astype(np.float64),
        "smoothed CTR": test.column("history rate everyone").astype(np.float64),
        "trunk": _trunk_scores(without, test.only_columns(plain), market),
        "trunk + history": _trunk_scores(trained, test, market),
        "full": _online_scores(events, train, shown, trained, settings),
    }
    return HeldOut(table=test, whole=whole, scores=scores)


def events_table(events: Sequence[Event], settings: Settings) -> FeatureTable:
    """Return the table of all rankings among events, with features of history.

    Parameters
    ----------
    events
        By time.
    settings
        Of ranking and history.

    Raises
    ------
    DataError
        If there is no ranking among them.
    """
    return table_of(
        events, Memory(settings.ranking, _SECRET, _history(settings)), settings.ranking
    )


def set_apart(events: Sequence[Event], name: str, earlier: Sequence[Event] = ()) -> list[Event]:
    """Return rankings and their clicks under ids that no other file has, and after earlier ones.

    Files for learning to rank each number their queries from 1, and know no times.

    Parameters
    ----------
    events
        Of a file that is kept apart.
    name
        What ids begin with.
    earlier
        Where one of these is as late as the first of `events`, all of `events` are moved behind.
    """
    latest = max((event.time for event in earlier), default=0)
    first = min((event.time for event in events), default=0)
    moved = max(0, latest + 1 - first) if earlier else 0
    found: list[Event] = []
    for event in events:
        time = event.time + moved
        if isinstance(event, RankingShown):
            apart = numbered_apart(event, name)
            found.append(replace(apart, id=f"{name} {event.id}", time=time))
        elif isinstance(event, Interaction) and event.ranking:
            ranking = f"{name} {event.ranking}"
            found.append(replace(event, id=f"{name} {event.id}", ranking=ranking, time=time))
        else:
            found.append(replace(event, time=time))
    return found


def _history(settings: Settings) -> History:
    return History(
        settings.history,
        click_kinds=settings.ranking.click_kinds.split(),
        conversion_kinds=settings.ranking.conversion_kinds.split(),
        secret=_SECRET,
    )


def _is_of(event: Event, rankings: set[str]) -> bool:
    if isinstance(event, RankingShown):
        return event.id in rankings
    return isinstance(event, Interaction) and event.ranking in rankings


def _trunk_scores(
    trained: Trained, table: FeatureTable, market: NDArray[np.int32]
) -> NDArray[np.float64]:
    scores = np.zeros(table.n_rows)
    for place in np.unique(market).tolist():
        rows = market == place
        scores[rows] = trained.trunk.scores(table.values[rows], place).click
    return scores


def _online_scores(
    events: Sequence[Event],
    train: FeatureTable,
    shown: Sequence[str],
    trained: Trained,
    settings: Settings,
) -> NDArray[np.float64]:
    """Score each ranking held out before its clicks are told, as the reranker does."""
    ranking, n_train = settings.ranking, train.n_queries
    tested = shown[n_train:]
    held = set(tested)
    # The guard is fitted where the early trees have not learnt: on the last rankings before.
    fitting = OnlineRanker(
        ranking, Memory(ranking, _SECRET, _history(settings)), trained.early,
        truth=truth_of(train, shown[:n_train], trained.n_unseen, ranking),
    )  # fmt: skip
    for event in events:
        if isinstance(event, RankingShown) and event.id in held:
            break
        fitting.observe(event)
    if ranking.validation_share > 0.0:
        fitting.finish()
    online = OnlineRanker(ranking, Memory(ranking, _SECRET, _history(settings)), trained.trunk)
    online.guard.restore(fitting.guard.arrays())
    found: dict[str, NDArray[np.float64]] = {}
    for event in events:
        if isinstance(event, RankingShown) and event.id in held:
            found[event.id] = online.look(event).scores
        is_new = isinstance(event, Interaction) and event.ranking in held
        online.observe(event, teaches_guard=is_new)
    return np.concatenate([found[one] for one in tested])
