"""One milter connection: what the mail server tells becomes a message, a ruling becomes answers.

No input, no output: bytes come in by `Session.feed`, what is to be done goes out by
`Session.next`.
"""

from dataclasses import dataclass
from typing import Final

from mtspam.errors import ProtocolError
from mtspam.serve.contract import Action, Envelope, Ruling
from mtspam.serve.milter import codec
from mtspam.serve.milter.codec import Actions, Connect, PacketReader, Steps
from mtspam.serve.milter.message import Message, Room

__all__ = ["Close", "Reply", "Session", "Submitted"]

PROTOCOL: Final = "milter"

MAX_FORGED: Final = 100
"""Fields of ours that a message may carry. Mail that passed several filters has a dozen; to
delete thousands one by one is work that grows with their square in the mail server."""

_TOO_MANY_FORGED = "554 5.6.0 Message carries too many fields of a spam filter"

_WANTED_ACTIONS = Actions.ADD_HEADERS | Actions.CHANGE_HEADERS | Actions.QUARANTINE
_WANTED_STEPS = (
    Steps.NO_UNKNOWN
    | Steps.SKIP
    | Steps.LEADING_SPACE
    | Steps.NO_REPLY_CONNECT
    | Steps.NO_REPLY_HELO
    | Steps.NO_REPLY_MAIL
    | Steps.NO_REPLY_RECIPIENT
    | Steps.NO_REPLY_DATA
    | Steps.NO_REPLY_UNKNOWN
    | Steps.NO_REPLY_HEADER
    | Steps.NO_REPLY_END_OF_HEADERS
    | Steps.NO_REPLY_BODY
)
_FIRST_VERSION = 2

_UNANSWERED = {
    b"C": Steps.NO_REPLY_CONNECT,
    b"H": Steps.NO_REPLY_HELO,
    b"M": Steps.NO_REPLY_MAIL,
    b"R": Steps.NO_REPLY_RECIPIENT,
    b"T": Steps.NO_REPLY_DATA,
    b"L": Steps.NO_REPLY_HEADER,
    b"N": Steps.NO_REPLY_END_OF_HEADERS,
    b"B": Steps.NO_REPLY_BODY,
    b"U": Steps.NO_REPLY_UNKNOWN,
}
"""Events that are answered, each with the step under which it is not."""

_KEPT_MACROS = frozenset({"i", "auth_authen", "client_addr", "client_name", "rcpt_mailer"})
_MACRO_CHARACTERS = 1_000
_EVENTS_OF_CONNECTION = (b"C", b"H")


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to send."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message whose end has come; nothing goes on until it is answered.

    Parameters
    ----------
    raw
        The message as it would be on the wire; None where there was no room for it.
    envelope
        What is known beside it.
    """

    raw: bytes | None
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is at its end."""


class Session:
    r"""The filter's side of one connection.

    Parameters
    ----------
    max_message_bytes
        What is more of a message is not kept, as nothing looks at it.
    room
        Shared with the other connections.

    Examples
    --------
    >>> session = Session(1_000_000, Room(1_000_000))
    >>> session.feed(bytes.fromhex("0000000d4f000000060000003100000000"))
    >>> session.next()
    Reply(data=b'\x00\x00\x00\rO\x00\x00\x00\x06\x00\x00\x001\x00\x00\x00\x00')
    """

    def __init__(self, max_message_bytes: int, room: Room) -> None:
        self._max_message_bytes = max_message_bytes
        self._room = room
        self._reader = PacketReader()
        self._version = 0
        self._actions = Actions(0)
        self._steps = Steps(0)
        self._unanswered: frozenset[bytes] = frozenset()
        self._colon = b": "
        self._connect: Connect | None = None
        self._helo: str | None = None
        self._macros: dict[str, str] = {}
        self._last_macros = b""
        self._message = Message(room, max_message_bytes)
        self._is_waiting = False
        self._handlers = {
            b"O": self._on_negotiate,
            b"D": self._on_macros,
            b"C": self._on_connect,
            b"H": self._on_helo,
            b"M": self._on_mail,
            b"R": self._on_recipient,
            b"L": self._on_header,
            b"B": self._on_body,
            b"E": self._on_end,
            b"A": self._on_abort,
            b"K": self._on_new_connection,
            b"Q": self._on_quit,
        }

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        self._reader.feed(data)

    @property
    def has_client(self) -> bool:
        """Whether the mail server has a client whose mail may come over this connection."""
        return self._connect is not None

    def next(self) -> Reply | Submitted | Close | None:
        """Return what is to be done next, None until more bytes are there.

        After a `Submitted` it returns None until `answer` or `fail` was called.

        Raises
        ------
        ProtocolError
            Where the mail server sends what is no milter protocol.
        """
        while not self._is_waiting and (packet := self._reader.next()) is not None:
            command, data = packet
            if not self._version and command != b"O":
                raise ProtocolError(f"an offer must come first, but this came: {command!r}")
            handler = self._handlers.get(command)
            # What is not known is answered like any event, so that the mail server goes on.
            step = handler(data) if handler is not None else self._continue(command)
            if step is not None:
                return step
        return None

    def drop(self) -> None:
        """Forget the message that was arriving: the connection is gone."""
        self._message.drop()
        self._last_macros = b""
        self._message = Message(self._room, self._max_message_bytes)

    # Events.

    def _on_negotiate(self, data: bytes) -> Reply:
        offer = codec.decode_negotiate(data)
        if offer.version < _FIRST_VERSION:
            raise ProtocolError(
                f"version {offer.version} was offered; it must be at least {_FIRST_VERSION}"
            )
        self._on_new_connection(b"")
        self._version = min(offer.version, codec.VERSION)
        self._actions = Actions(offer.actions & _WANTED_ACTIONS)
        self._steps = Steps(offer.steps & _WANTED_STEPS)
        # Asked for every packet, so worked out once.
        self._unanswered = frozenset(c for c, step in _UNANSWERED.items() if step & self._steps)
        self._colon = b":" if self._steps & Steps.LEADING_SPACE else b": "
        return Reply(codec.negotiate(self._version, int(self._actions), int(self._steps)))

    def _on_macros(self, data: bytes) -> None:
        if data[:1] in _EVENTS_OF_CONNECTION:
            macros = self._macros
        elif data[1:] == self._last_macros:
            return  # Postfix says the same again before each field
        else:
            macros, self._last_macros = self._message.macros, data[1:]
            if data[:1] == b"R":
                macros.pop("rcpt_mailer", None)  # the former recipient's
        for name, value in codec.decode_macros(data):
            if name in _KEPT_MACROS:
                macros[name] = value[:_MACRO_CHARACTERS]

    def _on_connect(self, data: bytes) -> Reply | None:
        self._connect = codec.decode_connect(data)
        return self._continue(b"C")

    def _on_helo(self, data: bytes) -> Reply | None:
        self._helo = codec.text_of(_first_text(data))
        return self._continue(b"H")

    def _on_mail(self, data: bytes) -> Reply | None:
        # The macros of the event came before it.
        macros = self._message.macros
        self.drop()
        self._message.macros = macros
        self._message.sender = _address(data)
        return self._continue(b"M")

    def _on_recipient(self, data: bytes) -> Reply | None:
        message = self._message
        # Some mail servers tell of recipients whom they refused, too.
        if message.macros.get("rcpt_mailer") != "error":
            message.take_recipient(_address(data))
        return self._continue(b"R")

    def _on_header(self, data: bytes) -> Reply | None:
        self._message.take_field(*codec.decode_header(data), colon=self._colon)
        return self._continue(b"L")

    def _on_body(self, data: bytes) -> Reply | None:
        self._message.take_body(data)
        if self._message.is_full and b"B" not in self._unanswered and self._steps & Steps.SKIP:
            return Reply(codec.SKIP)
        return self._continue(b"B")

    def _on_end(self, data: bytes) -> Submitted:
        self._message.take_body(data)
        self._is_waiting = True
        return Submitted(self._message.raw, self._envelope())

    def _on_abort(self, data: bytes) -> None:
        self.drop()

    def _on_new_connection(self, data: bytes) -> None:
        self.drop()
        self._connect = None
        self._helo = None
        self._macros = {}

    def _on_quit(self, data: bytes) -> Close:
        return Close()

    def _continue(self, command: bytes) -> Reply | None:
        return None if command in self._unanswered else Reply(codec.CONTINUE)

    def _envelope(self) -> Envelope:
        message, connect = self._message, self._connect
        macros = {**self._macros, **message.macros}
        name = connect.name if connect is not None else macros.get("client_name")
        if name is not None and (name.startswith("[") or name == "unknown"):
            name = None
        return Envelope(
            recipients=tuple(message.recipients),
            sender=message.sender,
            submitter=macros.get("auth_authen") or None,
            client_address=(connect and connect.address) or macros.get("client_addr") or None,
            client_name=name or None,
            helo=self._helo,
            queue_id=macros.get("i") or None,
            protocol=PROTOCOL,
        )

    # Answers.

    def answer(self, ruling: Ruling) -> bytes:
        """Return all that is to be sent for a message that was ruled on."""
        action = ruling.action
        if action in (Action.REJECT, Action.TEMPFAIL):
            default = codec.REJECT if action is Action.REJECT else codec.TEMPFAIL
            final = codec.reply_code(ruling.text) if ruling.text else default
        elif action is Action.DISCARD:
            final = codec.DISCARD
        else:
            final = b"".join((*self._cleaned(), *self._marked(ruling), codec.ACCEPT))
        return self._finished(final)

    def fail(self, final: bytes) -> bytes:
        """Return what is to be sent for a message on which nobody could rule.

        Parameters
        ----------
        final
            The answer: one of the codec's.
        """
        # Who lets it pass unjudged does not want a stranger's verdict in it.
        changes = self._cleaned() if final == codec.ACCEPT else []
        return self._finished(b"".join((*changes, final)))

    def _cleaned(self) -> list[bytes]:
        """Delete what a stranger wrote under our names: from the last, so that numbers hold."""
        if not self._actions & Actions.CHANGE_HEADERS:
            return []
        message = self._message
        return [
            *(codec.change_header(index, name, value) for index, name, value in message.cleaned),
            *(
                codec.change_header(index, name, "")
                for name, count in message.forged.items()
                for index in range(min(count, MAX_FORGED), 0, -1)
            ),
        ]

    def _marked(self, ruling: Ruling) -> list[bytes]:
        """Add our fields, below what the mail server itself has put on top; quarantine."""
        blank = " " if self._steps & Steps.LEADING_SPACE else ""
        changes = []
        if self._actions & Actions.ADD_HEADERS:
            # Each at the same place, so the first is the last to go there.
            changes += [
                codec.insert_header(1, name, blank + value)
                for name, value in reversed(ruling.fields)
            ]
        if ruling.subject is not None and self._actions & Actions.CHANGE_HEADERS:
            changes.append(codec.change_header(1, "Subject", blank + ruling.subject))
        if ruling.action is Action.QUARANTINE and self._actions & Actions.QUARANTINE:
            changes.append(codec.quarantine(ruling.text or "mtspam: spam"))
        return changes

    def _finished(self, data: bytes) -> bytes:
        if data.endswith(codec.ACCEPT) and self._message.n_forged > MAX_FORGED:
            data = codec.reply_code(_TOO_MANY_FORGED)
        self.drop()
        self._is_waiting = False
        return data


def _first_text(data: bytes) -> bytes:
    return codec.decode_texts(data)[0] if data else b""


def _address(data: bytes) -> str:
    """Return the address of MAIL or RCPT without its angle brackets."""
    text = codec.text_of(_first_text(data)).strip()
    if text.startswith("<") and text.endswith(">"):
        return text[1:-1]
    return text
