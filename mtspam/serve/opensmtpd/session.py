"""What OpenSMTPD tells its filters: messages are gathered line by line and given back changed.

No input, no output: lines come in by `Filter.take`, what is to be written goes out.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mtspam.serve.contract import Envelope
from mtspam.serve.opensmtpd import codec
from mtspam.serve.opensmtpd.codec import Ready, Report, Request
from mtspam.serve.opensmtpd.message import UNTOUCHED, Cleaner, Decision, changed_lines, raw_of

__all__ = ["Filter", "Limits", "Submitted"]

PROTOCOL: Final = "opensmtpd"

_END = b"."
_ADDRESS_BYTES = 200  # what an address costs in memory beside its text
_PORT = re.compile(r":\d+\Z")
_REDUCED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the process may hold.

    Parameters
    ----------
    message_bytes
        A longer message passes unjudged.
    total_bytes
        Of all messages that are arriving; one that finds no room has the answer for failures.
    sessions
        Connections that are known of; the oldest without a message makes room.
    """

    message_bytes: int
    total_bytes: int
    sessions: int = 20_000


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message whose end has come, to be given to `Filter.answer` with a decision.

    Parameters
    ----------
    session, token
        Which it is.
    raw
        The message as it was on the wire.
    envelope
        What is known beside it.
    """

    session: bytes
    token: bytes
    raw: bytes
    envelope: Envelope


@dataclass(slots=True)
class _Session:
    """A connection to the mail server, and the transaction that is going on."""

    client_name: str | None = None
    client_address: str | None = None
    helo: str | None = None
    user: str | None = None
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    message_id: str | None = None
    lines: bytearray = field(default_factory=bytearray)
    n_taken: int = 0
    is_passing: bool = False
    """Lines go straight back: the message is too long, or there was no room for it."""
    cleaner: Cleaner = field(default_factory=Cleaner)
    is_submitted: bool = False
    refusal: str | None = None


class Filter:
    """All connections of one mail server.

    Parameters
    ----------
    limits
        What it may hold.
    crowded
        What becomes of a message that finds no room.
    """

    def __init__(self, limits: Limits, crowded: Decision) -> None:
        self._limits = limits
        self._crowded = crowded
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._n_free = limits.total_bytes
        self._reports = {
            b"link-connect": self._on_connect,
            b"link-identify": self._on_identify,
            b"link-auth": self._on_auth,
            b"tx-begin": self._on_begin,
            b"tx-mail": self._on_mail,
            b"tx-rcpt": self._on_recipient,
            b"tx-commit": self._on_end,
            b"tx-rollback": self._on_end,
            b"tx-reset": self._on_end,
        }

    def take(self, line: bytes) -> bytes | Submitted:
        """Take a line without its end; return what is to be written, or a message to judge."""
        said = codec.read_line(line)
        if isinstance(said, Request):
            return self._on_request(said)
        if isinstance(said, Report):
            if said.event == b"link-disconnect":
                self._forget(said.session)
            elif said.event in self._reports:
                self._reports[said.event](self._session(said.session), said.rest)
        return codec.REGISTRATION if isinstance(said, Ready) else b""

    def answer(self, submitted: Submitted, decision: Decision) -> Iterator[bytes]:
        """Yield what is to be written for a message that was decided on."""
        session = self._sessions.get(submitted.session)
        if session is None or not session.is_submitted:
            return  # the client has gone
        session.is_submitted = False
        yield from self._released(submitted.session, submitted.token, decision)
        yield codec.data_line(submitted.session, submitted.token, _END)
        self._reset(session)
        session.refusal = decision.refusal

    # Requests.

    def _on_request(self, request: Request) -> bytes | Submitted:
        if request.phase == codec.DATA_LINE:
            return self._on_line(self._session(request.session), request)
        session = self._sessions.get(request.session)
        if request.phase == codec.COMMIT and session is not None and session.refusal is not None:
            refusal, session.refusal = session.refusal, None
            return codec.refuse(request, refusal)
        return codec.proceed(request)

    def _on_line(self, session: _Session, request: Request) -> bytes | Submitted:
        line = request.rest
        if session.is_submitted:
            return b""  # nothing may follow the end of a message
        if line == _END:
            return self._on_last_line(session, request)
        if not session.is_passing:
            if self._keep(session, line):
                return b""
            return self._let_pass(session, request) + self._passed(session, request)
        return self._passed(session, request)

    def _on_last_line(self, session: _Session, request: Request) -> bytes | Submitted:
        if session.is_passing:
            refusal = session.refusal
            self._reset(session)
            session.refusal = refusal
            return codec.data_line(request.session, request.token, _END)
        session.is_submitted = True
        return Submitted(request.session, request.token, raw_of(session.lines), _envelope(session))

    def _passed(self, session: _Session, request: Request) -> bytes:
        line = session.cleaner.cleaned(request.rest)
        if session.refusal is not None or line is None:
            return b""
        return codec.data_line(request.session, request.token, line)

    def _keep(self, session: _Session, line: bytes) -> bool:
        n_bytes = len(line) + 1
        if len(session.lines) + n_bytes > self._limits.message_bytes:
            return False
        if not self._take_room(session, n_bytes):
            session.refusal = self._crowded.refusal
            return False
        session.lines += line + b"\n"
        return True

    def _let_pass(self, session: _Session, request: Request) -> bytes:
        """Give back what there is of a message that is not going to be judged."""
        decision = UNTOUCHED if session.refusal is None else self._crowded
        released = b"".join(self._released(request.session, request.token, decision))
        session.is_passing = True
        session.lines = bytearray()
        self._give_room(session)
        return released

    def _released(self, name: bytes, token: bytes, decision: Decision) -> Iterator[bytes]:
        if decision.refusal is not None:
            return  # nothing of it is to be stored
        session = self._sessions[name]
        for line in changed_lines(session.lines, decision, session.cleaner):
            yield codec.data_line(name, token, line)

    # Reports.

    def _on_connect(self, session: _Session, rest: bytes) -> None:
        name, _, more = rest.partition(b"|")
        source = codec.text_of(more.partition(b"|")[2].partition(b"|")[0])
        session.client_name = codec.text_of(name).strip("<>") or None
        if session.client_name == "unknown":
            session.client_name = None
        if not source.startswith("unix:"):
            session.client_address = _PORT.sub("", source).strip("[]") or None

    def _on_identify(self, session: _Session, rest: bytes) -> None:
        session.helo = codec.text_of(rest.rpartition(b"|")[2]) or None

    def _on_auth(self, session: _Session, rest: bytes) -> None:
        result, user = codec.marked_result(rest)
        if result == b"pass":
            session.user = codec.text_of(user)

    def _on_begin(self, session: _Session, rest: bytes) -> None:
        self._reset(session)
        session.message_id = codec.text_of(rest) or None

    def _on_mail(self, session: _Session, rest: bytes) -> None:
        result, address = codec.marked_result(rest.partition(b"|")[2])
        if result == b"ok":
            session.sender = codec.text_of(address)

    def _on_recipient(self, session: _Session, rest: bytes) -> None:
        result, address = codec.marked_result(rest.partition(b"|")[2])
        if result != b"ok":
            return
        if self._take_room(session, len(address) + _ADDRESS_BYTES):
            session.recipients.append(codec.text_of(address))
        else:
            # Who is not known cannot agree, so the message cannot be judged either.
            session.is_passing = True
            session.refusal = self._crowded.refusal

    def _on_end(self, session: _Session, _: bytes) -> None:
        self._reset(session)

    # Sessions.

    def _session(self, name: bytes) -> _Session:
        session = self._sessions.get(name)
        if session is None:
            if len(self._sessions) >= self._limits.sessions:
                self._make_room()
            session = self._sessions[name] = _Session()
        return session

    def _make_room(self) -> None:
        idle = [name for name, one in self._sessions.items() if not one.n_taken]
        for name in idle[: max(1, len(self._sessions) // _REDUCED)]:
            self._forget(name)

    def _forget(self, name: bytes) -> None:
        session = self._sessions.pop(name, None)
        if session is not None:
            self._give_room(session)

    def _reset(self, session: _Session) -> None:
        """Forget the transaction; the connection stays."""
        self._give_room(session)
        session.lines = bytearray()
        session.sender = session.message_id = session.refusal = None
        session.recipients = []
        session.is_passing = session.is_submitted = False
        session.cleaner = Cleaner()

    def _take_room(self, session: _Session, n_bytes: int) -> bool:
        if n_bytes > self._n_free:
            return False
        self._n_free -= n_bytes
        session.n_taken += n_bytes
        return True

    def _give_room(self, session: _Session) -> None:
        self._n_free += session.n_taken
        session.n_taken = 0


def _envelope(session: _Session) -> Envelope:
    return Envelope(
        recipients=tuple(session.recipients),
        sender=session.sender,
        submitter=session.user,
        client_address=session.client_address,
        client_name=session.client_name,
        helo=session.helo,
        queue_id=session.message_id,
        protocol=PROTOCOL,
    )
