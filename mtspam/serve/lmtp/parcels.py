"""What is on its way to the next hop, kept where it outlives the worker that handed it over.

A record of each delivery lies in memory that all workers share, and beside it, in the queue of a
socket that nobody reads, a copy of the connection over which it went. If the worker is killed, the
connection stays open: whoever is given the message again reads there what the next hop has said
meanwhile, and delivers nothing twice.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

__all__ = ["MAX_RECIPIENTS", "Parcel", "Parcels"]

MAX_RECIPIENTS: Final = 200
"""Of one delivery on record; one with more goes without."""

_N_SLOTS: Final = 64
_MOST_SECONDS: Final = 21_600.0

_DIGEST_BYTES: Final = 16
_NAME_BYTES: Final = 8
_HEAD = struct.Struct("=16sdHB")  # delivery, when, recipients, state
_FREE, _HELD, _GIVEN = range(3)
_OPEN, _DELIVERED, _SETTLED = b"\0", b"\1", b"\2"
_STATE_AT: Final = _HEAD.size - 1
_NAMES_AT: Final = 32
_OUTCOMES_AT: Final = _NAMES_AT + MAX_RECIPIENTS * _NAME_BYTES
_SLOT_BYTES: Final = _OUTCOMES_AT + MAX_RECIPIENTS


def _name_of(recipient: str) -> bytes:
    data = recipient.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=_NAME_BYTES).digest()


class Parcels:
    """The records of all workers; to be made before they are forked.

    Whoever works with a record holds a lock on it, of which the kernel relieves a process that
    dies.

    Examples
    --------
    >>> parcels = Parcels()
    >>> parcel = parcels.hold("0f" * 16, ["ana@example.org"])
    >>> parcel.begin_end()
    >>> parcel.note(0, is_delivered=True)
    >>> parcel.release()
    >>> [found] = parcels.taken_over("0f" * 16)
    >>> found.place_of("ana@example.org"), found.place_of("bob@example.org")
    (0, None)
    >>> found.release()
    >>> parcels.close()
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("mtspam-parcels")
        os.ftruncate(self._file, _N_SLOTS * _SLOT_BYTES)
        self._page = mmap.mmap(self._file, _N_SLOTS * _SLOT_BYTES)
        self._queues = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            for _ in range(_N_SLOTS)
        ]
        self._mine: set[int] = set()
        self._next = 0

    def close(self) -> None:
        """Let go of all of it; who was forked with it keeps it."""
        self._page.close()
        os.close(self._file)
        for queue in self._queues:
            for end in queue:
                end.close()

    def hold(self, delivery: str, recipients: Sequence[str]) -> "Parcel | None":
        """Make a record of a delivery that is about to begin; None where there is no room.

        Parameters
        ----------
        delivery
            Its number: 32 hexadecimal digits.
        recipients
            In the order in which the next hop will answer for them.
        """
        if len(recipients) > MAX_RECIPIENTS:
            return None
        slot = self._vacant()
        if slot is None:
            return None
        at = slot * _SLOT_BYTES
        names = b"".join(map(_name_of, recipients))
        self._page[at + _NAMES_AT : at + _NAMES_AT + len(names)] = names
        self._page[at + _OUTCOMES_AT : at + _SLOT_BYTES] = _OPEN * MAX_RECIPIENTS
        head = (bytes.fromhex(delivery), time.monotonic(), len(recipients), _HELD)
        _HEAD.pack_into(self._page, at, *head)
        return Parcel(self, slot)

    def taken_over(self, delivery: str) -> "list[Parcel] | None":
        """Take over what is on record of a delivery that nobody works at any more.

        Returns
        -------
        list or None
            None where somebody still does.
        """
        digest = bytes.fromhex(delivery)
        taken: list[Parcel] = []
        for slot in range(_N_SLOTS):
            if self._head(slot)[0] != digest or self._head(slot)[3] == _FREE:
                continue
            if not self._lock(slot):
                for parcel in taken:
                    parcel.release()
                return None
            if self._head(slot)[0] == digest and self._head(slot)[3] == _GIVEN:
                taken.append(Parcel(self, slot))
            else:  # the next hop never got the end of it
                self.free(slot)
        return taken

    def _vacant(self) -> int | None:
        """Lock a record that is free, or the oldest that nobody needs."""
        now = time.monotonic()
        oldest: list[tuple[float, int]] = []
        for step in range(_N_SLOTS):
            slot = (self._next + step) % _N_SLOTS
            _, began, _, state = self._head(slot)
            if state == _FREE or now - began > _MOST_SECONDS:
                if self._lock_in(slot, (state,)):
                    return slot
            elif slot not in self._mine:
                oldest.append((began, slot))
        for _, slot in sorted(oldest):
            if self._lock_in(slot, (_HELD, _GIVEN)):
                return slot
        return None

    def _lock_in(self, slot: int, states: tuple[int, ...]) -> bool:
        """Lock a record and empty it, if it is still in one of these states."""
        if not self._lock(slot):
            return False
        if self._head(slot)[3] not in states:
            self._unlock(slot)
            return False
        self._next = slot + 1
        self.drop_connection(slot)
        self.set_field(slot, _STATE_AT, bytes([_FREE]))
        return True

    def _head(self, slot: int) -> tuple[bytes, float, int, int]:
        digest, began, n_recipients, state = _HEAD.unpack_from(self._page, slot * _SLOT_BYTES)
        return digest, began, n_recipients, state

    def _lock(self, slot: int) -> bool:
        if slot in self._mine:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
        except OSError:
            return False
        self._mine.add(slot)
        return True

    def _unlock(self, slot: int) -> None:
        self._mine.discard(slot)
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, slot)

    # What a parcel needs.

    def field(self, slot: int, at: int, n_bytes: int) -> bytes:
        """Return bytes of a record."""
        start = slot * _SLOT_BYTES + at
        return self._page[start : start + n_bytes]

    def set_field(self, slot: int, at: int, data: bytes) -> None:
        """Change bytes of a record."""
        start = slot * _SLOT_BYTES + at
        self._page[start : start + len(data)] = data

    def keep_connection(self, slot: int, descriptor: int) -> None:
        """Keep a copy of a connection with a record, instead of any that was there."""
        self.drop_connection(slot)
        with contextlib.suppress(OSError):  # without it the record is worth less, but no harm
            socket.send_fds(self._queues[slot][0], [self._head(slot)[0]], [descriptor])

    def take_connection(self, slot: int) -> socket.socket | None:
        """Take the connection that is kept with a record, if it is that delivery's."""
        found: socket.socket | None = None
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._queues[slot][1], _DIGEST_BYTES, 1)
            except OSError:
                return found
            for descriptor in descriptors:
                if found is not None:
                    found.close()
                found = socket.socket(fileno=descriptor)
                if data != self._head(slot)[0]:
                    found.close()
                    found = None

    def drop_connection(self, slot: int) -> None:
        """Keep no connection with a record any longer."""
        connection = self.take_connection(slot)
        if connection is not None:
            connection.close()

    def free(self, slot: int) -> None:
        """Strike a record out, and let go of it."""
        self.drop_connection(slot)
        self.set_field(slot, _STATE_AT, bytes([_FREE]))
        self._unlock(slot)

    def let_go(self, slot: int) -> None:
        """Leave a record to whoever is given the message again."""
        self._unlock(slot)

    def size(self, slot: int) -> int:
        """Return how many recipients a record has."""
        return self._head(slot)[2]

    def is_given(self, slot: int) -> bool:
        """Whether the next hop may have got the end of the message."""
        return self._head(slot)[3] == _GIVEN


class Parcel:
    """The record of one delivery, which its holder alone may change."""

    def __init__(self, parcels: Parcels, slot: int) -> None:
        self._parcels = parcels
        self._slot = slot
        self._n_recipients = parcels.size(slot)
        self._is_held = True

    def keep(self, descriptor: int) -> None:
        """Keep a copy of the connection, before the message goes over it."""
        self._parcels.keep_connection(self._slot, descriptor)

    def begin_end(self) -> None:
        """Note that the end of the message goes out now: from here on it may be stored."""
        self._parcels.set_field(self._slot, _STATE_AT, bytes([_GIVEN]))

    def note(self, place: int, *, is_delivered: bool) -> None:
        """Note what the next hop said of a recipient."""
        self._set(place, _DELIVERED if is_delivered else _SETTLED)

    def settle(self, place: int) -> None:
        """Note that the mail server knows what became of a recipient."""
        self._set(place, _SETTLED)

    def give_up(self) -> None:
        """Note that nothing more will be known of those who were not answered for."""
        for place in self.open_places():
            self._set(place, _SETTLED)

    def place_of(self, recipient: str) -> int | None:
        """Return the place of a recipient who got the message, and of whom nobody knows it."""
        name = _name_of(recipient)
        for place, outcome in enumerate(self._outcomes()):
            start = _NAMES_AT + place * _NAME_BYTES
            is_theirs = self._parcels.field(self._slot, start, _NAME_BYTES) == name
            if is_theirs and outcome == _DELIVERED[0]:
                return place
        return None

    def open_places(self) -> list[int]:
        """Return the places of recipients for whom the next hop has not answered."""
        return [at for at, outcome in enumerate(self._outcomes()) if outcome == _OPEN[0]]

    def connection(self) -> socket.socket | None:
        """Return the connection that was kept; it stays kept until this is released."""
        found = self._parcels.take_connection(self._slot)
        if found is not None:
            self._parcels.keep_connection(self._slot, found.fileno())
        return found

    def release(self) -> None:
        """Be done with it: it is kept as long as there is anything to be known from it."""
        if not self._is_held:
            return
        self._is_held = False
        outcomes = self._outcomes()
        is_open = _OPEN in outcomes and self._parcels.is_given(self._slot)
        if not is_open and _DELIVERED not in outcomes:
            self._parcels.free(self._slot)
            return
        if not is_open:
            self._parcels.drop_connection(self._slot)
        self._parcels.let_go(self._slot)

    def _outcomes(self) -> bytes:
        return self._parcels.field(self._slot, _OUTCOMES_AT, self._n_recipients)

    def _set(self, place: int, outcome: bytes) -> None:
        self._parcels.set_field(self._slot, _OUTCOMES_AT + place, outcome)
