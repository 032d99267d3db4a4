"""The journal: an append-only record of every accepted label, of which the model is a fold."""

import logging
import time as clock
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from mtspam.errors import DataError, JournalError
from mtspam.journal import engine as driver
from mtspam.journal import reading, writing
from mtspam.journal.events import (
    Appended,
    Counts,
    EventBatch,
    LabelEvent,
    StoredEvent,
    UserSummary,
    Withdrawal,
)
from mtspam.journal.opened import OpenJournal
from mtspam.journal.packing import block_of, pack_many
from mtspam.types import NOBODY, Features, LabelKind, UserKey

__all__ = ["Journal"]

_log = logging.getLogger(__name__)

OnAdded = Callable[[Sequence[LabelEvent], Features], None]


class Journal(OpenJournal):
    """Labels in the order in which they were given; get one from `Journal.open`.

    One process may write while others read; each sees the journal as it was when its query began.
    Open it after a fork, never before. Use it as a context manager, or call `close`.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from mtspam.types import Example, GroupKey
    >>> label = LabelEvent(
    ...     time=1_700_000_000, user=UserKey(b"u" * 16), group=GroupKey(b""), kind=LabelKind.SPAM,
    ...     value=1, weight=1.0, digest=b"d" * 16, source="cli",
    ...     example=Example((np.array([1, 2], dtype=np.uint32),)))
    >>> with tempfile.TemporaryDirectory() as state, Journal.open(f"{state}/journal.sqlite") as j:
    ...     j.append([label]).n_new, j.append([label]).n_same, j.head()
    (1, 1, 1)
    """

    @classmethod
    def open(cls, path_or_url: str | Path, *, read_only: bool = False) -> Self:
        """Open a journal, and make an empty one if there is none.

        Parameters
        ----------
        path_or_url
            A file, or ``sqlite:///FILE``.
        read_only
            Refuse to write, and do not make what is missing.

        Raises
        ------
        JournalError
            If it is missing, torn, no journal, of a newer schema, or cannot be opened so.
        """
        return cls(path_or_url, read_only=read_only)

    def append(self, labels: Sequence[LabelEvent]) -> Appended:
        """Add labels, all or none; when this returns they are on the disk.

        A label that stands already (same user, digest, kind and value) adds nothing; a contrary
        one replaces it.

        Raises
        ------
        DataError
            If an example is not distinct and rising.
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        return self.append_all([labels])

    def append_all(
        self, batches: Iterable[Sequence[LabelEvent]], on_added: OnAdded | None = None
    ) -> Appended:
        """Add labels batch by batch in one transaction: all or none, in constant memory.

        Whatever is raised while a batch is made, the journal stays as it was.

        Parameters
        ----------
        batches
            The labels.
        on_added
            Called for each batch with the labels of it that were added and their examples as one
            block; they are on the disk only when all is done.

        Raises
        ------
        DataError
            If an example is not distinct and rising.
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        n_new = n_same = n_changed = 0
        with self._writing() as connection:
            first = reading.head(connection) + 1
            for labels in batches:
                block = block_of([label.example for label in labels])
                done, added = writing.append(connection, labels, pack_many(block))
                if on_added is not None and added:
                    chosen = Features(block.values, block.offsets[added])
                    on_added([labels[row] for row in added], chosen)
                n_new, n_same = n_new + done.n_new, n_same + done.n_same
                n_changed += done.n_changed
            return Appended(n_new, n_same, n_changed, first, reading.head(connection))

    def commit(self, changes: Sequence[Sequence[LabelEvent] | Withdrawal]) -> list[Appended | int]:
        """Make many changes in one transaction: all or none; then they are on the disk.

        Returns
        -------
        list
            For each what `append` would have said, or how many labels were taken back.

        Raises
        ------
        DataError
            If an example is not distinct and rising.
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        packed = [
            []
            if isinstance(change, Withdrawal)
            else pack_many(block_of([one.example for one in change]))
            for change in changes
        ]
        with self._writing() as connection:
            return [
                writing.unlabel(connection, change, _time(None))
                if isinstance(change, Withdrawal)
                else writing.append(connection, change, examples)[0]
                for change, examples in zip(changes, packed, strict=True)
            ]

    def unlabel(
        self,
        user: UserKey,
        digest: bytes,
        kinds: Collection[LabelKind] | None = None,
        *,
        time: int | None = None,
        source: str = "",
    ) -> int:
        """Take back what `user` said about a message, and return how many labels that were.

        Parameters
        ----------
        user, digest
            Whose labels, about what.
        kinds
            The questions whose answers to take back; all when not given.
        time
            When, in seconds since 1970; now when not given.
        source
            Where this came from.

        Raises
        ------
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        which = Withdrawal(user, digest, None if kinds is None else tuple(kinds), source)
        with self._writing() as connection:
            return writing.unlabel(connection, which, _time(time))

    def unlabel_everywhere(
        self, digest: bytes, *, time: int | None = None, source: str = ""
    ) -> int:
        """Take back what anybody said about a message, and return how many labels that were.

        Raises
        ------
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        with self._writing() as connection:
            return writing.unlabel(connection, Withdrawal(None, digest, None, source), _time(time))

    def forget(self, *users: UserKey, time: int | None = None) -> int:
        """Delete every event of a user from the disk, and return how many those were.

        What stays is an event that says only that somebody was forgotten. The file is written
        anew, which takes some six seconds for a hundred thousand labels, and for that time twice
        its size of free space, in part where the system keeps temporary files. If that fails, or
        a reader is in the way, the events are gone, but traces may stay in unused parts of the
        file until the next call, for this or any other user.

        Parameters
        ----------
        users
            Whose events: the keys of one user, who may have had others under other names.
        time
            When, in seconds since 1970; now when not given.

        Raises
        ------
        DataError
            If one of them is nobody's key.
        JournalError
            If the journal cannot be written to.
        """
        if NOBODY in users:
            raise DataError("nobody's labels cannot be forgotten; unlabel them one by one")
        with self._writing() as connection:
            n_events = sum(writing.forget(connection, user, _time(time)) for user in users)
            is_due = writing.is_scrub_due(connection)
        if is_due:
            self._scrub()
        return n_events

    def _scrub(self) -> None:
        with driver.complaints(self._path):
            driver.vacuum(self._engine)
            is_clean = driver.checkpoint(self._engine)
        if not is_clean:
            _log.warning("journal %s: a reader holds pages of what was forgotten", self._path)
            return
        with self._writing() as connection:
            writing.scrubbed(connection)

    def live(
        self, *, after: int = 0, upto: int | None = None, batch_size: int = 512
    ) -> Iterator[EventBatch]:
        """Yield the labels that were live at a position, in the order of the journal.

        All batches show the journal as it was when the first was read, whatever is added
        meanwhile.

        Parameters
        ----------
        after
            Only events with a higher number.
        upto
            The position: only events up to this number, and of these the ones that no event up to
            it had replaced or taken back. The head when not given.
        batch_size
            Labels in a batch, except perhaps the last.

        Raises
        ------
        JournalError
            If an event is damaged or the journal cannot be read.
        """
        with self._reading() as connection:
            last = reading.head(connection) if upto is None else upto
            yield from reading.batches(connection, after, last, batch_size)

    def head(self) -> int:
        """Return the number of the last event, 0 if there is none.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return reading.head(connection)

    def is_intact(self, position: int) -> bool:
        """Say whether the labels that were live at `position` are all live still.

        If so, a model folded up to `position` needs only the events after it. If not, somebody
        has changed their mind, taken a label back or been forgotten, and it must be folded anew.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return reading.is_intact(connection, position)

    def counts(self) -> Counts:
        """Return how much the journal holds.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return reading.count(connection)

    def users(self) -> dict[UserKey, UserSummary]:
        """Return what the journal holds of each user with a live label, by rising key.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return reading.summaries(connection)

    def find(
        self, digest_prefix: str, *, user: UserKey | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        """Return the live labels of the messages whose digest begins so, in their order.

        Parameters
        ----------
        digest_prefix
            Hexadecimal digits, at most 32.
        user
            Only this user's labels; everybody's when not given.
        limit
            At most this many labels.

        Raises
        ------
        DataError
            If the prefix is not hexadecimal or too long.
        JournalError
            If one is damaged or the journal cannot be read.
        """
        between = reading.digests_between(digest_prefix)
        with self._reading() as connection:
            return reading.find(connection, between, user, limit)

    def check(self) -> int:
        """Read the whole journal, live or not, and return the number of events if all is well.

        Raises
        ------
        JournalError
            At the first fault.
        """
        with self._reading() as connection:
            fault = driver.integrity(connection)
            if fault:
                raise JournalError(f"it is damaged ({fault}); restore it from a backup")
            return reading.audit(connection)


def _time(time: int | None) -> int:
    return int(clock.time()) if time is None else time
