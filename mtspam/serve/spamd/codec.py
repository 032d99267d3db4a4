"""Requests of the spamd protocol, read from bytes however they are cut; no sockets here.

What is refused, and with which words, is what spamd 4.0.1 does on the wire.
"""

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "MAX_HEADER_BYTES",
    "MAX_HEADER_LINES",
    "Command",
    "Refusal",
    "Request",
    "RequestReader",
]

MAX_HEADER_LINES = 255  # spamd's own
MAX_HEADER_BYTES = 65_536  # of the command line and the header lines together
# A message longer than announced is noticed at the end of the line that passes the length.
_MAX_SURPLUS_BYTES = 65_536
_MAX_DIGITS = 18
_SHOWN_BYTES = 200

_COMMAND = re.compile(
    rb"(CHECK|SYMBOLS|REPORT_IFSPAM|REPORT|PROCESS|HEADERS|TELL|PING|SKIP) SPAMC/(.*)", re.DOTALL
)
# As Perl reads a number: what follows the digits does not count.
_NUMBER = re.compile(rb"\s*(\d{1,9}(?:\.\d{0,9})?)")
_LINE_END = re.compile(rb"\r?\n\Z")
_CONTROLS = re.compile(rb"[\x00-\x1f]")
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


class Command(StrEnum):
    """What a client may ask."""

    CHECK = "CHECK"
    SYMBOLS = "SYMBOLS"
    REPORT = "REPORT"
    REPORT_IFSPAM = "REPORT_IFSPAM"
    PROCESS = "PROCESS"
    HEADERS = "HEADERS"
    TELL = "TELL"
    PING = "PING"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Parameters
    ----------
    command
        What is asked.
    version
        The client's version as a number: 1.5, and 1.1 for ``1.10``; 0 where it is no number.
    message
        The raw message, inflated; empty for PING and SKIP.
    user
        What ``User:`` says; None where it is missing or empty.
    message_class
        What ``Message-class:`` says, in lower case; empty where it is missing.
    to_set, to_remove
        Which of ``local`` and ``remote`` are named by ``Set:`` and ``Remove:``.
    is_cut
        Whether the message is too long, and was not read.
    """

    command: Command
    version: float
    message: bytes = b""
    user: str | None = None
    message_class: str = ""
    to_set: frozenset[str] = frozenset()
    to_remove: frozenset[str] = frozenset()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong with a request.

    Parameters
    ----------
    code
        By sysexits: 76 for bad form, 69 for what cannot be done.
    text
        One printable line.
    request
        As far as it was read, where nothing is wrong but the size of the message.
    """

    code: int
    text: str
    request: Request | None = None


class _BadRequestError(Exception):
    """Carries a refusal out of the reading of a header."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class RequestReader:
    r"""Reads the one request of a connection; holds no more than the message and 64 kB.

    Parameters
    ----------
    max_message_bytes
        Longer messages are refused as soon as that is known, before and after inflation.

    Examples
    --------
    >>> reader = RequestReader(1000)
    >>> reader.feed(b"CHECK SPAMC/1.5\r\nUser: ana\r\nContent-length: 3\r\n\r\nh")
    >>> request = reader.feed(b"i\n")
    >>> str(request.command), request.user, request.message
    ('CHECK', 'ana', b'hi\n')
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer that hold no line end
        self._n_header_bytes = 0
        self._n_header_lines = 0
        self._header: dict[str, str] = {}
        self._command: Command | None = None
        self._version = 0.0
        self._length: int | None = None
        self._is_in_body = False
        self._is_done = False

    @property
    def awaits_line_end(self) -> bool:
        """Whether all the bytes announced are here, but the line that they end in is still open.

        A client that sends more has announced too little, one that shuts its side has not. spamd
        waits for either; for one that does neither call `finish` after a moment.
        """
        return (
            self._is_in_body
            and not self._is_done
            and self._length is not None
            and len(self._buffer) == self._length
        )

    def feed(self, data: bytes) -> Request | Refusal | None:
        """Take bytes as they come.

        Returns
        -------
        Request or Refusal or None
            None while there is something to wait for, and after the request is out: whatever
            follows it is ignored, as spamd does.
        """
        if self._is_done:
            return None
        self._buffer += data
        try:
            found = self._read()
        except _BadRequestError as bad:
            found = bad.refusal
        return self._ended(found)

    def finish(self) -> Request | Refusal | None:
        """Take the end of the input; None if the request is out already."""
        if self._is_done:
            return None
        try:
            found: Request | Refusal = self._read_end()
        except _BadRequestError as bad:
            found = bad.refusal
        return self._ended(found)

    def discard(self) -> None:
        """Let go of what was read; nothing comes of what follows."""
        self._is_done = True
        self._buffer = bytearray()

    def _ended(self, found: Request | Refusal | None) -> Request | Refusal | None:
        if found is not None:
            self.discard()
        return found

    # The command line and the header lines.

    def _read(self) -> Request | Refusal | None:
        while not self._is_in_body:
            line = self._next_line()
            if line is None:
                return None
            self._take_line(line)
            if self._command in {Command.PING, Command.SKIP}:
                return Request(command=self._command, version=self._version)
        return self._read_body()

    def _read_end(self) -> Request | Refusal:
        if not self._is_in_body:
            if self._command is None and not self._buffer:
                raise _bad_form("(closed before headers)")
            if self._buffer:
                self._take_line(bytes(self._buffer))
                self._buffer = bytearray()
            if self._command in {Command.PING, Command.SKIP}:
                return Request(command=self._command, version=self._version)
            if not self._is_in_body:
                raise _bad_form("(EOF during headers)")
        if self._length is not None and len(self._buffer) != self._length:
            raise self._mismatch(self._length)
        return self._whole()

    def _next_line(self) -> bytes | None:
        """Return the next line with its end, None while that is not here."""
        end = self._buffer.find(b"\n", self._searched) + 1
        n_bytes = end or len(self._buffer)
        if self._n_header_bytes + n_bytes > MAX_HEADER_BYTES:
            raise _bad_form("(headers too long)")
        if not end:
            self._searched = n_bytes
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._n_header_bytes += end
        self._searched = 0
        return line

    def _take_line(self, line: bytes) -> None:
        if self._command is None:
            self._take_command(_LINE_END.sub(b"", line))
        elif line == b"\r\n":
            self._begin_body()
        else:
            self._take_field(line)

    def _take_command(self, line: bytes) -> None:
        found = _COMMAND.search(line)
        if found is None:
            raise _bad_form(_printable(line))
        number = _NUMBER.match(found[2])
        self._command = Command(found[1].decode("ascii"))
        self._version = float(number[1]) if number else 0.0
        # Before 1.1 there were no headers.
        self._is_in_body = self._version <= 1.0

    def _take_field(self, line: bytes) -> None:
        self._n_header_lines += 1
        if self._n_header_lines > MAX_HEADER_LINES:
            raise _bad_form("(too many headers)")
        name, colon, value = _LINE_END.sub(b"", line).partition(b":")
        if not colon:
            raise _bad_form("(header not in 'Name: value' format)")
        value = value.lstrip(b" \t")
        match name:
            case b"User" if _CONTROLS.search(value):
                raise _bad_form("(User header contains control chars)")
            case b"Content-length" if not value.isdigit():
                raise _bad_form("(Content-Length contains non-numeric bytes)")
            case b"Compress" if value != b"zlib":
                raise _bad_form(f"(compression type not supported: {_printable(value)})")
            case b"User" | b"Content-length" | b"Compress" | b"Message-class" | b"Set" | b"Remove":
                self._header[name.decode("ascii")] = _decoded(value)

    # The message.

    def _begin_body(self) -> None:
        self._is_in_body = True
        digits = self._header.get("Content-length")
        if digits is None:
            if "Compress" in self._header:
                raise _unavailable("Compress requires Content-length header")
            return
        # Python refuses to read numbers of thousands of digits.
        self._length = int(digits[:_MAX_DIGITS]) if len(digits) <= _MAX_DIGITS else 1 << 60
        if self._length > self._max_message_bytes:
            raise self._too_long()

    def _read_body(self) -> Request | None:
        if self._length is None:
            if len(self._buffer) > self._max_message_bytes:
                raise self._too_long()
            return None
        n_bytes = len(self._buffer)
        if n_bytes < self._length:
            return None
        if not self._length or self._buffer[self._length - 1] == ord("\n"):
            del self._buffer[self._length :]
            return self._whole()
        # The message ends within a line: is that all, or was too little announced?
        end = self._buffer.find(b"\n", self._length) + 1
        most = self._length + _MAX_SURPLUS_BYTES
        if end or n_bytes >= most:
            del self._buffer[min(end or most, most) :]
            raise self._mismatch(self._length)
        return None

    def _mismatch(self, length: int) -> _BadRequestError:
        return _bad_form(
            f"(Content-Length mismatch: Expected {length} bytes, got {len(self._buffer)} bytes)"
        )

    def _too_long(self) -> _BadRequestError:
        text = f"message of more than {self._max_message_bytes} bytes"
        return _unavailable(text, self._request(b"", is_cut=True))

    def _whole(self) -> Request:
        message = bytes(self._buffer)
        if "Compress" in self._header:
            message = self._inflated(message)
        return self._request(message)

    def _inflated(self, packed: bytes) -> bytes:
        inflater = zlib.decompressobj()
        try:
            message = inflater.decompress(packed, self._max_message_bytes + 1)
        except zlib.error:
            raise _unavailable("zlib: this is no zlib stream") from None
        if len(message) > self._max_message_bytes:
            raise self._too_long()
        if not inflater.eof:
            raise _unavailable("zlib: the stream is cut off")
        return message

    def _request(self, message: bytes, *, is_cut: bool = False) -> Request:
        header = self._header
        return Request(
            command=self._command or Command.SKIP,
            version=self._version,
            message=message,
            user=header.get("User") or None,
            message_class=header.get("Message-class", "").strip().lower(),
            to_set=_places(header.get("Set", "")),
            to_remove=_places(header.get("Remove", "")),
            is_cut=is_cut,
        )


def _bad_form(detail: str) -> _BadRequestError:
    return _BadRequestError(Refusal(76, f"Bad header line: {detail}"))


def _unavailable(detail: str, request: Request | None = None) -> _BadRequestError:
    return _BadRequestError(Refusal(69, f"Service Unavailable: {detail}", request))


def _places(value: str) -> frozenset[str]:
    return frozenset(place for place in ("local", "remote") if place in value.lower())


def _printable(line: bytes) -> str:
    return _UNPRINTABLE.sub(b"?", line[:_SHOWN_BYTES]).decode("ascii")


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
