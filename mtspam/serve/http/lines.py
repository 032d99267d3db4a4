"""rspamd's line protocols of old: ``CHECK RSPAMC/1.3`` as Exim sends it, and spamc's form of it.

Sans I/O. Whatever speaks spamd's protocol in earnest belongs to its own port.
"""

import re

from mtspam.serve.contract import Action, Envelope, Ruling
from mtspam.serve.fields import ascii_value
from mtspam.serve.http.envelopes import envelope_of, split_addresses
from mtspam.serve.http.heads import Head
from mtspam.serve.http.messages import MOST_DIGITS, Arrived, Fields, RefusedError, first_of
from mtspam.serve.http.rulings import refusal_text

__all__ = [
    "LineReader",
    "error_lines",
    "is_line_request",
    "is_scan",
    "line_envelope",
    "passing_lines",
    "ruling_lines",
]

_FIRST = re.compile(rb"([A-Za-z_]+) (R?SPAMC)/[0-9.]+\Z")
_MAX_HEAD_BYTES = 65_536
_END = b"\r\n"
# rspamd leaves what it does not know without a byte of answer.
_SCANS = frozenset({b"CHECK", b"SYMBOLS"})


def is_line_request(first_line: bytes) -> bool:
    """Tell whether the first line of a connection is one of these protocols'."""
    return _FIRST.match(first_line) is not None


class LineReader:
    """Takes a request in pieces; the same face as `HttpReader`.

    The message ends at its announced length, since the client keeps its side open; where none was
    announced it ends with the stream.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._request: Arrived | None = None
        self._length: int | None = None
        self.wants_continue = False
        self.is_pipelined = False

    @property
    def n_buffered(self) -> int:
        """Bytes held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Arrived | None:
        """Take bytes; return the request once it is complete.

        Raises
        ------
        RefusedError
            Where it is malformed or too large.
        """
        self._buffer += data
        if self._request is None:
            self._read_head()
        if self._request is None:
            return None
        if self._length is None:
            if len(self._buffer) > self._limit:
                raise RefusedError(413, f"the body must not have more than {self._limit} bytes")
            return None
        if len(self._buffer) < self._length:
            return None
        return self._complete(self._length)

    def end(self) -> Arrived | None:
        """Take the end of the stream; return the request where that completes it."""
        if self._request is None or self._length is not None:
            return None
        return self._complete(len(self._buffer))

    def _complete(self, length: int) -> Arrived | None:
        request = self._request
        if request is not None:
            request.body = bytes(self._buffer[:length])
        return request

    def _read_head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n", 0, _MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= _MAX_HEAD_BYTES:
                raise RefusedError(431, "the header is too long")
            return
        first, *rest = bytes(self._buffer[:end]).split(b"\r\n")
        fields: Fields = []
        for line in rest:
            name, colon, value = line.partition(b":")
            if not colon:
                raise RefusedError(400, "a header line has no colon")
            fields.append((name.strip().lower(), value.strip()))
        self._length = self._announced(fields)
        self._request = Arrived(first, fields)
        del self._buffer[: end + 4]

    def _announced(self, fields: Fields) -> int | None:
        length = first_of(fields, b"content-length")
        if length is None:
            return None
        if not length.isdigit():
            raise RefusedError(400, "Content-length must be a whole number")
        if len(length) > MOST_DIGITS or int(length) > self._limit:
            raise RefusedError(413, f"the body must not have more than {self._limit} bytes")
        return int(length)


def _command(request: Arrived) -> tuple[bytes, bytes]:
    found = _FIRST.match(request.target)
    return (found[1].upper(), found[2].upper()) if found else (b"", b"")


def is_scan(request: Arrived) -> bool:
    """Tell whether a request is answered at all."""
    return _command(request)[0] in _SCANS


def _is_spamc(request: Arrived) -> bool:
    return _command(request)[1] == b"SPAMC"


def line_envelope(request: Arrived) -> Envelope:
    """Return what is known of the message; spamc's ``User`` is whose mail it is."""
    if not _is_spamc(request):
        return envelope_of(request.fields, "rspamc")
    user = first_of(request.fields, b"user")
    return Envelope(recipients=tuple(split_addresses(user or b"")), protocol="spamc")


def ruling_lines(request: Arrived, ruling: Ruling) -> bytes:
    """Return the reply to a scan."""
    if _is_spamc(request):
        names = ",".join(symbol.name for symbol in ruling.symbols)
        return _spamc_lines(ruling.is_spam, ruling.points, ruling.required, names)
    lines = _first_lines(ruling.is_spam, ruling.points, ruling.required, ruling.action)
    if ruling.subject is not None:
        lines.append(f"Subject: {ascii_value(ruling.subject)}")
    lines += [f"Symbol: {symbol.name}({symbol.points:.2f})" for symbol in ruling.symbols]
    text = refusal_text(ruling)
    if text is not None:
        lines.append(f"Message: {ascii_value(text)}")
    own_id = Head(request.body).message_id()
    if own_id is not None:
        lines.append(f"Message-ID: {own_id}")
    return _joined(lines)


def passing_lines(request: Arrived, required: float) -> bytes:
    """Return the reply that lets a message pass which nobody could judge."""
    if _is_spamc(request):
        return _spamc_lines(False, 0.0, required, "")  # noqa: FBT003 - the word of the protocol
    return _joined(_first_lines(False, 0.0, required, Action.NO_ACTION))  # noqa: FBT003 - the same


def error_lines(request_line: bytes) -> bytes:
    """Return the reply that says that there is no verdict; Exim then defers the message."""
    found = _FIRST.match(request_line)
    if found and found[2].upper() == b"SPAMC":
        return b"SPAMD/1.0 75 EX_TEMPFAIL\r\n"
    return b"RSPAMD/1.3 75 EX_TEMPFAIL\r\n"


def _first_lines(is_spam: bool, points: float, required: float, action: Action) -> list[str]:  # noqa: FBT001 - private
    return [
        "RSPAMD/1.3 0 EX_OK",
        f"Metric: default; {is_spam}; {points:.2f} / {required:.2f} / 0.0",
        f"Action: {action.value}",
    ]


def _spamc_lines(is_spam: bool, points: float, required: float, names: str) -> bytes:  # noqa: FBT001 - private
    body = names.encode("ascii", "replace") + _END
    lines = [
        "SPAMD/1.1 0 EX_OK",
        f"Content-length: {len(body)}",
        f"Spam: {is_spam} ; {points:.2f} / {required:.2f}",
    ]
    return _joined(lines) + _END + body


def _joined(lines: list[str]) -> bytes:
    return "".join(line + "\r\n" for line in lines).encode("ascii", "replace")
