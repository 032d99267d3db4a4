"""Where mail lies in Maildirs: users' boxes, their folders, the messages in these."""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = [
    "Box",
    "FolderNames",
    "Place",
    "StoredMessage",
    "boxes_by_folder",
    "folders_of",
    "messages_in",
]

INBOX = "INBOX"
_MAIL_DIRECTORIES = ("cur", "new")
_MAX_DEPTH = 6
_SHIFTED = re.compile(r"&([^-]*)-")
_IGNORED_FLAGS = frozenset("TD")  # deleted, draft


class Place(StrEnum):
    """What it means that a message lies in a folder."""

    MAIL = "mail"
    JUNK = "junk"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class FolderNames:
    """Names of folders with a meaning, in small letters.

    Parameters
    ----------
    junk
        What lies there is spam.
    ignored
        What comes there says nothing: trash, drafts, sent mail.
    """

    junk: frozenset[str]
    ignored: frozenset[str]

    @classmethod
    def of(cls, junk: Iterable[str], ignored: Iterable[str]) -> "FolderNames":
        """Take names as people write them."""
        return cls(frozenset(map(str.casefold, junk)), frozenset(map(str.casefold, ignored)))

    def place(self, folder: str) -> Place:
        """Return what a folder means; one within another means what that means.

        Examples
        --------
        >>> names = FolderNames.of(["Junk"], ["Trash"])
        >>> [str(names.place(name)) for name in ("INBOX", "INBOX/Junk/2025", "Trash/Junk")]
        ['mail', 'junk', 'ignored']
        """
        parts = set(folder.casefold().split("/"))
        if parts & self.ignored:
            return Place.IGNORED
        return Place.JUNK if parts & self.junk else Place.MAIL


@dataclass(frozen=True, slots=True)
class Box:
    """One user's Maildir."""

    user: str
    path: Path


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in a folder.

    Parameters
    ----------
    folder
        The folder's name, with slashes between its parts.
    base
        The file's name without flags, which stays the same as long as it is in the folder.
    path
        The file as it is called now.
    """

    folder: str
    base: str
    path: Path


def _is_folder(path: Path) -> bool:
    return all((path / name).is_dir() for name in _MAIL_DIRECTORIES)


def boxes_by_folder(root: Path) -> Iterator[Box]:
    """Yield the Maildirs below a directory, each of the user that its folders name.

    ``ana``, ``ana/Maildir`` and ``ana/mail`` are ana's, ``example.org/ana`` is
    ana@example.org's.
    """
    yield from _boxes_below(root, ())


def _boxes_below(directory: Path, parts: tuple[str, ...]) -> Iterator[Box]:
    if parts and _is_folder(directory):
        *above, last = [part for part in parts if part.lower() not in {"maildir", "mail"}] or parts
        yield Box(_text(f"{last}@{above[-1]}" if above else last), directory)
        return
    if len(parts) < _MAX_DEPTH:
        for name in sorted(_directories(directory)):
            if not name.startswith("."):
                yield from _boxes_below(directory / name, (*parts, name))


def _directories(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # gone meanwhile, or not ours to see


def folders_of(box: Box) -> Iterator[tuple[str, Path]]:
    """Yield name and directory of each folder: of Maildir++ (``.Junk``) and nested ones."""
    if _is_folder(box.path):
        yield INBOX, box.path
    yield from _folders_below(box.path, "", 0)


def _folders_below(directory: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    if depth >= _MAX_DEPTH:
        return
    for name in sorted(_directories(directory)):
        if name in {"cur", "new", "tmp"}:
            continue
        path = directory / name
        # In Maildir++ all folders lie side by side, with dots where others have slashes.
        shown = name[1:].replace(".", "/") if name.startswith(".") else name
        folder = prefix + _decoded(_text(shown))
        if _is_folder(path):
            yield folder, path
        if not name.startswith("."):
            yield from _folders_below(path, f"{folder}/", depth + 1)


def _text(name: str) -> str:
    """Write a name of the file system so that it can be stored, whatever bytes are in it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _decoded(name: str) -> str:
    """Undo IMAP's encoding of names in other letters (RFC 3501, section 5.1.3)."""

    def letters(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        text = found[1].replace(",", "/")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode(
                "utf-16-be"
            )
        except (binascii.Error, UnicodeDecodeError):
            return found[0]

    return _SHIFTED.sub(letters, name)


def messages_in(folder: str, directory: Path) -> Iterator[StoredMessage]:
    """Yield the messages of a folder, without drafts and those that are marked as deleted."""
    for part in _MAIL_DIRECTORIES:
        try:
            names = os.listdir(directory / part)  # noqa: PTH208 - names alone: there may be many
        except OSError:
            continue
        for name in sorted(names):
            base, _, flags = name.partition(":2,")
            if not name.startswith(".") and not _IGNORED_FLAGS & set(flags):
                yield StoredMessage(folder, _text(base), directory / part / name)
