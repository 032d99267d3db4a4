"""Lines of OpenSMTPD's filter protocol: from bytes to records, from answers to bytes.

The sign ``|`` parts the fields of a line and may stand in the last one, too.
"""

import re
from dataclasses import dataclass
from typing import Final

__all__ = [
    "COMMIT",
    "DATA_LINE",
    "REGISTRATION",
    "Ready",
    "Report",
    "Request",
    "data_line",
    "marked_result",
    "proceed",
    "read_line",
    "refuse",
    "text_of",
]

DATA_LINE: Final = b"data-line"
COMMIT: Final = b"commit"

_SUBSYSTEM = b"smtp-in"
_REPORTS = (
    b"link-connect",
    b"link-identify",
    b"link-auth",
    b"link-disconnect",
    b"tx-begin",
    b"tx-mail",
    b"tx-rcpt",
    b"tx-commit",
    b"tx-rollback",
    b"tx-reset",
)
REGISTRATION: Final = b"".join(
    (
        *(b"register|report|" + _SUBSYSTEM + b"|" + event + b"\n" for event in _REPORTS),
        *(b"register|filter|" + _SUBSYSTEM + b"|" + one + b"\n" for one in (DATA_LINE, COMMIT)),
        b"register|ready\n",
    )
)
"""What is said once, after the mail server has told its configuration."""

_REPORT_FIELDS = 6
_REQUEST_FIELDS = 7
_REPLY = re.compile(r"[45]\d\d(?: .*)?")
_REPLY_CHARACTERS = 500  # one line of SMTP has 512 with its end
_RESULTS = (b"ok", b"pass", b"fail", b"error", b"permfail", b"tempfail")


@dataclass(frozen=True, slots=True)
class Ready:
    """The mail server has told its configuration and waits for the registration."""


@dataclass(frozen=True, slots=True)
class Report:
    """Something that happened; not to be answered.

    Parameters
    ----------
    event
        What.
    session
        The mail server's sign for the connection.
    rest
        Further fields, uncut.
    """

    event: bytes
    session: bytes
    rest: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """Something that must be answered.

    Parameters
    ----------
    phase
        What is to be decided.
    session, token
        To be given back with the answer.
    rest
        Further fields, uncut.
    """

    phase: bytes
    session: bytes
    token: bytes
    rest: bytes


def read_line(line: bytes) -> Ready | Report | Request | None:
    r"""Read a line without its end; None for one that says nothing that we know.

    Examples
    --------
    >>> read_line(b"filter|0.7|1.0|smtp-in|data-line|f00d|beef|a | b")
    Request(phase=b'data-line', session=b'f00d', token=b'beef', rest=b'a | b')
    >>> read_line(b"config|smtpd-version|7.8.0")
    """
    kind, _, rest = line.partition(b"|")
    if kind == b"filter":
        # Version, time, subsystem, phase, session, token, and what belongs to the phase.
        fields = rest.split(b"|", _REQUEST_FIELDS - 1)
        if len(fields) < _REQUEST_FIELDS - 1:
            return None
        _, _, _, phase, session, token, *last = fields
        return Request(phase, session, token, last[0] if last else b"")
    if kind == b"report":
        fields = rest.split(b"|", _REPORT_FIELDS - 1)
        if len(fields) < _REPORT_FIELDS - 1 or fields[2] != _SUBSYSTEM:
            return None
        _, _, _, event, session, *last = fields
        return Report(event, session, last[0] if last else b"")
    return Ready() if line == b"config|ready" else None


def marked_result(text: bytes) -> tuple[bytes, bytes]:
    """Part a result and what it is about, whichever of the two comes first.

    Versions of the protocol differ in that. What cannot be told apart has an empty result.

    Examples
    --------
    >>> marked_result(b"ok|a|b@example.org"), marked_result(b"a|b@example.org|ok")
    ((b'ok', b'a|b@example.org'), (b'ok', b'a|b@example.org'))
    """
    first, _, rest = text.partition(b"|")
    if first in _RESULTS:
        return first, rest
    before, _, last = text.rpartition(b"|")
    return (last, before) if last in _RESULTS else (b"", text)


def text_of(data: bytes) -> str:
    """Return bytes from outside as text; what is no UTF-8 becomes the sign for that."""
    return data.decode("utf-8", "replace")


def proceed(request: Request) -> bytes:
    """Let go on what was asked about."""
    return b"filter-result|%b|%b|proceed\n" % (request.session, request.token)


def refuse(request: Request, text: str) -> bytes:
    """Refuse what was asked about.

    Parameters
    ----------
    request
        What was asked.
    text
        Code, enhanced code, one line; what is no refusal is told with a code that is one.
    """
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    if _REPLY.fullmatch(plain) is None:
        plain = f"451 4.3.0 {plain}"
    said = plain[:_REPLY_CHARACTERS].encode("ascii")
    return b"filter-result|%b|%b|reject|%b\n" % (request.session, request.token, said)


def data_line(session: bytes, token: bytes, line: bytes) -> bytes:
    """Give a line of the message back, as it is to be stored."""
    return b"filter-dataline|%b|%b|%b\n" % (session, token, line)
