"""What an LMTP server may be asked, when, and what it answers by itself. No input, no output."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mtspam.errors import ProtocolError
from mtspam.serve.lmtp.codec import Command, Content, LineReader, LongLine, Reply, parse_path

__all__ = ["Hello", "Mail", "Message", "Path", "Quit", "Rcpt", "Request", "Reset", "Session"]

MAX_ERRORS: Final = 20
"""A client that breaks the protocol so often in a row is turned away, as Postfix does."""

_XTEXT = re.compile(r"\+([0-9A-Fa-f]{2})")
_XFORWARD_NAMES = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"})
_MAIL_PARAMETERS = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
}
_RCPT_PARAMETERS = {"NOTIFY": "DSN", "ORCPT": "DSN"}


@dataclass(frozen=True, slots=True)
class Path:
    """An address as MAIL or RCPT gives it, and the parameters as they were written."""

    address: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hello:
    """The client begins; the answer says what is offered."""

    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """The client has a message from this sender."""

    sender: Path


@dataclass(frozen=True, slots=True)
class Rcpt:
    """The client has a message for this recipient."""

    recipient: Path


@dataclass(frozen=True, slots=True)
class Message:
    """The client gave the message; each of the recipients is owed an answer.

    Parameters
    ----------
    raw
        None if it was too large, or given up.
    sender, recipients
        Those that were accepted.
    client
        What XFORWARD said about where it comes from: ADDR, NAME, HELO, IDENT.
    """

    raw: bytes | None
    sender: Path
    recipients: tuple[Path, ...]
    client: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reset:
    """The client drops what it had begun."""


@dataclass(frozen=True, slots=True)
class Quit:
    """The client leaves."""


Request = Hello | Mail | Rcpt | Message | Reset | Quit


class Session:
    r"""One client's conversation: bytes in, requests out, answers in, bytes out.

    Parameters
    ----------
    hostname
        What the server calls itself.
    max_recipients
        Recipients of one message; those beyond are asked to be given again later.
    max_message_bytes
        Size of a message; a larger one is refused.

    Examples
    --------
    >>> session = Session("mx.example.org", max_recipients=9, max_message_bytes=99)
    >>> session.receive(b"LHLO a\r\nMAIL FROM:<b@example.org>\r\n")
    >>> session.next_request()
    Hello(name='a')
    >>> session.answer(Reply.of("250 mx.example.org"))
    >>> session.next_request()
    Mail(sender=Path(address='b@example.org', parameters={}))
    """

    def __init__(self, hostname: str, *, max_recipients: int, max_message_bytes: int) -> None:
        self.offered: frozenset[str] = frozenset()
        self.is_over = False
        self._max_recipients = max_recipients
        self._max_message_bytes = max_message_bytes
        self._reader = LineReader()
        self._outgoing = bytearray()
        self._pending: Request | None = None
        self._n_owed = 0
        self._n_errors = 0
        self._is_greeted = False
        self._sender: Path | None = None
        self._recipients: list[Path] = []
        self._client: dict[str, str] = {}
        self._say(f"220 {hostname} LMTP mtspam")

    @property
    def n_held(self) -> int:
        """Bytes of the client that are held."""
        return self._reader.n_held

    @property
    def is_between_messages(self) -> bool:
        """Whether nothing has been begun, so that the session may end without harm."""
        return self._sender is None and self._pending is None

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        self._reader.feed(data)

    def take_outgoing(self) -> bytes:
        """Return what the client is to be sent, once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def give_up_message(self) -> bool:
        """Keep nothing of the message that is being read; False if none is."""
        return self._reader.give_up_content()

    def next_request(self) -> Request | None:
        """Return what is asked next; None where that needs more bytes or the session is over.

        Each request is to be answered before the next is asked for.
        """
        while not self.is_over:
            event = self._reader.next_event()
            if event is None:
                return None
            request = self._request_of(event)
            if request is not None:
                self._pending = request
                return request
        return None

    def answer(self, reply: Reply) -> None:
        """Answer the request; a message is answered once for each recipient, in their order."""
        request = self._pending
        if request is None:
            raise ValueError("there is nothing to answer")
        self._outgoing += reply.encode()
        if isinstance(request, Message):
            self._n_owed -= 1
            if self._n_owed:
                return
            self._reset()
        self._pending = None
        if isinstance(request, Quit):
            self.is_over = True
        elif not reply.is_positive:
            return
        elif isinstance(request, Hello):
            self._is_greeted = True
            self._reset()
        elif isinstance(request, Mail):
            self._sender = request.sender
        elif isinstance(request, Rcpt):
            self._recipients.append(request.recipient)
        elif isinstance(request, Reset):
            self._reset()

    def close(self, reply: Reply) -> None:
        """End the session with a last word."""
        self._outgoing += reply.encode()
        self.is_over = True

    def _say(self, text: str) -> None:
        self._outgoing += Reply.of(text).encode()

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []
        self._client = {}

    def _request_of(self, event: Command | Content | LongLine) -> Request | None:
        if isinstance(event, Content):
            self._n_owed = len(self._recipients)
            sender = self._sender or Path("")
            return Message(event.raw, sender, tuple(self._recipients), dict(self._client))
        if isinstance(event, LongLine):
            self._complain("500 5.5.2 Line too long")
            return None
        try:
            request = self._command(event)
        except ProtocolError as error:
            self._complain(str(error))
            return None
        self._n_errors = 0
        return request

    def _complain(self, text: str) -> None:
        self._say(text)
        self._n_errors += 1
        if self._n_errors >= MAX_ERRORS:
            self.close(Reply.of("421 4.7.0 Too many errors"))

    def _command(self, command: Command) -> Request | None:
        verbs: dict[str, Callable[[str], Request | None]] = {
            "LHLO": self._lhlo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": lambda _: Reset(),
            "NOOP": lambda _: self._say("250 2.0.0 Ok"),
            "VRFY": lambda _: self._say("252 2.5.0 Send mail, and see"),
            "QUIT": lambda _: Quit(),
            "XFORWARD": self._xforward,
        }
        if command.verb in ("HELO", "EHLO"):
            raise ProtocolError("500 5.5.1 This is LMTP: say LHLO")
        if command.verb not in verbs:
            raise ProtocolError("500 5.5.1 Unknown command")
        return verbs[command.verb](command.argument)

    def _lhlo(self, argument: str) -> Request:
        if not argument or not argument.isprintable():
            raise ProtocolError("501 5.5.4 LHLO needs a name")
        return Hello(argument)

    def _mail(self, argument: str) -> Request:
        if not self._is_greeted:
            raise ProtocolError("503 5.5.1 Say LHLO first")
        if self._sender is not None:
            raise ProtocolError("503 5.5.1 There is a sender already")
        path = self._path(argument, "FROM", _MAIL_PARAMETERS)
        size = path.parameters.get("SIZE", "SIZE=0").partition("=")[2]
        if not (size.isascii() and size.isdigit() and len(size) <= 20):  # noqa: PLR2004 - RFC 1870
            raise ProtocolError("501 5.5.4 SIZE is no number")
        if int(size) > self._max_message_bytes:
            raise ProtocolError("552 5.3.4 The message is larger than allowed")
        return Mail(path)

    def _rcpt(self, argument: str) -> Request | None:
        if self._sender is None:
            raise ProtocolError("503 5.5.1 There is no sender yet")
        if len(self._recipients) >= self._max_recipients:
            # No fault of the client: it is to come back with the rest.
            self._say("452 4.5.3 Too many recipients at once")
            return None
        path = self._path(argument, "TO", _RCPT_PARAMETERS)
        if not path.address:
            raise ProtocolError("501 5.1.3 A recipient has a name")
        return Rcpt(path)

    def _path(self, argument: str, keyword: str, known: dict[str, str]) -> Path:
        try:
            address, parameters = parse_path(argument, keyword)
        except ProtocolError as error:
            raise ProtocolError(f"501 5.5.4 Not of the form {keyword}:<address>") from error
        for name in parameters:
            if known.get(name) not in self.offered:
                raise ProtocolError("555 5.5.4 A parameter is not known")
        if not address.isascii() and not ("SMTPUTF8" in self.offered and address.isprintable()):
            raise ProtocolError("553 5.6.7 The address is not in ASCII")
        return Path(address, parameters)

    def _data(self, argument: str) -> None:
        if argument:
            raise ProtocolError("501 5.5.4 DATA stands alone")
        if not self._recipients:
            raise ProtocolError("503 5.5.1 There is no recipient")
        self._say("354 End with a dot on a line of its own")
        self._reader.expect_content(self._max_message_bytes)

    def _xforward(self, argument: str) -> None:
        for item in argument.split():
            name, equals, value = item.partition("=")
            if not equals or name.upper() not in _XFORWARD_NAMES:
                raise ProtocolError("501 5.5.4 An attribute is not known")
            text = _XTEXT.sub(lambda found: chr(int(found[1], 16)), value)
            if text != "[UNAVAILABLE]" and text.isprintable():
                self._client[name.upper()] = text
        self._say("250 2.0.0 Ok")
