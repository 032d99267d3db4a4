"""The bytes of LMTP and SMTP, both ways: lines, replies, paths, contents. No input, no output."""

import re
from dataclasses import dataclass
from typing import Final

from mtspam.errors import ProtocolError

__all__ = [
    "END",
    "Command",
    "Content",
    "LineReader",
    "LongLine",
    "Reply",
    "ReplyReader",
    "parse_path",
    "stuffed",
    "unstuffed",
    "with_plain_line_ends",
]

MAX_LINE_BYTES: Final = 4_096
"""Longer than any command with all the parameters of RFC 3461 and RFC 6531 (about 2,500)."""

END: Final = b".\r\n"
"""The line behind a message."""

MAX_REPLY_LINES: Final = 100
"""More than any server has capabilities to tell of."""

_PATH = re.compile(
    r"""
    <(?:@[^>:\s]*:)?                                # a source route is allowed, and ignored
    (?P<address>(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^\s<>"\x00-\x1f\x7f])*)>
    (?P<rest>\Z|[ ].*)""",
    re.VERBOSE,
)
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[^=\s\x00-\x1f\x7f]+)?")
_BARE_CR = re.compile(rb"\r(?!\n)")
_BARE_LF = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to one command.

    Parameters
    ----------
    code
        Of three digits.
    lines
        One text or more, without code; the enhanced code of RFC 2034 is part of them.
    """

    code: int
    lines: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Reply":
        r"""Make a reply of one line that begins with its code.

        Examples
        --------
        >>> Reply.of("250 2.0.0 Ok").encode()
        b'250 2.0.0 Ok\r\n'
        """
        return cls(int(text[:3]), (text[4:],))

    @property
    def is_positive(self) -> bool:
        """Whether what was asked for is done, or may go on."""
        return 200 <= self.code < 400  # noqa: PLR2004 - the classes of RFC 5321, 4.2.1

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.lines)}"

    def encode(self) -> bytes:
        """Write it as it goes over the wire."""
        *firsts, last = (text.encode("utf-8", "surrogateescape") for text in self.lines)
        code = b"%03d" % self.code
        return b"".join(code + b"-" + text + b"\r\n" for text in firsts) + (
            code + b" " + last + b"\r\n"
        )


@dataclass(frozen=True, slots=True)
class Command:
    """A line of a client: its first word in capitals, and what follows."""

    verb: str
    argument: str


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line that was longer than allowed; it is gone."""


@dataclass(frozen=True, slots=True)
class Content:
    """A message, as it was before the client made it transparent; None if it was too large."""

    raw: bytes | None


class LineReader:
    r"""Cut what a client sends into commands and messages, whatever pieces it comes in.

    It holds at most one line, or a message up to the limit that it is expected with; what is
    longer is counted as read and dropped.

    Examples
    --------
    >>> reader = LineReader()
    >>> reader.feed(b"data\r\n")
    >>> reader.next_event()
    Command(verb='DATA', argument='')
    >>> reader.expect_content(100)
    >>> reader.feed(b"a\r\n..b\r\n.\r\n")
    >>> reader.next_event()
    Content(raw=b'a\r\n.b\r\n')
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0  # bytes of `_held` in which the end is not
        self._max_content: int | None = None  # not None while a message is expected
        self._is_dropping = False

    @property
    def n_held(self) -> int:
        """Bytes held."""
        return len(self._held)

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._held += data

    def expect_content(self, max_bytes: int) -> None:
        """Read a message of up to so many bytes next, instead of a line."""
        # A content that ends at once has no line end of its own before the dot.
        self._held[:0] = b"\r\n"
        self._searched = 0
        self._max_content = max_bytes

    def give_up_content(self) -> bool:
        """Keep nothing of the message that is being read; False if none is."""
        if self._max_content is None:
            return False
        self._max_content = -1
        return True

    def next_event(self) -> Command | Content | LongLine | None:
        """Return what is complete; None if that needs more bytes."""
        return self._line() if self._max_content is None else self._content(self._max_content)

    def _line(self) -> Command | LongLine | None:
        end = self._held.find(b"\n", self._searched)
        if end < 0:
            self._is_dropping = self._is_dropping or len(self._held) > MAX_LINE_BYTES
            if self._is_dropping:
                self._held.clear()
            self._searched = len(self._held)
            return None
        line = bytes(self._held[:end]).removesuffix(b"\r")
        del self._held[: end + 1]
        self._searched = 0
        if self._is_dropping or end > MAX_LINE_BYTES:
            self._is_dropping = False
            return LongLine()
        verb, _, argument = line.decode("utf-8", "surrogateescape").partition(" ")
        return Command(verb.upper(), argument.strip(" \t"))

    def _content(self, limit: int) -> Content | None:
        mark = b"\r\n.\r\n"
        end = self._held.find(mark, self._searched)
        n_bytes = end if end >= 0 else len(self._held) - len(b"\r\n")
        if n_bytes > limit:
            self._is_dropping = True
        if end < 0:
            kept = len(mark) - 1
            if self._is_dropping:
                del self._held[:-kept]
            self._searched = max(0, len(self._held) - kept)
            return None
        raw = None if self._is_dropping else unstuffed(bytes(self._held[2 : end + 2]))
        del self._held[: end + len(mark)]
        self._searched = 0
        self._max_content, self._is_dropping = None, False
        return Content(raw)


class ReplyReader:
    r"""Put a server's lines together to replies.

    Examples
    --------
    >>> reader = ReplyReader()
    >>> reader.take(b"250-PIPELINING\r\n"), reader.take(b"250 SIZE\r\n")
    (None, Reply(code=250, lines=('PIPELINING', 'SIZE')))
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def take(self, line: bytes) -> Reply | None:
        """Take a line; return the reply of which it is the last one.

        Raises
        ------
        ProtocolError
            If it is no line of a reply, or there are too many.
        """
        text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        found = re.fullmatch(r"([2-5][0-9][0-9])(?:([ -])(.*))?", text, re.ASCII | re.DOTALL)
        if found is None:
            raise ProtocolError(f"a server answered {text[:80]!r}, but a reply begins with a code")
        self._lines.append(_printable(found[3] or ""))
        if len(self._lines) > MAX_REPLY_LINES:
            raise ProtocolError(
                f"a server's reply has more than {MAX_REPLY_LINES} lines, which is too long"
            )
        if found[2] == "-":
            return None
        lines, self._lines = tuple(self._lines), []
        return Reply(int(found[1]), lines)


def _printable(text: str) -> str:
    return "".join(char if char == "\t" or char >= " " else "?" for char in text)


def parse_path(argument: str, keyword: str) -> tuple[str, dict[str, str]]:
    """Read the argument of MAIL or RCPT.

    Parameters
    ----------
    argument
        What follows the verb.
    keyword
        ``FROM`` or ``TO``.

    Returns
    -------
    :
        The address without angle brackets, and the parameters by name in capitals, each as it was
        written.

    Raises
    ------
    ProtocolError
        If it is not of this form.

    Examples
    --------
    >>> parse_path("from:<ana@example.org> body=8bitmime SIZE=10", "FROM")
    ('ana@example.org', {'BODY': 'body=8bitmime', 'SIZE': 'SIZE=10'})
    """
    name, colon, rest = argument.partition(":")
    found = _PATH.match(rest.lstrip(" "))
    if name.strip().upper() != keyword or not colon or found is None:
        raise ProtocolError(f"{argument[:80]!r} is not of the form {keyword}:<address>")
    parameters: dict[str, str] = {}
    for text in found["rest"].split():
        label = text.partition("=")[0].upper()
        if not _PARAMETER.fullmatch(text) or label in parameters:
            raise ProtocolError(f"{text[:80]!r} is no parameter, or is there twice")
        parameters[label] = text
    return found["address"], parameters


def unstuffed(data: bytes) -> bytes:
    """Take away the dot that a client put before each line that begins with one."""
    return data.replace(b"\r\n.", b"\r\n").removeprefix(b".")


def stuffed(raw: bytes) -> bytes:
    r"""Make a message transparent, and put the end behind it.

    Examples
    --------
    >>> stuffed(b"a\r\n.b\r\n")
    b'a\r\n..b\r\n.\r\n'
    """
    text = raw.replace(b"\r\n.", b"\r\n..")
    if text.startswith(b"."):
        text = b"." + text
    return text + (END if not text or text.endswith(b"\r\n") else b"\r\n" + END)


def with_plain_line_ends(raw: bytes) -> bytes:
    r"""End every line with CRLF alone, and leave no other carriage return.

    A next hop that takes a bare line feed for a line end would take what follows a dot between
    two of them for commands, and so mail from outside for another sender's.

    Examples
    --------
    >>> with_plain_line_ends(b"a\n.\nb\rc\r\n")
    b'a\r\n.\r\nb c\r\n'
    """
    n_pairs = raw.count(b"\r\n")
    if raw.count(b"\n") == n_pairs and raw.count(b"\r") == n_pairs:
        return raw
    return _BARE_LF.sub(b"\r\n", _BARE_CR.sub(b" ", raw))
