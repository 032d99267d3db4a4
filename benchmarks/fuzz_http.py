"""What must hold of how HTTP and rspamd's line protocols are read, whatever the bytes."""

import gzip
from contextlib import suppress

from mtspam.serve.http.arrivals import HttpReader
from mtspam.serve.http.envelopes import envelope_of
from mtspam.serve.http.heads import Head
from mtspam.serve.http.lines import LineReader, is_line_request, line_envelope
from mtspam.serve.http.messages import Arrived, RefusedError
from mtspam.serve.http.unpacking import message_of, unpack_parts

__all__ = ["SEEDS", "check"]

_LIMIT = 4_096
_REFUSED = "refused"
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"rcpt": ["a@b"]}\r\n'
    b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\na: b\r\n--x--\r\n'
)
_PACKED = gzip.compress(b"X-Spam-Flag: NO\nMessage-ID: <a@b>\n\na\n")


def _post(target: bytes, body: bytes, *fields: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join((b"POST " + target + b" HTTP/1.1", length, *fields, b"", body))


SEEDS = (
    _post(b"/checkv2", b"a: b\n", b'Rcpt: <a@b>, "c, d"@e', b"From: <>", b"User: a"),
    _post(b"/checkv2", b"a: b\n", b"Connection: keep-alive") * 2,
    _post(b"/checkv2", _PACKED, b"Content-Encoding: gzip", b"Message-Offset: 3"),
    _post(b"/checkv3", _FORM, b"Content-Type: multipart/form-data; boundary=x"),
    b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nc: d\r\n\r\n",
    b"GET /ping HTTP/1.0\r\n\r\n",
    b"CHECK RSPAMC/1.3\r\nContent-length: 5\r\nRcpt: <a@b>\r\n\r\na: b\n",
    b"SYMBOLS SPAMC/1.5\r\nUser: a\r\n\r\nX-Spam-Flag: YES\n\n",
)

_Outcome = tuple[bytes, list[tuple[bytes, bytes]], bytes] | str | None


def _read(data: bytes, step: int, *, is_lines: bool) -> _Outcome:
    reader = LineReader(_LIMIT) if is_lines else HttpReader(_LIMIT)
    found: Arrived | None = None
    try:
        for at in range(0, len(data), step):
            found = reader.feed(data[at : at + step])
            if found is not None:
                break
            if reader.n_buffered > _LIMIT + len(data):
                raise ValueError(f"{reader.n_buffered} bytes are held")
        found = found or reader.end()
    except RefusedError:
        return _REFUSED  # for which of several faults, pieces may change
    return None if found is None else (found.target, found.fields, found.body)


def _check_request(target: bytes, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    envelope_of(fields, "http")
    with suppress(RefusedError):
        body = message_of(fields, body, _LIMIT)
    if len(body) > _LIMIT:
        raise ValueError(f"a message of {len(body)} bytes")
    with suppress(RefusedError):
        unpack_parts(fields, body)
    line_envelope(Arrived(target, fields, body))
    head = Head(body)
    shown = [head.message_id() or "a", *head.forged_names()]
    if not all(one.isascii() and one.isprintable() and one for one in shown):
        raise ValueError(f"what is no plain text is repeated: {shown}")


def check(data: bytes) -> None:
    """Read a request in one piece and in small ones, then all that is in it.

    Raises
    ------
    ValueError
        Where the two differ, or more comes out than is allowed.
    """
    step = 1 + (data[0] if data else 0)
    data = data[1:]
    is_lines = is_line_request(data.partition(b"\n")[0].rstrip(b"\r"))
    whole = _read(data, len(data) or 1, is_lines=is_lines)
    if _read(data, step, is_lines=is_lines) != whole:
        raise ValueError(f"another outcome in pieces of {step} bytes")
    if isinstance(whole, tuple):
        _check_request(*whole)
