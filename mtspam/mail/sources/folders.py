"""The files below a directory, in sorted order; Maildirs are known by their folders."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtspam.errors import DataError
from mtspam.mail.sources.opening import check_regular, naming_errors, open_regular, printable

__all__ = ["FoundFile", "open_in_maildir", "walk"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a directory.

    Parameters
    ----------
    path
        Where it is.
    is_in_maildir
        Whether it lies in a Maildir, hence is one message whatever its content looks like.
    """

    path: str
    is_in_maildir: bool


def _entries(directory: str) -> list[tuple[str, bool]]:
    """Return sorted names, and whether each is sure to be a file: so the directory says."""
    with naming_errors(printable(directory)), os.scandir(directory) as entries:
        return sorted(
            (entry.name, entry.is_file(follow_symlinks=False))
            for entry in entries
            if not entry.name.startswith(".")
        )


def _visible(directory: str) -> list[str]:
    return [name for name, _ in _entries(directory)]


def _below(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"


def _unique(name: str) -> str:
    return name.partition(":")[0]


def _messages_of_maildir(cur: str, new: str) -> list[str]:
    # Both are listed before any is read, "new" first: a message that moves on meanwhile is then
    # in one list or in both, never in none.
    fresh, known = _visible(new), _visible(cur)
    moved = {_unique(name) for name in known}
    paths = [_below(cur, name) for name in known]
    return paths + [_below(new, name) for name in fresh if _unique(name) not in moved]


def walk(root: str) -> Iterator[FoundFile]:
    """Yield the files below a directory, sorted; each directory once, however often it is linked.

    Of a Maildir only ``cur`` and ``new`` are entered, not its subfolders: what lies in *Junk* is
    another matter. Names that begin with a dot are passed over.

    Parameters
    ----------
    root
        A directory.

    Raises
    ------
    DataError
        If a directory cannot be read, or a name leads to no file and no directory.
    """
    pending = [(root, False)]
    entered: set[tuple[int, int]] = set()
    while pending:
        path, is_file = pending.pop()
        if is_file:
            yield FoundFile(path, is_in_maildir=False)
            continue
        with naming_errors(printable(path)):
            status = Path(path).stat()
        if not stat.S_ISDIR(status.st_mode):
            check_regular(printable(path), status.st_mode)
            yield FoundFile(path, is_in_maildir=False)
            continue
        # A link to a directory above would be followed for ever.
        identity = (status.st_dev, status.st_ino)
        if identity in entered:
            continue
        entered.add(identity)
        cur, new = _below(path, "cur"), _below(path, "new")
        with naming_errors(printable(path)):
            is_maildir = Path(cur).is_dir() and Path(new).is_dir()
        if is_maildir:
            for message in _messages_of_maildir(cur, new):
                yield FoundFile(message, is_in_maildir=True)
        else:
            found = reversed(_entries(path))
            pending.extend((_below(path, name), is_file) for name, is_file in found)


def _renamed(path: str) -> str | None:
    """Find what a file of a Maildir is called since a mail reader touched it."""
    unique = _unique(Path(path).name)
    folder = str(Path(path).parent.parent / "cur")
    for name in _visible(folder):
        if _unique(name) == unique and _below(folder, name) != path:
            return _below(folder, name)
    return None


def open_in_maildir(path: str) -> io.BufferedReader | None:
    """Open a message that its owner may be moving from *new* to *cur*, flagging or deleting.

    Returns
    -------
    The open file, under the name that it has by now; None where it was deleted.

    Raises
    ------
    DataError
        If it is there and cannot be read.
    """
    present: str | None = path
    while present is not None:
        try:
            return open_regular(present)
        except DataError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
        present = _renamed(present)
    return None
