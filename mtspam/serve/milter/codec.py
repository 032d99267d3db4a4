"""Milter packets: from bytes to events, from answers to bytes. No input, no output, no state.

What stands in a packet is taken as it comes; what it means for a message is `session`'s business.
"""

import re
from dataclasses import dataclass
from enum import IntFlag
from struct import Struct
from typing import Final

from mtspam.errors import ProtocolError

__all__ = [
    "ACCEPT",
    "CONTINUE",
    "DISCARD",
    "MAX_PACKET_BYTES",
    "PROGRESS",
    "REJECT",
    "SKIP",
    "TEMPFAIL",
    "VERSION",
    "Actions",
    "Connect",
    "Negotiate",
    "PacketReader",
    "Steps",
    "change_header",
    "decode_connect",
    "decode_header",
    "decode_macros",
    "decode_negotiate",
    "decode_texts",
    "insert_header",
    "negotiate",
    "quarantine",
    "reply_code",
    "text_of",
]

VERSION: Final = 6
MAX_PACKET_BYTES: Final = 65_536
"""A command byte and 65,535 bytes of a body: the most that a mail server sends unless it was
granted larger packets, which is never asked for."""

_LENGTH = Struct(">I")
_INDEX = Struct(">I")
_NEGOTIATE = Struct(">III")
_PORT = Struct(">H")
_HEAD_BYTES = 4
_REASON_BYTES = 100  # what Postfix keeps of it
_REPLY_CHARACTERS = 500  # one line of SMTP has 512 with its end
_ASCII_PRINTABLE = range(0x20, 0x7F)
_REPLY = re.compile(
    r"(?P<code>[45]\d\d)(?: (?P<status>[45]\.\d{1,3}\.\d{1,3}))?(?: (?P<text>.*))?"
)


class Actions(IntFlag):
    """What a filter may ask of a mail server at the end of a message."""

    ADD_HEADERS = 0x1
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20


class Steps(IntFlag):
    """What a mail server need not send, need not be answered, or can do."""

    NO_REPLY_HEADER = 0x80
    NO_UNKNOWN = 0x100
    SKIP = 0x400
    NO_REPLY_CONNECT = 0x1000
    NO_REPLY_HELO = 0x2000
    NO_REPLY_MAIL = 0x4000
    NO_REPLY_RECIPIENT = 0x8000
    NO_REPLY_DATA = 0x10000
    NO_REPLY_UNKNOWN = 0x20000
    NO_REPLY_END_OF_HEADERS = 0x40000
    NO_REPLY_BODY = 0x80000
    LEADING_SPACE = 0x100000


@dataclass(frozen=True, slots=True)
class Negotiate:
    """What a mail server offers: the protocol's version, actions, steps."""

    version: int
    actions: int
    steps: int


@dataclass(frozen=True, slots=True)
class Connect:
    """Who connected to the mail server.

    Parameters
    ----------
    name
        The client's host name; its address in brackets where it has none.
    address
        Its address; None over a UNIX socket and where it is not known.
    """

    name: str
    address: str | None


class PacketReader:
    r"""Cuts a stream into packets, wherever its bytes were split on the way.

    Examples
    --------
    >>> reader = PacketReader()
    >>> reader.feed(b"\0\0\0\2H"); print(reader.next())
    None
    >>> reader.feed(b"a"); reader.next()
    (b'H', b'a')
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        self._buffer = self._buffer[self._start :] + data
        self._start = 0

    def next(self) -> tuple[bytes, bytes] | None:
        """Return the command and the data of the next packet, None until it is there.

        Raises
        ------
        ProtocolError
            Where a packet is announced that has no command or is longer than is allowed.
        """
        buffer, start = self._buffer, self._start
        if len(buffer) - start < _HEAD_BYTES:
            return None
        (length,) = _LENGTH.unpack_from(buffer, start)
        if not 0 < length <= MAX_PACKET_BYTES:
            raise ProtocolError(
                f"a packet of {length} bytes was announced; it must have from 1 up to "
                f"{MAX_PACKET_BYTES}"
            )
        data = start + _HEAD_BYTES + 1
        end = start + _HEAD_BYTES + length
        if len(buffer) < end:
            return None
        self._start = end
        return buffer[data - 1 : data], buffer[data:end]


# From the mail server.


def decode_negotiate(data: bytes) -> Negotiate:
    """Read an offer.

    Raises
    ------
    ProtocolError
        Where it is cut short.
    """
    if len(data) < _NEGOTIATE.size:
        raise ProtocolError(f"an offer has {len(data)} bytes; it must have {_NEGOTIATE.size}")
    return Negotiate(*_NEGOTIATE.unpack_from(data))


def decode_texts(data: bytes) -> list[bytes]:
    r"""Read texts that each end with a nought.

    Raises
    ------
    ProtocolError
        Where the last one does not.

    Examples
    --------
    >>> decode_texts(b"<a@b.example>\0SIZE=4\0")
    [b'<a@b.example>', b'SIZE=4']
    """
    texts = data.split(b"\0")
    if texts.pop():
        raise ProtocolError("a text in a packet has no end")
    return texts


def decode_macros(data: bytes) -> list[tuple[str, str]]:
    r"""Read names and values, without the letter of the event that they belong to.

    Braces around a name are dropped: mail servers differ in where they write them.

    Examples
    --------
    >>> decode_macros(b"Mi\0004QUEUE1\0{auth_authen}\0ana\0")
    [('i', '4QUEUE1'), ('auth_authen', 'ana')]
    """
    texts = data[1:].split(b"\0")
    return [
        (text_of(name).strip("{}"), text_of(value))
        for name, value in zip(texts[::2], texts[1::2], strict=False)
        if name
    ]


def decode_connect(data: bytes) -> Connect:
    r"""Read who connected.

    Raises
    ------
    ProtocolError
        Where it is cut short.

    Examples
    --------
    >>> decode_connect(b"mx.example.net\x004\t\xdd192.0.2.1\0")
    Connect(name='mx.example.net', address='192.0.2.1')
    """
    name, end, rest = data.partition(b"\0")
    if not end or not rest:
        raise ProtocolError("who connected is not said to the end")
    family, address = rest[:1], None
    if family in (b"4", b"6"):
        if len(rest) <= _PORT.size + 1 or rest[-1]:
            raise ProtocolError("the address of who connected is not said to the end")
        # Sendmail writes version 6 with a prefix.
        address = text_of(rest[1 + _PORT.size : -1]).removeprefix("IPv6:")
    return Connect(text_of(name), address)


def decode_header(data: bytes) -> tuple[bytes, bytes]:
    """Read a field's name and value; lines of a folded value are joined by LF alone.

    Raises
    ------
    ProtocolError
        Where it is not two texts.
    """
    texts = data.split(b"\0")
    if len(texts) != 3 or texts[2]:  # noqa: PLR2004 - name, value, nothing
        raise ProtocolError("a header field is not a name and a value")
    return texts[0], texts[1]


def text_of(data: bytes) -> str:
    """Return bytes from outside as text; what is no UTF-8 becomes the sign for that."""
    return data.decode("utf-8", "replace")


# To the mail server.


def _packet(command: bytes, data: bytes = b"") -> bytes:
    return _LENGTH.pack(len(data) + 1) + command + data


ACCEPT: Final = _packet(b"a")
CONTINUE: Final = _packet(b"c")
DISCARD: Final = _packet(b"d")
PROGRESS: Final = _packet(b"p")
REJECT: Final = _packet(b"r")
SKIP: Final = _packet(b"s")
TEMPFAIL: Final = _packet(b"t")


def negotiate(version: int, actions: int, steps: int) -> bytes:
    """Answer an offer."""
    return _packet(b"O", _NEGOTIATE.pack(version, actions, steps))


def insert_header(index: int, name: str, value: str) -> bytes:
    """Add a field at a place; 0 is the top, 1 below what the mail server itself puts there."""
    return _packet(b"i", _INDEX.pack(index) + _field(name, value))


def change_header(index: int, name: str | bytes, value: str | bytes) -> bytes:
    """Change the field that is the so-manyeth of its name, from 1; an empty value deletes it."""
    return _packet(b"m", _INDEX.pack(index) + _field(name, value))


def quarantine(reason: str) -> bytes:
    """Ask that the message be held."""
    return _packet(b"q", _plain(reason)[:_REASON_BYTES].encode("ascii") + b"\0")


def reply_code(text: str) -> bytes:
    r"""Refuse a message with a line of SMTP of our own.

    Parameters
    ----------
    text
        Code, enhanced code, one line. What is no such reply is told with a code that fits.

    Examples
    --------
    >>> reply_code("550 5.7.1 100% spam")[4:]
    b'y550 5.7.1 100%% spam\x00'
    """
    text = _plain(text)[:_REPLY_CHARACTERS]
    found = _REPLY.fullmatch(text)
    if found is None:
        return _packet(b"y", b"451 4.3.0 " + _escaped(text) + b"\0")
    code, status, words = found[1], found[2], found[3] or ""
    if status is None or status[0] != code[0]:
        status = f"{code[0]}.7.1"
    return _packet(b"y", f"{code} {status} ".encode("ascii") + _escaped(words) + b"\0")


def _escaped(text: str) -> bytes:
    # Sendmail uses it as a format.
    return text.replace("%", "%%").encode("ascii")


def _field(name: str | bytes, value: str | bytes) -> bytes:
    """Return a field; what is bytes came from the mail server and goes back as it is."""
    if isinstance(name, str):
        name = _plain(name).encode("ascii")
    if isinstance(value, str):
        value = _encoded(value)
    return name + b"\0" + value + b"\0"


def _encoded(value: str) -> bytes:
    # A rewritten subject may hold letters of any script, as the old one did; never a line end.
    return "".join(c if c >= " " and c != "\x7f" else " " for c in value).encode(
        "utf-8", "surrogateescape"
    )


def _plain(text: str) -> str:
    """Return a text in printable ASCII."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if ord(c) in _ASCII_PRINTABLE else "?" for c in text)
