"""Events of searches in the journal: what was shown to whom, and what they did with it."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self
from urllib.parse import quote

from mtspam.config import IdentitySettings
from mtspam.errors import JournalError
from mtspam.journal import engine as driver
from mtspam.journal import searchrows
from mtspam.journal.identity import Identity, People
from mtspam.journal.keys import session_key
from mtspam.journal.opened import OpenJournal
from mtspam.journal.searchpacking import KINDS, pack_event, unpack_event
from mtspam.search.events import Event, Interaction, Item, RankingShown

__all__ = ["AppendedEvents", "SearchJournal"]

_ID_BYTES = 16
_BATCH = 5_000
_TIME_LIMIT = 1 << 62
_KIND_OF = {record: name for name, record in KINDS.items()}


@dataclass(frozen=True, slots=True)
class AppendedEvents:
    """What became of the events given to `SearchJournal.append`.

    Parameters
    ----------
    n_new
        Events whose id was not known.
    n_same
        Events that stood in the journal already.
    """

    n_new: int
    n_same: int


class SearchJournal(OpenJournal):
    """The part of a journal that tells of searches; get one from `SearchJournal.open`.

    An event's id and its user's and session's names are kept as keyed hashes only; what is read
    back has these in their place, in hexadecimal. Use it as a context manager, or call `close`.
    Open it after a fork, never before.

    Examples
    --------
    >>> import tempfile
    >>> from mtspam.search.events import Interaction
    >>> click = Interaction(id="1", time=5, kind="click", item="a", user="ana")
    >>> with tempfile.TemporaryDirectory() as state:
    ...     with SearchJournal.open(f"{state}/journal.sqlite", bytes(32)) as journal:
    ...         journal.append([click, click]), [event.item for _, event in journal.events()]
    (AppendedEvents(n_new=1, n_same=1), ['a'])
    """

    def __init__(
        self, path: str | Path, secret: bytes, identity: Identity, *, read_only: bool
    ) -> None:
        super().__init__(path, read_only=read_only)
        self._secret = secret
        self._people = People(identity, secret)
        self._watcher: sqlite3.Connection | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        secret: bytes,
        *,
        identity: Identity | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open the journal at `path`, and make an empty one if there is none.

        Parameters
        ----------
        path
            The file, which may be the journal of a spam filter, too.
        secret
            Of the installation.
        identity
            Which names are one user, as for mail; None: by the default settings.
        read_only
            Refuse to write, and do not make what is missing.

        Raises
        ------
        JournalError
            If it is missing, torn, no journal, of a newer schema, or cannot be opened so.
        """
        return cls(path, secret, identity or Identity(IdentitySettings()), read_only=read_only)

    def close(self) -> None:
        """Empty the write-ahead log into the file and let go of it. Closing twice is harmless."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        super().close()

    def append_each(self, groups: Sequence[Sequence[Event]]) -> list[AppendedEvents]:
        """Add groups of events, all or none, and say what became of each; see `append`.

        The disk is waited for once.

        Raises
        ------
        DataError
            If a field cannot be stored.
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        rows = [[self._row(event) for event in group] for group in groups]
        with self._writing() as connection:
            n_new = [searchrows.append(connection, group) for group in rows]
        return [AppendedEvents(n, len(group) - n) for n, group in zip(n_new, rows, strict=True)]

    def append(self, events: Iterable[Event]) -> AppendedEvents:
        """Add events, all or none; when this returns they are on the disk.

        An event whose id is known already (among events of its kind) adds nothing. They may come
        in any order, a click before its ranking, too: `events` gives them in theirs.

        Raises
        ------
        DataError
            If a field cannot be stored.
        JournalError
            If the journal cannot be written to; then it is as it was.
        """
        n_new = n_given = 0
        rest = iter(events)
        with self._writing() as connection:
            while batch := list(islice(rest, _BATCH)):
                n_given += len(batch)
                n_new += searchrows.append(connection, [self._row(event) for event in batch])
        return AppendedEvents(n_new, n_given - n_new)

    def events(
        self, *, after: int = 0, upto: int | None = None, by_time: bool = True
    ) -> Iterator[tuple[int, Event]]:
        """Yield events with their numbers, in the order of `mtspam.search.ordering.in_order`.

        Parameters
        ----------
        after, upto
            Only events with a number above `after` and, where given, up to `upto`.
        by_time
            False: as they came in.

        Raises
        ------
        JournalError
            If an event is damaged or the journal cannot be read.
        """
        with self._reading() as connection:
            for batch in searchrows.rows(connection, after, upto, _BATCH, by_time=by_time):
                yield from _unpacked(batch)

    def counts(self) -> tuple[dict[str, int], int]:
        """Return how many events of each kind there are, and of how many users.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return searchrows.counts(connection)

    def latest_time(self) -> int | None:
        """Return the time of the latest event in milliseconds since 1970, None without one.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return searchrows.latest_time(connection)

    def head(self) -> int:
        """Return the number of the last event, 0 if there is none.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return searchrows.head(connection)

    def order(self, *, upto: int, after: int = 0) -> list[searchrows.Placed]:
        """Return where events stand that `events` gives, without reading what they say.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return searchrows.order(connection, after, upto)

    def latest_rankings(self, n: int, *, upto: int) -> list[str]:
        """Return the ids of the latest rankings by time up to an event, earliest first.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return [one.hex() for one in searchrows.latest_rankings(connection, n, upto)]

    def stamp(self) -> int:
        """Return a number that is another one after anybody wrote to the journal: very quick.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with driver.complaints(self._path):
            if self._watcher is None:
                # A connection of its own, which never writes: it sees the writing of all others.
                place = f"file:{quote(str(self._path.absolute()))}?mode=ro"
                self._watcher = sqlite3.connect(place, uri=True, check_same_thread=False)
            return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def is_intact(self, position: int) -> bool:
        """Say whether nothing up to `position` was forgotten after it.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return not searchrows.forgotten_since(connection, position)

    def hashed(self, event: Event) -> Event:
        """Return an event as it would be read back from the journal.

        Raises
        ------
        DataError
            If a field cannot be stored.
        """
        return next(_unpacked([self._row(event)]))[1]

    def user_name(self, user: str) -> str:
        """Return the name under which a user appears in events that are read back."""
        return self._people.keys(user)[0].hex()

    def _row(self, event: Event) -> searchrows.Row:
        kind = _KIND_OF[type(event)]
        about = ""
        if isinstance(event, RankingShown):
            about = event.id
        elif isinstance(event, Interaction):
            about = event.ranking
        user = b"" if isinstance(event, Item) else self._people.keys(event.user)[0]
        if not -_TIME_LIMIT < event.time < _TIME_LIMIT:
            raise JournalError(f"an event's time is {event.time}; it must be milliseconds")
        return (
            0,
            kind,
            int(event.time),
            self._id(kind, event.id),
            user,
            self._id("ranking", about) if about else b"",
            pack_event(_with_session(event, self._secret)),
        )

    def _id(self, kind: str, name: str) -> bytes:
        data = f"{kind} {name}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=_ID_BYTES, key=self._secret).digest()


def _with_session(event: Event, secret: bytes) -> Event:
    """Return an event whose session's name is hashed."""
    if isinstance(event, RankingShown | Interaction) and event.session:
        return replace(event, session=session_key(event.session, secret))
    return event


def _unpacked(rows: Sequence[searchrows.Row]) -> Iterator[tuple[int, Event]]:
    """Yield the events of rows with their numbers.

    Raises
    ------
    JournalError
        If one is damaged.
    """
    for seq, kind, time, own, user, about, packed in rows:
        try:
            event = unpack_event(kind, (own.hex(), user.hex(), about.hex()), time, packed)
        except JournalError as error:
            raise JournalError(f"search event {seq}: {error}") from error
        yield seq, event
