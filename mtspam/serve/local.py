"""A service within one process, over a state directory: for tests, tools and small places."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtspam.config import Settings
from mtspam.errors import JournalError
from mtspam.fold import catch_up
from mtspam.journal import LabelEvent
from mtspam.model import Learner, Starter
from mtspam.ranking.versions import VersionStore
from mtspam.serve.contract import Forgotten, LearnOutcome, UnavailableError
from mtspam.serve.counters import Counters
from mtspam.serve.parts import Forgetting, Recalled, RecentExamples, Removal
from mtspam.serve.service import MailService
from mtspam.spam.correcting import Cleared
from mtspam.spam.hashing import load_starter
from mtspam.spam.opening import load_for_reading, load_for_writing
from mtspam.spam.recalling import labelled_example
from mtspam.spam.state import StateDirectory
from mtspam.spam.upkeep import KeptModel, fold_model, save_model
from mtspam.types import Example

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = [
    "LocalState",
    "MemoryExamples",
    "WithJournal",
    "open_local_judge",
    "open_local_service",
]

_EXAMPLE_BYTES = 200  # what the objects of one example take beside their hashes


class LocalState:
    """The model and the journal of a state directory that this process alone writes to.

    It is both the model that a service asks and the place where its labels go.

    Parameters
    ----------
    directory
        The state, locked by the caller.
    settings
        The model's.
    journal
        Open for writing; None where nothing is to be learnt.
    kept
        The model at the journal's head.
    secret
        The installation's.
    """

    def __init__(
        self,
        directory: StateDirectory,
        settings: Settings,
        journal: "Journal | None",
        kept: KeptModel,
        secret: bytes,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._journal = journal
        self._kept = kept
        self._secret = secret
        self._starter = load_starter()
        self._is_overtaken = False

    @property
    def learner(self) -> Learner:
        """The model with all labels given so far."""
        if self._is_overtaken:
            self._kept = fold_model(self._writable(), self._settings)
            self._is_overtaken = False
        return self._kept.learner

    @property
    def secret(self) -> bytes:
        """The installation's secret."""
        return self._secret

    @property
    def starter(self) -> Starter | None:
        """The starter model, if there is one."""
        return self._starter

    async def label(self, events: tuple[LabelEvent, ...]) -> LearnOutcome:
        """Take one message's label; when this returns it is on the disk.

        Raises
        ------
        UnavailableError
            Where it cannot be written.
        """
        try:
            return self._label(self._writable(), events)
        except JournalError as error:
            raise UnavailableError(str(error)) from error

    def _writable(self) -> "Journal":
        if self._journal is None:
            raise JournalError(f"state {self._directory.path}: it was opened for reading")
        return self._journal

    def _label(self, journal: "Journal", events: tuple[LabelEvent, ...]) -> LearnOutcome:
        cleared = Cleared()
        cleared.note(events)
        done = journal.append(events)
        if done.n_changed:
            cleared.retract(journal)
        kept, head = self._kept, journal.head()
        if head > kept.position and not self._is_overtaken:
            if done.n_changed and not journal.is_intact(kept.position):
                kept.n_corrections += 1
            catch_up(kept.learner, journal, kept.position)
            kept.position, kept.is_saved = head, False
        if done.n_changed:
            return LearnOutcome.CHANGED
        return LearnOutcome.NEW if done.n_new else LearnOutcome.SAME

    async def remove(self, removal: Removal) -> LearnOutcome:
        """Take a label back; `LearnOutcome.UNKNOWN` where there was none.

        Raises
        ------
        UnavailableError
            Where that cannot be written.
        """
        try:
            n_labels = self._writable().unlabel(
                removal.user, removal.digest, source=removal.source
            )
        except JournalError as error:
            raise UnavailableError(str(error)) from error
        self._is_overtaken |= n_labels > 0
        return LearnOutcome.REMOVED if n_labels else LearnOutcome.UNKNOWN

    async def forget(self, forgetting: Forgetting) -> Forgotten:
        """Delete a user's events and fold anew without them.

        Raises
        ------
        UnavailableError
            Where that cannot be written.
        """
        try:
            journal = self._writable()
            self._directory.drop_snapshot()  # their key and their weights are in it
            self._kept.is_saved = False
            head = journal.head()
            n_events = journal.forget(forgetting.user, *forgetting.aliases)
            if journal.head() > head:
                self._kept = fold_model(journal, self._settings)
                self._is_overtaken = False
        except JournalError as error:
            self._is_overtaken = True
            raise UnavailableError(str(error)) from error
        versions = tuple(VersionStore.of_state(self._directory.path).names())
        return Forgotten(n_events, versions=versions)

    def save(self) -> None:
        """Write the snapshot, if anything was learnt.

        Raises
        ------
        SnapshotError
            Where it cannot be written; no label is lost.
        """
        journal = self._writable()
        if not self._is_overtaken and self._kept.is_saved:
            return
        identity, learner = journal.identity, self.learner
        if journal.head() != self._kept.position or not learner.n_events:
            return  # an interrupt came between the two, or there is nothing yet
        # The log goes into the journal's file first: readers take the younger file for the truth.
        journal.close()
        save_model(self._directory, self._settings, identity, self._kept)


class MemoryExamples:
    """The examples judged lately, in this process's memory.

    Parameters
    ----------
    n_bytes
        Room for them; the oldest make room.
    """

    def __init__(self, n_bytes: int) -> None:
        self._room = n_bytes
        self._used = 0
        self._kept: OrderedDict[bytes, Recalled] = OrderedDict()

    def remember(self, digest: bytes, example: Example, prior: float) -> None:
        """Keep an example; the oldest make room."""
        self._drop(digest)
        # Copies: what is given may be a part of a larger block.
        own = Example(tuple(np.sort(view) for view in example.views))
        self._kept[digest] = Recalled(own, prior)
        self._used += _size(own)
        while self._used > self._room:
            self._drop(next(iter(self._kept)))

    def _drop(self, digest: bytes) -> None:
        old = self._kept.pop(digest, None)
        if old is not None:
            self._used -= _size(old.example)

    def recall(self, digest: bytes) -> Recalled | None:
        """Return an example, None where it is forgotten."""
        return self._kept.get(digest)


def _size(example: Example) -> int:
    return _EXAMPLE_BYTES + sum(view.nbytes for view in example.views)


class WithJournal:
    """Examples judged lately, and behind them those that the journal has of labelled mail.

    Whoever labelled a message by its id may change their mind long after it was judged.

    Parameters
    ----------
    recent
        Asked first.
    journal
        Asked next; a reader of it is enough.
    """

    def __init__(self, recent: RecentExamples, journal: "Journal") -> None:
        self._recent = recent
        self._journal = journal

    def remember(self, digest: bytes, example: Example, prior: float) -> None:
        """Keep an example; the oldest make room."""
        self._recent.remember(digest, example, prior)

    def recall(self, digest: bytes) -> Recalled | None:
        """Return an example, None where it is forgotten and nobody has labelled it."""
        recalled = self._recent.recall(digest)
        if recalled is not None:
            return recalled
        return labelled_example(self._journal, digest)


@contextmanager
def open_local_service(
    state: Path, settings: Settings | None = None, counters: Counters | None = None
) -> Iterator[MailService]:
    """Open a service over a state directory, of which this process is then the only writer.

    Raises
    ------
    JournalError
        Where the state cannot be read or written, or another process is writing to it.
    SnapshotError
        Where the snapshot was written by a newer version.
    ConfigError
        Where the alias file or the policy file does not hold.

    Examples
    --------
    >>> import asyncio, tempfile
    >>> from mtspam.serve.contract import Envelope
    >>> from mtspam.types import Label
    >>> pills, ana = b"Subject: pills; buy cheap pills now", "ana@example.org"
    >>> with tempfile.TemporaryDirectory() as state, open_local_service(Path(state)) as service:
    ...     learnt = asyncio.run(service.learn(pills, Label.SPAM, user=ana, source="cli"))
    ...     ruling, = service.rule(pills, Envelope(recipients=(ana,)))
    >>> str(learnt.outcome), ruling.is_spam
    ('new', True)
    """
    settings = settings or Settings()
    directory = StateDirectory(Path(state))
    with ExitStack() as exits:
        journal, kept, secret = load_for_writing(directory, settings, exits, None)
        if journal is None:
            raise JournalError(f"state {directory.path}: there is no journal to write to")
        local = LocalState(directory, settings, journal, kept, secret)
        recent = WithJournal(MemoryExamples(settings.serve.recent_bytes), journal)
        yield MailService(settings, local, local, recent, counters)
        local.save()


@contextmanager
def open_local_judge(state: Path, settings: Settings | None = None) -> Iterator[MailService]:
    """Open a service that judges and learns nothing, beside whoever writes to the state.

    Raises
    ------
    JournalError
        Where the state cannot be read.
    SnapshotError
        Where the snapshot was written by a newer version.
    ConfigError
        Where the alias file or the policy file does not hold.
    """
    settings = settings or Settings()
    directory = StateDirectory(Path(state))
    with ExitStack() as exits:
        _, kept, secret = load_for_reading(directory, settings, exits, None)
        local = LocalState(directory, settings, None, kept, secret)
        yield MailService(settings, local, local, MemoryExamples(0))
