"""What a watcher has seen: which message lay where, over restarts, in bounded room."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtspam.errors import DataError

__all__ = ["Memory"]

_NOWHERE = ":memory:"

_TABLES = """
create table if not exists box (user text primary key) without rowid;
create table if not exists known (
    user text, folder text, base text, primary key (user, folder, base)
) without rowid;
create table if not exists place (
    user text, message blob, is_junk integer, time integer, primary key (user, message)
) without rowid;
create index if not exists place_by_time on place (user, time);
"""


class Memory:
    """A small file that outlives the watcher.

    Parameters
    ----------
    path
        The file; it is made if it is not there.
    most
        Messages of one user whose last place is kept; the oldest are dropped.

    Raises
    ------
    DataError
        Where it cannot be opened.

    Examples
    --------
    >>> memory = Memory(Path(":memory:"), most=10)
    >>> with memory.writing():
    ...     memory.put("ana", b"id", is_junk=True)
    >>> memory.is_junk("ana", b"id"), memory.is_junk("ana", b"other")
    (True, None)
    >>> memory.close()
    """

    def __init__(self, path: Path, *, most: int = 200_000) -> None:
        self._path = path
        self._most = most
        try:
            if str(path) != _NOWHERE:  # it tells who keeps which folders
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("pragma journal_mode = wal")
            # After a power cut a few messages may be told again, which changes nothing.
            self._file.execute("pragma synchronous = normal")
            self._file.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"{path}: what the watcher knows cannot be opened ({why})") from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write all or none of what is put within the context.

        Raises
        ------
        DataError
            Where it cannot be written.
        """
        try:
            with self._file:
                self._file.execute("begin immediate")
                yield
        except sqlite3.Error as error:
            raise DataError(f"{self._path}: it cannot be written ({error})") from error

    def is_new(self, user: str) -> bool:
        """Tell whether a user's mail was never looked at."""
        return self._one("select 1 from box where user = ?", user) is None

    def met(self, user: str) -> None:
        """Note that a user's mail was looked at."""
        self._file.execute("insert or ignore into box values (?)", (user,))

    def known(self, user: str, folder: str) -> set[str]:
        """Return the files of a folder that were seen there already."""
        query = "select base from known where user = ? and folder = ?"
        return {base for (base,) in self._found(query, user, folder)}

    def note(self, user: str, folder: str, base: str) -> None:
        """Note that a file was seen."""
        self._file.execute("insert or ignore into known values (?, ?, ?)", (user, folder, base))

    def drop(self, user: str, folder: str, bases: set[str]) -> None:
        """Forget files that are gone."""
        self._file.executemany(
            "delete from known where user = ? and folder = ? and base = ?",
            [(user, folder, base) for base in bases],
        )

    def drop_folders(self, user: str, but: set[str]) -> None:
        """Forget the folders that are not there any more."""
        found = self._file.execute("select distinct folder from known where user = ?", (user,))
        for (folder,) in found.fetchall():
            if folder not in but:
                self._file.execute(
                    "delete from known where user = ? and folder = ?", (user, folder)
                )

    def is_junk(self, user: str, message: bytes) -> bool | None:
        """Tell whether a message was last seen in Junk; None if it was never seen."""
        found = self._one(
            "select is_junk from place where user = ? and message = ?", user, message
        )
        return None if found is None else bool(found)

    def put(self, user: str, message: bytes, *, is_junk: bool) -> None:
        """Note where a message is now."""
        self._file.execute(
            "insert or replace into place values (?, ?, ?, ?)",
            (user, message, int(is_junk), time.time_ns()),
        )

    def trim(self, user: str) -> None:
        """Drop the oldest places of a user that are too many."""
        self._file.execute(
            "delete from place where user = ?1 and time <= (select time from place "
            "where user = ?1 order by time desc limit 1 offset ?2)",
            (user, self._most),
        )

    def _one(self, query: str, *values: object) -> object:
        rows = self._found(query, *values)
        return rows[0][0] if rows else None

    def _found(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds.

        Raises
        ------
        DataError
            Where the file cannot be read.
        """
        try:
            return self._file.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise DataError(f"{self._path}: it cannot be read ({error})") from error
