"""The journal as what a ranker has learnt: folded in order, from a snapshot where one holds.

A snapshot is a cache. It holds the fold of all events before a moment; whatever does not fit (an
event that came late and belongs before that moment, somebody who was forgotten, other settings,
other trees) makes it worthless, and all is folded again.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings, Settings
from mtspam.errors import SnapshotError
from mtspam.journal.search import SearchJournal
from mtspam.journal.searchrows import Placed
from mtspam.ranking.freezing import freeze, thaw
from mtspam.ranking.guard import Guard
from mtspam.ranking.memory import Memory
from mtspam.ranking.online import Look, OnlineRanker, Waiting
from mtspam.ranking.residual import Residual
from mtspam.ranking.versions import Version
from mtspam.search.events import Interaction, RankingShown
from mtspam.search.history import History, Shown
from mtspam.search.historystate import HistoryState
from mtspam.snapshot import Snapshot, read_snapshot, write_snapshot

__all__ = ["FOLD_SNAPSHOTS", "JournalFold", "learn_latest", "state_of"]

FOLD_SNAPSHOTS = ("fold.snapshot", "history.snapshot")
"""What was learnt, and what was known when the first ranking came from which something is learnt:
the latter holds for all versions of the trees."""

_FORMAT = 2
_TAIL_EVENTS = 500
"""Events after a snapshot's moment: so many may still come late without making it worthless."""
_WORTH_EVENTS = 2_000
"""Fewer are folded again more quickly than a snapshot is written."""
_MANY_ORPHANS = 10_000
_BEFORE_LEARNING = 200

_RECORDS = {"look": Look, "waiting": Waiting, "shown": Shown, "interaction": Interaction}

_GIVEN: Mapping[type, frozenset[str]] = {
    Memory: frozenset({"history", "_secret", "_most_pending", "_keys", "_layouts"}),
    History: frozenset(
        {"settings", "_state", "_reader", "_clicks", "_conversions", "_secret"}
    ),
    HistoryState: frozenset({"settings", "rate", "secret"}),
    Residual: frozenset({"_rates", "_decay"}),
    Guard: frozenset({"mostly_trees", "of_trees", "_rate", "is_free"}),
    OnlineRanker: frozenset(
        {
            "memory", "trunk", "residual", "guard", "_truth", "_lessons", "_imagined",
            "_n_trees", "_below", "_positive", "_most_looks",
        }
    ),
}  # fmt: skip
"""What follows from settings, version and secret; all else of these was learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """From where folding goes on.

    Parameters
    ----------
    position
        The last event of the journal when that was written.
    is_in
        Which events are in it, by number, shape ``(position + 1,)``.
    n_before, n_rankings
        Rankings that are in it, and that were in the journal.
    learns
        Ids of rankings whose clicks are learnt.
    orphans
        Rankings named by events that are in it, and which were not in the journal.
    """

    position: int
    is_in: NDArray[np.bool_]
    n_before: int
    n_rankings: int
    learns: frozenset[str]
    orphans: frozenset[str]


_NOTHING = _Start(
    position=0, is_in=np.zeros(1, np.bool_), n_before=0, n_rankings=0, learns=frozenset(),
    orphans=frozenset(),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Plan:
    """The events that are to be folded, in order.

    Parameters
    ----------
    events
        Their places.
    first_learnt
        Of all rankings in order, the first from which something is learnt.
    upto
        The last event of the journal.
    """

    start: _Start
    events: Sequence[Placed]
    first_learnt: int
    upto: int

    def cuts(self) -> dict[int, str]:
        """Say before which of the events a snapshot is written, and which one."""
        n = len(self.events)
        if n < _WORTH_EVENTS:
            return {}
        moments = np.array([one.moment for one in self.events], np.int64)
        n_shown = self.start.n_before + np.cumsum([one.kind == "ranking" for one in self.events])
        places = np.flatnonzero(moments[1:] > moments[:-1]) + 1
        found: dict[int, str] = {}
        shown = n_shown[places - 1]
        early = places[
            (shown <= self.first_learnt) & (shown >= self.first_learnt - _BEFORE_LEARNING)
        ]
        if early.size and early[-1] >= _WORTH_EVENTS:
            found[int(early[-1])] = FOLD_SNAPSHOTS[1]
        late = places[(places <= n - _TAIL_EVENTS) & (places >= min(_WORTH_EVENTS, n // 2))]
        last = int(late[-1]) if late.size else n
        if last < n or n >= 2 * _WORTH_EVENTS:
            found[last] = FOLD_SNAPSHOTS[0]
        return found


class JournalFold:
    """Folds a journal; see `online`.

    Parameters
    ----------
    journal
        Where the events are.
    folder
        Where snapshots are.
    settings
        A snapshot of other ones is not used.
    writes
        Whether snapshots are written, too.

    Attributes
    ----------
    helped
        The snapshot that was gone on from; empty where all was folded.
    """

    def __init__(
        self, journal: SearchJournal, folder: Path, settings: Settings, *, writes: bool
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._settings = settings
        self._writes = writes
        self._identity = ""
        self._digest = ""
        self.helped = ""

    def online(
        self, fresh: Callable[[], OnlineRanker], version: Version | None, upto: int
    ) -> OnlineRanker:
        """Return a ranker that has learnt all events up to one.

        The same bits, whether a snapshot helped or not; of clicks on older rankings than the
        settings ask for it takes only the history.

        Parameters
        ----------
        fresh
            Makes one that has learnt nothing.
        version
            The trees in use.
        upto
            Number of the event.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        online = fresh()
        self._identity = self._journal.identity
        self._digest = _digest(self._settings, online)
        for name in FOLD_SNAPSHOTS:
            found = self._found(name, version, upto)
            if found is None:
                continue
            plan, state, is_whole = found
            self.helped = name
            _restore(online, state, is_whole=is_whole)
            return self._folded(online, plan, version)
        events = self._journal.order(upto=upto)
        first = self._first_learnt(sum(one.kind == "ranking" for one in events))
        return self._folded(online, _Plan(_NOTHING, events, first, upto), version)

    def _first_learnt(self, n_rankings: int) -> int:
        """Return the first ranking that is learnt from: it moves on by steps, not with each."""
        step = (self._settings.ranking.replay_rankings + 1) // 2
        if self._settings.ranking.replay_rankings == 0:
            return n_rankings
        return max(0, n_rankings // step - 1) * step

    def _found(
        self, name: str, version: Version | None, upto: int
    ) -> tuple[_Plan, dict[str, Any], bool] | None:
        """Return what is to be folded on top of a snapshot that holds, and what it says.

        Last, whether clicks were learnt in it, which holds for this version only.
        """
        expected: dict[str, Any] = {"journal": self._identity, "digest": self._digest}
        try:
            snapshot = read_snapshot(self._folder / name, verify=True)
            header = snapshot.header
            has_learnt = header["first_learnt"] < header["n_before"]
            expected |= _named(version) if has_learnt else {}
            if any(header[key] != value for key, value in expected.items()):
                return None
            state = thaw(snapshot.arrays, _RECORDS)
            start = _start_of(snapshot, state)
        except (SnapshotError, KeyError):
            return None
        if start.position > upto or not self._journal.is_intact(start.position):
            return None
        after = min(int(header["first_open"]), start.position + 1) - 1
        told = self._journal.order(after=after, upto=upto)
        events = [one for one in told if one.seq > start.position or not start.is_in[one.seq]]
        new = [one for one in events if one.seq > start.position]
        is_late = any(
            one.moment < header["moment"] or (one.kind == "ranking" and one.about in start.orphans)
            for one in new
        )
        n_rankings = start.n_rankings + sum(one.kind == "ranking" for one in new)
        first = self._first_learnt(n_rankings)
        fits = first == header["first_learnt"] if has_learnt else first >= start.n_before
        if is_late or not fits:
            return None
        return _Plan(start, events, first, upto), state, has_learnt

    def _folded(self, online: OnlineRanker, plan: _Plan, version: Version | None) -> OnlineRanker:
        start, taught = plan.start, 0 if version is None else version.position
        cuts = plan.cuts() if self._writes else {}
        learns = set(start.learns)
        n_shown = start.n_before
        wanted = {one.seq for one in plan.events}
        after = min(wanted, default=plan.upto + 1) - 1
        place = 0
        for seq, event in self._journal.events(after=after, upto=plan.upto):
            if seq not in wanted:
                continue
            if place in cuts:
                self._write(online, plan, version, (cuts[place], place, n_shown, learns))
            place += 1
            name = event.ranking if isinstance(event, Interaction) else ""
            if isinstance(event, RankingShown):
                name = event.id
                if n_shown >= plan.first_learnt:
                    learns.add(name)
                n_shown += 1
            if name and name not in learns:
                online.memory.observe(event)
            else:
                online.observe(event, teaches_guard=seq > taught)
        if place in cuts:
            self._write(online, plan, version, (cuts[place], place, n_shown, learns))
        return online

    def _write(
        self,
        online: OnlineRanker,
        plan: _Plan,
        version: Version | None,
        cut: tuple[str, int, int, set[str]],
    ) -> None:
        """Write what was learnt of the events before a cut; it is no harm if that fails."""
        name, place, n_shown, learns = cut
        known, rest = plan.events[:place], plan.events[place:]
        orphans = set(plan.start.orphans)
        orphans |= {one.about for one in known if one.is_orphan}
        if len(orphans) > _MANY_ORPHANS:
            return
        is_in = np.zeros(plan.upto + 1, np.bool_)
        is_in[: len(plan.start.is_in)] = plan.start.is_in
        is_in[[one.seq for one in known]] = True
        n_rest = sum(one.kind == "ranking" for one in rest)
        header = {
            "journal": self._identity,
            "digest": self._digest,
            **_named(version),
            "position": plan.upto,
            "moment": rest[0].moment if rest else known[-1].moment + 1,
            "first_open": min((one.seq for one in rest), default=plan.upto + 1),
            "first_learnt": plan.first_learnt,
            "n_before": n_shown,
            "n_rankings": n_shown + n_rest,
        }
        state = {**state_of(online), "learns": sorted(learns), "orphans": sorted(orphans)}
        arrays = {**freeze(state, _RECORDS), "is in": np.packbits(is_in)}
        path = self._folder / name
        with suppress(SnapshotError, OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_snapshot(path, header, arrays)
            if not self._journal.is_intact(plan.upto):
                path.unlink(missing_ok=True)  # it holds something of who was just forgotten


def learn_latest(
    online: OnlineRanker, journal: SearchJournal, settings: RankingSettings, *, upto: int
) -> None:
    """Let a learner see the journal in order; of older clicks it takes only the history.

    The trees have learnt from all of them.

    Raises
    ------
    JournalError
        If the journal cannot be read.
    """
    n_latest = max(settings.replay_rankings, settings.guard_rankings)
    learns = set(journal.latest_rankings(n_latest, upto=upto))
    for _, event in journal.events(upto=upto):
        name = event.id if isinstance(event, RankingShown) else ""
        if isinstance(event, Interaction):
            name = event.ranking
        if name and name not in learns:
            online.memory.observe(event)
        else:
            online.observe(event, teaches_guard=False)


def state_of(online: OnlineRanker) -> dict[str, Any]:
    """Return all that a ranker has learnt, by its parts."""
    return {name: _learnt(part) for name, part in _parts(online).items()}


def _parts(online: OnlineRanker) -> dict[str, Any]:
    memory = online.memory
    parts: dict[str, Any] = {"memory": memory}
    if isinstance(memory.history, History):
        parts |= {"history": memory.history, "history state": memory.history.state}
    return {**parts, "residual": online.residual, "guard": online.guard, "online": online}


def _learnt(part: Any) -> dict[str, Any]:  # noqa: ANN401 - one of several classes
    given = _GIVEN[type(part)]
    return {name: value for name, value in vars(part).items() if name not in given}


def _restore(online: OnlineRanker, state: Mapping[str, Any], *, is_whole: bool) -> None:
    """Give a fresh ranker what was learnt; or only what it knew, where nothing was learnt yet."""
    for name, part in _parts(online).items():
        if is_whole or name in {"memory", "history", "history state"}:
            for key, value in state[name].items():
                setattr(part, key, value)


def _start_of(snapshot: Snapshot, state: Mapping[str, Any]) -> _Start:
    header = snapshot.header
    position = int(header["position"])
    return _Start(
        position=position,
        is_in=np.unpackbits(snapshot.arrays["is in"], count=position + 1).astype(np.bool_),
        n_before=int(header["n_before"]),
        n_rankings=int(header["n_rankings"]),
        learns=frozenset(state["learns"]),
        orphans=frozenset(state["orphans"]),
    )


def _named(version: Version | None) -> dict[str, str | int]:
    if version is None:
        return {"version": "", "taught": 0}
    return {"version": version.name, "taught": version.position}


def _digest(settings: Settings, online: OnlineRanker) -> str:
    """Return what is another text where the same events would be learnt otherwise."""
    history = online.memory.history
    said = (
        _FORMAT,
        settings.ranking,
        settings.history,
        () if history is None else history.columns,
        [sorted(_learnt(part)) for part in _parts(online).values()],
    )
    return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()
