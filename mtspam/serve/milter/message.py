"""A message as far as it has come over milter: fields one by one, then pieces of the body."""

from collections import Counter
from typing import Final

from mtspam.serve.fields import is_forged, without_forged
from mtspam.serve.milter.codec import text_of

__all__ = ["MAX_ENVELOPE_BYTES", "Message", "Room"]

MAX_ENVELOPE_BYTES: Final = 2_097_152
"""Of all recipients of a message: many times what a mail server lets pass."""

_PIECE_BYTES = 200  # what a field or an address costs in memory beside its text
_FORGED_BEGIN = (b"X-", b"x-")


class Room:
    """Bytes that the messages of all connections may take together while they arrive.

    Parameters
    ----------
    n_bytes
        In all.
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_free = n_bytes

    def take(self, n_bytes: int) -> bool:
        """Take some; False: there is not so much, and none was taken."""
        if n_bytes > self.n_free:
            return False
        self.n_free -= n_bytes
        return True

    def give(self, n_bytes: int) -> None:
        """Give back what was taken."""
        self.n_free += n_bytes


class Message:
    """What is known of a message, and its text as it would be on the wire.

    Parameters
    ----------
    room
        Where its bytes are counted.
    max_bytes
        What is more of it is not kept, as nothing looks at it.
    """

    def __init__(self, room: Room, max_bytes: int) -> None:
        self._room = room
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._n_taken = 0
        self._n_envelope_bytes = 0
        self._is_crowded_out = False
        self._header: list[bytes] = []
        self._body: list[bytes] = []
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.macros: dict[str, str] = {}
        self._names: Counter[bytes] = Counter()
        self.forged: Counter[bytes] = Counter()
        """How often it has each field that only we may write."""
        self.cleaned: list[tuple[int, bytes, bytes]] = []
        """Fields that hide such a one: which of its name it is, its name, a value without it."""

    @property
    def is_full(self) -> bool:
        """Whether no more of it is looked at."""
        return self._n_bytes >= self._max_bytes

    @property
    def n_forged(self) -> int:
        """How many fields are to be deleted or changed."""
        return self.forged.total() + len(self.cleaned)

    @property
    def raw(self) -> bytes | None:
        """The message; None where there was no room for it, so that it cannot be judged."""
        if self._is_crowded_out:
            return None
        return b"".join((*self._header, b"\r\n", *self._body))

    def take_recipient(self, address: str) -> None:
        """Add a recipient."""
        self._n_envelope_bytes += len(address) + _PIECE_BYTES
        if self._n_envelope_bytes > MAX_ENVELOPE_BYTES:
            self._is_crowded_out = True
        else:
            self.recipients.append(address)

    def take_field(self, name: bytes, value: bytes, *, colon: bytes) -> None:
        """Add a header field.

        Parameters
        ----------
        name, value
            As the mail server gives them: lines of a folded value are joined by LF alone.
        colon
            What to put between the two.
        """
        self._names[name.lower()] += 1
        # Asked of few: it would take a third of the time that a field takes.
        if name[:2] in _FORGED_BEGIN and is_forged(text_of(name)):
            self.forged[name.lower()] += 1
        elif b"\r" in value:
            self._uncover(name, value)
        if b"\n" in value:
            value = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._keep(self._header, name + colon + value + b"\r\n", _PIECE_BYTES)

    def take_body(self, data: bytes) -> None:
        """Add a piece of the body."""
        self._keep(self._body, data, 0)

    def drop(self) -> None:
        """Give its room back."""
        self._room.give(self._n_taken)
        self._n_taken = 0

    def _uncover(self, name: bytes, value: bytes) -> None:
        """Note a field behind whose carriage return some readers see another one."""
        lines = value.replace(b"\r\n", b"\n")
        start = len(name) + 1
        kept = without_forged(name + b":" + lines + b"\n\n")[start:-2]
        if kept != lines:
            self.cleaned.append((self._names[name.lower()], name, kept))

    def _keep(self, where: list[bytes], data: bytes, cost: int) -> None:
        """Keep a piece as far as it is looked at and there is room."""
        data = data[: self._max_bytes - self._n_bytes]
        if not data or self._is_crowded_out:
            return
        if not self._room.take(len(data) + cost):
            self._is_crowded_out = True
            return
        self._n_taken += len(data) + cost
        self._n_bytes += len(data)
        where.append(data)
