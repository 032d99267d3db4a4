"""The client of the mailbox server, over LMTP or SMTP: one connection, one message at a time."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from mtspam.config import LmtpSettings
from mtspam.errors import ConfigError, MtspamError, ProtocolError
from mtspam.serve.lmtp.answers import Answers
from mtspam.serve.lmtp.codec import END, MAX_LINE_BYTES, Reply, ReplyReader, stuffed
from mtspam.serve.lmtp.parcels import Parcel
from mtspam.serve.lmtp.session import Path

__all__ = ["Connection", "LostError", "NextHop", "Patience", "next_hop_of"]

_GONE = 421


class LostError(MtspamError):
    """The next hop is away, gave up, took too long, or speaks something else."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the next hop may take to let us in, for a command, and to store a message."""

    connect_seconds: float
    command_seconds: float
    delivery_seconds: float


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where mail is handed on to.

    Parameters
    ----------
    is_lmtp
        Whether it answers for each recipient; SMTP answers once for all.
    host, port
        Its place on the network.
    path
        Its UNIX socket, where `host` is empty.
    """

    is_lmtp: bool
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``lmtp:PLACE`` or ``smtp:PLACE``, PLACE being HOST:PORT, [IPV6]:PORT or /PATH.

        Raises
        ------
        ConfigError
            If it is not of this form.

        Examples
        --------
        >>> NextHop.parse("lmtp:[::1]:24")
        NextHop(is_lmtp=True, host='::1', port=24, path='')
        """
        found = re.fullmatch(
            r"(lmtp|smtp):(?:(/.+)|\[([0-9A-Fa-f:.]+)\]:([0-9]{1,5})|([^\s:/\[\]]+):([0-9]{1,5}))",
            text.strip(),
            re.ASCII,
        )
        port = int(found[4] or found[6] or 0) if found else 0
        if found is None or port >= 1 << 16 or not (port or found[2]):
            raise ConfigError(
                f"lmtp.next_hop is {text!r}, but must be lmtp:PLACE or smtp:PLACE, where PLACE is "
                "HOST:PORT, [IPV6]:PORT or /PATH"
            )
        host = found[3] or found[5] or ""
        return cls(found[1] == "lmtp", host, port, found[2] or "")


def next_hop_of(settings: LmtpSettings) -> NextHop:
    """Return where mail is handed on to, and check what else the settings say of it.

    Raises
    ------
    ConfigError
        Where `next_hop` or `on_failure` is not one of its forms.
    """
    if settings.on_failure not in ("tempfail", "pass"):
        raise ConfigError(
            f"lmtp.on_failure is {settings.on_failure!r}, but must be 'tempfail' or 'pass'"
        )
    return NextHop.parse(settings.next_hop)


class _Listening(asyncio.StreamReaderProtocol):
    """What comes in, for who reads it when it is their turn; answers are noted at once."""

    answers: Answers | None = None

    def data_received(self, data: bytes) -> None:
        if self.answers is not None:
            with contextlib.suppress(ProtocolError):  # whoever reads it meets the same
                self.answers.take(data)
        super().data_received(data)


@dataclass(slots=True)
class Connection:
    """A connection to the next hop that has said hello; made by `open`.

    Every method raises `LostError` if the next hop breaks off or takes too long; the connection
    is closed then, and good for nothing any more.

    Parameters
    ----------
    extensions
        What it offers, in capitals.
    is_used
        Whether it has carried anything, so that the next hop may have grown tired of it.
    """

    hop: NextHop
    patience: Patience
    extensions: frozenset[str]
    _listening: _Listening
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    is_used: bool = False
    is_open: bool = True
    _replies: ReplyReader = field(default_factory=ReplyReader)

    def __post_init__(self) -> None:
        """Let `_drain` wait until all is out of this process."""
        self._writer.transport.set_write_buffer_limits(0)

    @classmethod
    async def open(cls, hop: NextHop, patience: Patience, hostname: str) -> Self:
        """Connect and say hello."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(MAX_LINE_BYTES, loop)
        listening = _Listening(reader, loop=loop)
        try:
            async with asyncio.timeout(patience.connect_seconds):
                if hop.host:
                    made = await loop.create_connection(lambda: listening, hop.host, hop.port)
                else:
                    made = await loop.create_unix_connection(lambda: listening, hop.path)
        except (OSError, ValueError) as error:  # a path may be too long for a socket's name
            raise LostError(f"the next hop cannot be reached: {error or 'in time'}") from error
        writer = asyncio.StreamWriter(made[0], listening, reader, loop)
        connection = cls(hop, patience, frozenset(), listening, reader, writer)
        greeting = await connection._reply(patience.connect_seconds)
        hello = "LHLO" if hop.is_lmtp else "EHLO"
        reply = greeting
        if greeting.is_positive:
            reply = await connection.ask(f"{hello} {hostname}")
        if not reply.is_positive:
            connection.drop()
            raise LostError(f"the next hop does not let us in: {reply}")
        words = (line.split(" ")[0].upper() for line in reply.lines[1:])
        connection.extensions = frozenset(word for word in words if word)
        connection.is_used = False
        return connection

    async def ask(self, command: str) -> Reply:
        """Give one command, and return what is said to it."""
        self.is_used = True
        self._send(command.encode("utf-8", "surrogateescape") + b"\r\n")
        return await self._reply(self.patience.command_seconds)

    async def mail(self, sender: Path) -> Reply:
        """Begin a message."""
        # The size is left out: it was that of the message without the fields that we add.
        texts = [text for name, text in sender.parameters.items() if name != "SIZE"]
        return await self.ask(" ".join([f"MAIL FROM:<{sender.address}>", *texts]))

    async def rcpt(self, recipient: Path) -> Reply:
        """Name a recipient."""
        texts = recipient.parameters.values()
        return await self.ask(" ".join([f"RCPT TO:<{recipient.address}>", *texts]))

    async def reset(self) -> None:
        """Drop what was begun."""
        reply = await self.ask("RSET")
        if not reply.is_positive:
            self._lose(f"RSET was refused: {reply}")

    async def data(
        self, raw: bytes, n_recipients: int, parcel: Parcel | None = None
    ) -> AsyncIterator[Reply]:
        """Give the message; yield a reply for each recipient accepted, each as soon as it comes.

        Parameters
        ----------
        raw
            Lines end with CRLF.
        n_recipients
            How many were accepted.
        parcel
            Record of the delivery, into which the replies go before they are yielded.
        """
        reply = await self.ask("DATA")
        if reply.code != 354:  # noqa: PLR2004 - the one reply that lets a message follow
            if reply.is_positive:
                self._lose(f"DATA was answered with {reply}")
            for _ in range(n_recipients):
                yield reply
            return
        text = stuffed(raw)
        if parcel is None:
            self._send(text)
            await self._drain()
        else:
            await self._give(text, parcel)
        for at in range(n_recipients):
            if self.hop.is_lmtp or at == 0:
                reply = await self._reply(self.patience.delivery_seconds)
            yield reply
        self._listening.answers = None

    async def _give(self, text: bytes, parcel: Parcel) -> None:
        """Send a message so that at any moment the record says whether its end is on the way."""
        parcel.keep(self._writer.get_extra_info("socket").fileno())
        self._send(text[: -len(END)])
        await self._drain()
        self._listening.answers = Answers(parcel, is_lmtp=self.hop.is_lmtp)
        parcel.begin_end()
        self._send(END)
        await self._drain()

    async def quit(self) -> None:
        """Take leave, without waiting for an answer."""
        if self.is_open:
            self._send(b"QUIT\r\n")
            self.drop()

    def drop(self) -> None:
        """Close the connection."""
        self.is_open = False
        self._writer.close()

    def _lose(self, text: str) -> None:
        self.drop()
        raise LostError(f"the next hop broke off: {text}")

    def _send(self, data: bytes) -> None:
        if not self.is_open:
            raise LostError("the next hop broke off before")
        self._writer.write(data)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self.patience.delivery_seconds):
                await self._writer.drain()
        except OSError as error:
            self.drop()
            raise LostError(f"the next hop broke off: {error or 'too slow'}") from error

    async def _reply(self, seconds: float) -> Reply:
        try:
            async with asyncio.timeout(seconds):
                reply = None
                while reply is None:
                    line = await self._reader.readuntil(b"\n")
                    reply = self._replies.take(line)
        except asyncio.IncompleteReadError as error:
            self.drop()
            raise LostError("the next hop broke off") from error
        except (OSError, asyncio.LimitOverrunError, ProtocolError) as error:
            self.drop()
            raise LostError(f"the next hop broke off: {error or 'too slow'}") from error
        except asyncio.CancelledError:
            # Half a reply was read: whatever comes next would be taken for another's.
            self.drop()
            raise
        if reply.code == _GONE:
            self._lose(str(reply))
        return reply
