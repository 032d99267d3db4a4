"""The reranker: puts results into a better order for a user, and learns from what they click."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from mtspam.config import Settings
from mtspam.errors import JournalError
from mtspam.journal.identity import Identity
from mtspam.journal.search import SearchJournal
from mtspam.ranking.exploring import explored
from mtspam.ranking.folding import JournalFold, learn_latest
from mtspam.ranking.memory import Memory
from mtspam.ranking.online import OnlineRanker
from mtspam.ranking.reasons import reasons_of
from mtspam.ranking.records import Learnt, Rescored
from mtspam.ranking.tables import noting, table_of, truth_of
from mtspam.ranking.training import train_both
from mtspam.ranking.versions import Version, VersionStore
from mtspam.search.events import Event, RankingShown, ShownItem
from mtspam.search.history import History
from mtspam.snapshot import JSON
from mtspam.state import SECRET_BYTES, StateDirectory

__all__ = ["Reranker"]


class Reranker:
    """Ranks for the users of a state directory; made by :meth:`open`, used as a context.

    Any number of processes may have it open and give feedback: what one was told the others know
    when they are next asked. Not to be shared between threads; opened after a fork, never before.

    Examples
    --------
    >>> import tempfile
    >>> from mtspam.search.events import Interaction, RankingShown, ShownItem
    >>> cats, dogs = ShownItem("cats"), ShownItem("dogs")
    >>> with tempfile.TemporaryDirectory() as state, Reranker.open(Path(state) / "s") as ranker:
    ...     for n in range(8):
    ...         shown = RankingShown(id=f"r{n}", time=n, items=(cats, dogs), user="ana")
    ...         click = Interaction(
    ...             id=f"c{n}", time=n, kind="click", item="dogs", ranking=f"r{n}", user="ana")
    ...         _ = ranker.feedback([shown, click])
    ...     ranker.rescore("", (cats, dogs), user="ana").order.tolist()
    [1, 0]
    """

    def __init__(
        self, directory: StateDirectory, settings: Settings, *, has_history: bool
    ) -> None:
        self._directory = directory
        self._all_settings = settings
        self._settings = settings.ranking
        self._has_history = has_history
        self._versions = VersionStore(directory.path / "rank")
        self._exits = ExitStack()
        self._journal: SearchJournal | None = None
        self._secret = bytes(SECRET_BYTES)
        self._position = 0
        self._stamp: int | None = None
        self._version: Version | None = None
        self._versions_stamp = self._versions.stamp()
        self._is_begun = False
        self._keeps = False
        self._online: OnlineRanker  # there is none before the first ranking
        self._rng = np.random.default_rng()

    @classmethod
    def open(
        cls,
        state: Path,
        settings: Settings | None = None,
        *,
        read_only: bool = False,
        has_history: bool = True,
        is_lazy: bool = False,
        keeps: bool | None = None,
    ) -> Self:
        """Open the reranker whose state is in a directory, which a filter may share.

        Parameters
        ----------
        state
            The directory; it is made unless `read_only`.
        settings
            None: the defaults.
        read_only
            Rank only. Without a state the host's order stands.
        has_history
            Whether what was shown and clicked before is a feature.
        is_lazy
            Leave reading the journal and the version in use to the first ranking, with what may
            be wrong with them: who only trains or gives feedback does without.
        keeps
            Whether what was read may be kept in a snapshot for the next; None: unless `read_only`.

        Raises
        ------
        ConfigError
            Where the alias file does not hold.
        JournalError
            Where the state cannot be read or written.
        ModelError
            Where the version in use is missing or damaged.
        """
        directory = StateDirectory(Path(state))
        opened = cls(directory, settings or Settings(), has_history=has_history)
        if not directory.exists:
            if read_only:
                return opened
            with directory.writing():
                directory.prepare()
        opened._keeps = not read_only if keeps is None else keeps
        opened._secret = directory.secret()
        if not read_only:
            directory.insist_on_journal()
        if directory.journal.exists() or not read_only:
            opened._journal = opened._exits.enter_context(
                SearchJournal.open(
                    directory.journal,
                    opened._secret,
                    identity=Identity(opened._all_settings.identity),
                    read_only=read_only,
                )
            )
        if not is_lazy:
            opened._rebuild()
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the state. Closing twice is harmless."""
        self._exits.close()

    @property
    def version(self) -> str:
        """The version of the trees that are asked, empty without one."""
        return "" if self._version is None else self._version.name

    @property
    def versions(self) -> VersionStore:
        """All versions that were trained."""
        return self._versions

    @property
    def latest_time(self) -> int:
        """The time of the last event in milliseconds since 1970; by the clock without one.

        Raises
        ------
        JournalError
            Where the journal cannot be read.
        """
        latest = None if self._journal is None else self._journal.latest_time()
        return int(time.time() * 1000) if latest is None else latest

    # Ranking.

    def rescore(
        self,
        query: str,
        candidates: Sequence[ShownItem],
        *,
        user: str = "",
        market: str = "",
        now: int | None = None,
        explain: bool = False,
    ) -> Rescored:
        """Score candidates and put them in order.

        Parameters
        ----------
        query
            Its text, empty where there is none.
        candidates
            In the host's order, with its scores and whatever features it has.
        user, market
            Empty where not known: then nothing personal is said.
        now
            Milliseconds since 1970; None: by the clock.
        explain
            Whether to give reasons, which takes some milliseconds.

        Raises
        ------
        JournalError
            Where the journal cannot be read.
        """
        moment = int(time.time() * 1000) if now is None else now
        items = tuple(candidates)
        ranking = RankingShown(
            id="", time=moment, items=items, query=query, user=user, market=market
        )
        return self.rescore_ranking(ranking, explain=explain)

    def rescore_ranking(self, ranking: RankingShown, *, explain: bool = False) -> Rescored:
        """Score the candidates of a request that has fields of its own; see :meth:`rescore`.

        Raises
        ------
        JournalError
            Where the journal cannot be read.
        """
        self._follow()
        if ranking.user and self._journal is not None:
            ranking = replace(ranking, user=self._journal.user_name(ranking.user))
        look = self._online.look(ranking)
        scores = look.scores
        order, propensities = explored(
            np.argsort(-scores, kind="stable"), self._settings, self._rng
        )
        reasons = reasons_of(look, self._online.trunk, ranking.market) if explain else ()
        return Rescored(
            scores=scores,
            order=order,
            propensities=propensities,
            reasons=reasons,
            version=self.version,
        )

    # Learning.

    def feedback(self, events: Iterable[Event]) -> Learnt:
        """Take events; when this returns they are on the disk, and the next query knows of them.

        Raises
        ------
        DataError
            Where an event cannot be stored; then none was.
        JournalError
            Where the journal cannot be written to, or this was opened for reading.
        """
        done = self._writable().append(events)
        if self._is_begun:
            self._follow()
        return Learnt(done.n_new, done.n_same)

    def feedback_each(self, groups: Sequence[Sequence[Event]]) -> list[Learnt]:
        """Take several requests' events at once, for the time of one; see :meth:`feedback`.

        Raises
        ------
        DataError
            Where an event cannot be stored; then none was.
        JournalError
            Where the journal cannot be written to, or this was opened for reading.
        """
        done = self._writable().append_each(groups)
        if self._is_begun:
            self._follow()
        return [Learnt(one.n_new, one.n_same) for one in done]

    def train(self, told: Mapping[str, JSON] | None = None) -> str:
        """Grow trees from the journal, ask them from now on, and return the version's name.

        Parameters
        ----------
        told
            What else is to be kept with the version, by name.

        Raises
        ------
        DataError
            Where the journal has nothing to learn from.
        JournalError
            Where the state cannot be read or written.
        StateLockedError
            Where another process is training.
        """
        journal = self._writable()
        with self._versions.training():
            name = self._trained(journal, told or {})
        self.use(name)
        return name

    def _trained(self, journal: SearchJournal, told: Mapping[str, JSON]) -> str:
        position, memory = journal.head(), self._memory()
        settings, rankings = self._settings, list[str]()
        events = noting((event for _, event in journal.events(upto=position)), rankings)
        table = table_of(events, memory, settings)
        trained = train_both(table, settings)
        truth = truth_of(table, rankings, trained.n_unseen, settings)
        facts = {
            "n_queries": table.n_queries,
            "n_rows": table.n_rows,
            "trained_at": int(time.time()),
            **told,
        }
        del table, memory
        guard = OnlineRanker(settings, self._memory(), trained.early, truth=truth)
        if settings.validation_share > 0.0:
            learn_latest(guard, journal, settings, upto=position)
            guard.finish()
        return self._versions.add(
            trained.trunk,
            guard.guard.arrays(),
            {"position": position, "journal": journal.identity, "facts": facts},
        )

    def use(self, name: str) -> None:
        """Ask another version from now on, in every process.

        Raises
        ------
        ModelError
            Where there is no such version, or it is damaged.
        JournalError
            Where the state cannot be written.
        """
        version = self._versions.load(name)  # complains before anything is changed
        self._versions.use(name)
        self._version = version  # the rest follows before the next ranking

    # Following the journal.

    def _writable(self) -> SearchJournal:
        if self._journal is None:
            raise JournalError(f"state {self._directory.path}: it was opened for reading")
        return self._journal

    def _memory(self) -> Memory:
        settings = self._settings
        history = None
        if self._has_history:
            history = History(
                self._all_settings.history,
                click_kinds=settings.click_kinds.split(),
                conversion_kinds=settings.conversion_kinds.split(),
                secret=self._secret,
            )
        return Memory(settings, self._secret, history)

    def _fresh(self, version: Version | None) -> OnlineRanker:
        online = OnlineRanker(
            self._settings,
            self._memory(),
            None if version is None else version.trunk,
        )
        if version is not None:
            online.guard.restore(version.guard)
        return online

    def _follow(self) -> None:
        """Learn what is new in the journal; begin anew where something was forgotten."""
        if not self._is_begun or self._versions.stamp() != self._versions_stamp:
            self._rebuild()
        journal = self._journal
        if journal is None:
            return
        stamp = journal.stamp()
        if stamp == self._stamp:
            return
        head = journal.head()
        if head != self._position:
            if not journal.is_intact(self._position):
                self._rebuild()
                return
            for _, event in journal.events(after=self._position, upto=head):
                self._online.observe(event)
            self._position = head
        self._stamp = stamp

    def _rebuild(self) -> None:
        """Fold the journal anew on top of the version in use."""
        self._is_begun = False
        self._versions_stamp = self._versions.stamp()
        name = self._versions.current()
        self._version = None if name is None else self._versions.load(name)
        if self._journal is not None:
            self._stamp = self._journal.stamp()
            self._position = self._journal.head()
            fold = JournalFold(
                self._journal,
                self._directory.path / "rank",
                self._all_settings,
                writes=self._keeps,
            )
            version = self._version
            self._online = fold.online(lambda: self._fresh(version), version, self._position)
        else:
            self._online = self._fresh(self._version)
        self._is_begun = True
