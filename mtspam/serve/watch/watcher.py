"""Compares folders with what was seen before, and tells the service what people did."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mtspam.errors import DataError, ServiceError
from mtspam.mail.sources.opening import open_regular
from mtspam.serve.client import RefusedError
from mtspam.serve.fields import field_values, message_id_in, without_forged
from mtspam.serve.watch.maildirs import (
    Box,
    FolderNames,
    Place,
    StoredMessage,
    folders_of,
    messages_in,
)
from mtspam.serve.watch.memory import Memory

__all__ = ["SOURCE", "Seen", "Teacher", "Watcher"]

SOURCE = "watch"

_log = logging.getLogger(__name__)


class Teacher(Protocol):
    """Whom to tell; a `ServiceClient`."""

    def learn(
        self, message: bytes | str, label: str, *, user: str | None, source: str
    ) -> dict[str, object]:
        """Say what a message is."""
        ...


@dataclass(slots=True)
class Seen:
    """What a look at a box found: spam and ham told, and whether all could be told."""

    n_spam: int = 0
    n_ham: int = 0
    is_complete: bool = True


class Watcher:
    """Learns spam from what comes into Junk and ham from what comes out of it again.

    What the filter itself marked as spam and was delivered to Junk is not learnt: it would only
    hear itself. What goes from Junk to Trash says nothing, nor does what was in Junk already when
    a box is first looked at.

    Parameters
    ----------
    teacher
        Whom to tell.
    memory
        What was seen before.
    names
        Which folders are Junk, and which say nothing.
    max_bytes
        A longer message is not learnt.
    """

    def __init__(
        self, teacher: Teacher, memory: Memory, names: FolderNames, *, max_bytes: int
    ) -> None:
        self._teacher = teacher
        self._memory = memory
        self._names = names
        self._max_bytes = max_bytes

    def look(self, box: Box) -> Seen:
        """Look through a box and tell what changed since the last time.

        Each message is told before it is noted as seen: after a crash it is told again, which
        changes nothing.

        Raises
        ------
        DataError
            Where the memory cannot be written.
        """
        seen = Seen()
        is_first = self._memory.is_new(box.user)
        folders = list(folders_of(box))
        for folder, directory in folders:
            place = self._names.place(folder)
            if place is not Place.IGNORED:
                self._look_into(box, folder, directory, place, seen if not is_first else None)
        with self._memory.writing():
            self._memory.drop_folders(box.user, {folder for folder, _ in folders})
            self._memory.trim(box.user)
            if is_first:
                self._memory.met(box.user)
        return seen

    def _look_into(
        self, box: Box, folder: str, directory: Path, place: Place, seen: Seen | None
    ) -> None:
        """Look into one folder; without `seen` nothing is told."""
        known = self._memory.known(box.user, folder)
        there: set[str] = set()
        for message in messages_in(folder, directory):
            there.add(message.base)
            if message.base in known:
                continue
            try:
                self._take(box, message, place, seen)
            except RefusedError as error:
                _log.warning("%s was not learnt: %s", message.path.name, error)
                self._note(box, message)
            except ServiceError as error:
                if seen is None or seen.is_complete:
                    _log.warning("%s; it will be told later", error)
                if seen is not None:
                    seen.is_complete = False
        if gone := known - there:
            with self._memory.writing():
                self._memory.drop(box.user, folder, gone)

    def _take(self, box: Box, message: StoredMessage, place: Place, seen: Seen | None) -> None:
        """Learn from one message that is new where it lies."""
        try:
            with open_regular(str(message.path)) as file:
                raw = file.read(self._max_bytes + 1)
        except (DataError, OSError):
            return  # it was moved on meanwhile: the next look finds it; or it is no file at all
        if len(raw) > self._max_bytes:
            self._note(box, message)
            return
        key = _key(raw)
        was_junk = self._memory.is_junk(box.user, key)
        is_junk = place is Place.JUNK
        if seen is not None and seen.is_complete:
            if is_junk and was_junk is not True and (was_junk is False or not _is_marked(raw)):
                self._teacher.learn(raw, "spam", user=box.user, source=SOURCE)
                seen.n_spam += 1
            elif not is_junk and was_junk:
                self._teacher.learn(raw, "ham", user=box.user, source=SOURCE)
                seen.n_ham += 1
        elif seen is not None:
            return  # the service is away
        with self._memory.writing():
            self._memory.put(box.user, key, is_junk=is_junk)
            self._memory.note(box.user, message.folder, message.base)

    def _note(self, box: Box, message: StoredMessage) -> None:
        with self._memory.writing():
            self._memory.note(box.user, message.folder, message.base)


def _key(raw: bytes) -> bytes:
    """Return what stands for a message wherever it lies: our id if it has one."""
    message_id = message_id_in(raw)
    if message_id is not None:
        return bytes.fromhex(message_id)
    plain = without_forged(raw).replace(b"\r\n", b"\n")
    return hashlib.blake2b(plain, digest_size=16, person=b"watch").digest()


def _is_marked(raw: bytes) -> bool:
    """Tell whether the filter itself took a message for spam."""
    found = dict(reversed(field_values(raw, ["x-spam-flag", "x-mtspam-id"])))
    return "x-mtspam-id" in found and found.get("x-spam-flag", "").upper() == "YES"
