"""A journal that is open: what its two faces, of labels and of searches, have in common."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from mtspam.errors import JournalError
from mtspam.journal import engine as driver
from mtspam.journal import reading

__all__ = ["OpenJournal"]


class OpenJournal:
    """A journal's file, opened; made if there is none and it is to be written to.

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

    def __init__(self, path_or_url: str | Path, *, read_only: bool) -> None:
        self._path = driver.path_of(path_or_url)
        self._read_only = read_only
        self._is_closed = False
        with driver.complaints(self._path):
            if not read_only and not self._path.exists():
                driver.create(self._path)
            self._engine = driver.open_engine(self._path, read_only=read_only)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Empty the write-ahead log into the file and let go of it. Closing twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._read_only:
            # All is safe in the log already; the next who opens the journal empties it.
            with suppress(JournalError), driver.complaints(self._path):
                driver.checkpoint(self._engine)
        self._engine.dispose()

    @property
    def identity(self) -> str:
        """A random name given when the journal was made: says whether a snapshot is of this one.

        Raises
        ------
        JournalError
            If the journal cannot be read.
        """
        with self._reading() as connection:
            return reading.identity(connection)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with driver.complaints(self._path):
            if self._is_closed:
                raise JournalError("it was closed")
            with self._engine.connect() as connection:
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with driver.complaints(self._path):
            if self._is_closed:
                raise JournalError("it was closed")
            if self._read_only:
                raise JournalError("it was opened for reading only")
            with self._engine.connect() as connection:
                writing = connection.execution_options(**{driver.WRITING: True})
                with writing.begin():
                    yield writing
