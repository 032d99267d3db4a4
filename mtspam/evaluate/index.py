"""Index and users files: which message is what, in which order, and who says so when.

The lines are those of the TREC spam track. Reading the messages is `mtspam.evaluate.corpus`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from mtspam.errors import DataError
from mtspam.types import Label

__all__ = ["Feedback", "IndexEntry", "read_index", "read_users"]

_LABELS = {label.value: label for label in Label}
_NO_USER = "-"
_MIN_TIME_DIGITS = 9
"""A third field of that many digits is a time (Unix seconds since 1973), a shorter one a user."""


class Feedback(StrEnum):
    """When the filter is told the label of the message on a line."""

    AT_ONCE = "at once"
    LATER = "later"
    NEVER = "never"
    ALONE = "alone"
    """The line only brings the label of a message that an earlier line showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One line of an index.

    Parameters
    ----------
    line
        Its number in the file, from 1.
    path
        The message's file or archive member, as written.
    label
        What the message is.
    feedback
        When the filter is told.
    user
        Whose message it is, None if nobody's.
    time
        Unix seconds, None if unknown.
    """

    line: int
    path: str
    label: Label
    feedback: Feedback
    user: str | None
    time: int | None

    @property
    def is_spam(self) -> bool:
        """Whether the message is spam; phishing is."""
        return self.label in {Label.SPAM, Label.PHISHING}

    @property
    def is_scored(self) -> bool:
        """Whether the line counts in the figures.

        A *bulk* line teaches that the message is bulk and says nothing about spam, so it does not.
        """
        return self.feedback is not Feedback.ALONE and self.label is not Label.BULK

    @property
    def has_feedback(self) -> bool:
        """Whether the filter learns at this line."""
        return self.feedback in {Feedback.AT_ONCE, Feedback.ALONE}


def read_index(path: Path, users: Mapping[str, str] | None = None) -> list[IndexEntry]:
    """Read an index of lines ``label path [user] [time]`` in the order of arrival.

    The label is ham, spam, phishing or bulk. Its case says when the filter is told, as in the
    TREC spam track's delayed and partial indexes: ``ham`` at once, ``Ham`` never, and ``HAM``
    with a path that an earlier line showed is that message's late feedback (``HAM`` with a new
    path is read as ``Ham``). A user of ``-`` is nobody. Of three fields the third is a time if it
    is a number of nine digits or more, else a user. Blank lines are skipped.

    Parameters
    ----------
    path
        The index file.
    users
        Users by path, from `read_users`; they go before those of the index.

    Returns
    -------
    list of IndexEntry
        At least one.

    Raises
    ------
    DataError
        If the file cannot be read, holds no message, or a line is broken; the text names it.
    """
    entries: list[IndexEntry] = []
    shown: dict[str, int] = {}
    for number, fields in _lines(path):
        where = f"{path}:{number}"
        entry = _parse(number, fields, where)
        if users is not None:
            entry = replace(entry, user=users.get(entry.path, entry.user))
        first = shown.get(entry.path)
        if fields[0].isupper() and first is not None:
            entry = replace(entry, feedback=Feedback.ALONE)
            if entries[first].feedback is Feedback.NEVER:
                entries[first] = replace(entries[first], feedback=Feedback.LATER)
        else:
            shown[entry.path] = len(entries)
        entries.append(entry)
    if not entries:
        raise DataError(f"{path}: the index names no message")
    return entries


def read_users(path: Path) -> dict[str, str]:
    """Read a file of lines ``path user``.

    Parameters
    ----------
    path
        The users file; its paths are written as those of the index.

    Returns
    -------
    dict
        User by path.

    Raises
    ------
    DataError
        If the file cannot be read, a line is broken, or a path has two users.
    """
    users: dict[str, str] = {}
    for number, fields in _lines(path):
        if len(fields) != 2:  # noqa: PLR2004 - a path and a user
            raise DataError(f"{path}:{number}: expected `path user`, got {len(fields)} fields")
        message, user = fields
        if users.setdefault(message, user) != user:
            raise DataError(
                f"{path}:{number}: {message!r} belongs to {users[message]!r} already, got {user!r}"
            )
    return users


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                # Bytes split at ASCII white space alone; paths are named as the file system does.
                fields = [os.fsdecode(field) for field in line.split()]
                if fields:
                    yield number, fields
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parse(number: int, fields: list[str], where: str) -> IndexEntry:
    if not 2 <= len(fields) <= 4:  # noqa: PLR2004 - label path [user] [time]
        raise DataError(
            f"{where}: expected `label path [user] [time]`, got {len(fields)} field(s)"
        )
    label = _LABELS.get(fields[0].lower())
    if label is None:
        raise DataError(
            f"{where}: unknown label {fields[0]!r}, expected one of {', '.join(_LABELS)}"
        )
    user, time = _user_and_time(fields[2:], where)
    return IndexEntry(
        line=number,
        path=fields[1],
        label=label,
        feedback=Feedback.AT_ONCE if fields[0].islower() else Feedback.NEVER,
        user=user,
        time=time,
    )


def _user_and_time(fields: list[str], where: str) -> tuple[str | None, int | None]:
    user: str | None = None
    stamp: str | None = None
    if len(fields) == 1 and not _is_time(fields[0]):
        user = fields[0]
    elif fields:
        user, stamp = (None, fields[0]) if len(fields) == 1 else (fields[0], fields[1])
    if stamp is not None and not (stamp.isascii() and stamp.isdigit()):
        raise DataError(f"{where}: the time must be whole Unix seconds, got {stamp!r}")
    return (
        None if user == _NO_USER else user,
        None if stamp is None else int(stamp),
    )


def _is_time(field: str) -> bool:
    return field.isascii() and field.isdigit() and len(field) >= _MIN_TIME_DIGITS
