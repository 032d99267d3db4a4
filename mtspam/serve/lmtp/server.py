"""The LMTP face: sockets, limits, and who is asked what."""

import asyncio
import logging
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from mtspam.config import Settings
from mtspam.serve.contract import BusyError, Envelope, Face, Service, UnavailableError
from mtspam.serve.limits import connection_limit
from mtspam.serve.lmtp.codec import Reply
from mtspam.serve.lmtp.copies import Plan, make_plan, plan_without_verdict
from mtspam.serve.lmtp.delivery import Delivery
from mtspam.serve.lmtp.nexthop import LostError, Patience, next_hop_of
from mtspam.serve.lmtp.parcels import Parcels
from mtspam.serve.lmtp.past import Past
from mtspam.serve.lmtp.session import Hello, Mail, Message, Quit, Rcpt, Request, Session

__all__ = ["start"]

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 1 << 16
_PASSED_EXTENSIONS: Final = frozenset({"8BITMIME", "SMTPUTF8", "DSN"})
_XFORWARD: Final = "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"

_AWAY: Final = Reply.of("451 4.4.1 The mailbox server is away")
_LOST: Final = Reply.of("451 4.4.2 The mailbox server broke off")
_NOT_JUDGED: Final = Reply.of("451 4.3.0 The message cannot be judged now")
_TOO_LARGE: Final = Reply.of("552 5.3.4 The message is larger than allowed")
_NO_ROOM: Final = Reply.of("452 4.3.1 No room for the message now")
_OK: Final = Reply.of("250 2.0.0 Ok")
_BYE: Final = Reply.of("221 2.0.0 Bye")
_STOPPING: Final = Reply.of("421 4.3.2 The service is stopping")
_SILENT: Final = Reply.of("421 4.4.2 Nothing came for too long")
_CROWDED: Final = Reply.of("421 4.3.2 Too many connections")
_NO_HOP: Final = Reply.of("421 4.4.1 The mailbox server is away")
_FAULT: Final = Reply.of("421 4.3.0 Something went wrong here")


class _Room:
    """Bytes of messages that are held, over all clients."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.n_held = 0


class _Client:
    """One connection of a mail server, from its greeting to its end."""

    def __init__(
        self,
        face: "_LmtpFace",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._face = face
        self._reader = reader
        self._writer = writer
        self._delivery = Delivery(face.hop, face.patience, face.hostname)
        self._session = Session(
            face.hostname,
            max_recipients=face.settings.lmtp.max_recipients,
            max_message_bytes=face.settings.lmtp.max_message_bytes,
        )
        self._n_counted = 0
        self._is_shed = False
        self._is_reading = False
        self._is_stopping = False

    def stop(self) -> bool:
        """Ask to end after the message that is under way; True if there is none."""
        self._is_stopping = True
        return self._is_reading and self._session.is_between_messages

    async def run(self) -> None:
        """Serve the client until it leaves, breaks off, is silent for too long, or is stopped."""
        try:
            while not self._session.is_over:
                request = self._session.next_request()
                if request is not None:
                    await self._serve(request)
                elif self._is_stopping and self._session.is_between_messages:
                    self._session.close(_STOPPING)
                elif not await self._take():
                    break
            await self._flush()
            await self._delivery.close()
        except OSError as error:  # a timeout of ours is one too
            _log.info("lmtp: a client broke off: %s", error or "it takes no answers")
        except asyncio.CancelledError:
            # Whoever waits for the rest of its message, or for an answer, tries again later.
            self._session.close(_STOPPING)
            self._writer.write(self._session.take_outgoing())
            raise
        except Exception:  # noqa: BLE001 - the edge: a fault of ours must cost no mail
            _log.exception("lmtp: a session failed")
            self._session.close(_FAULT)
            self._writer.write(self._session.take_outgoing())
        finally:
            self._delivery.drop()
            self._count(0)
            self._writer.close()

    async def _take(self) -> bool:
        """Read what the client sends next; False when there will be nothing more."""
        self._count(self._session.n_held)
        await self._flush()
        self._is_reading = True
        try:
            async with asyncio.timeout(self._face.settings.serve.idle_seconds):
                data = await self._reader.read(_READ_BYTES)
        except TimeoutError:
            self._session.close(_SILENT)
            return False
        finally:
            self._is_reading = False
        self._session.receive(data)
        self._count(self._session.n_held)
        if self._face.room.n_held > self._face.room.most and not self._is_shed:
            self._is_shed = self._session.give_up_message()
        return bool(data)

    def _count(self, n_held: int) -> None:
        self._face.room.n_held += n_held - self._n_counted
        self._n_counted = n_held

    async def _flush(self) -> None:
        data = self._session.take_outgoing()
        if data:
            self._writer.write(data)
            async with asyncio.timeout(self._face.settings.serve.idle_seconds):
                await self._writer.drain()

    async def _serve(self, request: Request) -> None:
        answer = self._session.answer
        if isinstance(request, Message):
            await self._message(request)
            self._is_shed = False
            self._count(self._session.n_held)
        elif isinstance(request, Hello):
            answer(await self._hello())
        elif isinstance(request, Mail):
            answer(await self._asked(self._delivery.begin(request.sender), _AWAY))
        elif isinstance(request, Rcpt):
            answer(await self._asked(self._delivery.name(request.recipient), _LOST))
        elif isinstance(request, Quit):
            answer(_BYE)
        else:
            await self._delivery.reset()
            answer(_OK)

    async def _asked(self, question: Coroutine[Any, Any, Reply], otherwise: Reply) -> Reply:
        try:
            return await question
        except LostError as error:
            _log.warning("lmtp: %s", error)
            return otherwise

    async def _hello(self) -> Reply:
        """Offer what the next hop can do as well; without it there is nothing to offer."""
        try:
            connection = await self._delivery.connect()
        except LostError as error:
            _log.warning("lmtp: %s", error)
            self._session.is_over = True
            return _NO_HOP
        passed = connection.extensions & _PASSED_EXTENSIONS
        self._session.offered = passed | {"SIZE"}
        lines = (
            self._face.hostname,
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
            f"SIZE {self._face.settings.lmtp.max_message_bytes}",
            *sorted(passed),
            _XFORWARD,
        )
        return Reply(250, lines)

    async def _message(self, message: Message) -> None:
        n_recipients = len(message.recipients)
        if message.raw is None:
            refusal = _NO_ROOM if self._is_shed else _TOO_LARGE
            plan = Plan(dict.fromkeys(range(n_recipients), refusal), ())
        else:
            plan = self._plan(message.raw, message)
        past = Past(self._face.parcels, plan.delivery)
        try:
            plan = plan.without(
                await past.recall(
                    message.recipients,
                    is_lmtp=self._face.hop.is_lmtp,
                    seconds=self._face.patience.delivery_seconds,
                )
            )
            await self._carry_out(message, plan, past)
        finally:
            past.release()

    async def _carry_out(self, message: Message, plan: Plan, past: Past) -> None:
        if not plan.copies:
            await self._delivery.reset()
        places = range(len(message.recipients))
        replies: list[Reply | None] = [plan.answers.get(at) for at in places]
        n_told = await self._tell(replies, 0, past)
        for copy in plan.copies:
            try:
                async for place, reply in self._delivery.hand_on(
                    copy, message.sender, message.recipients, past
                ):
                    replies[place] = reply
                    n_told = await self._tell(replies, n_told, past)
            except LostError as error:
                _log.warning("lmtp: %s", error, extra=_named(message))
                past.give_up()
                for place in copy.recipients:
                    replies[place] = replies[place] or _LOST
                n_told = await self._tell(replies, n_told, past)
        self._log_end(message, plan, replies)

    async def _tell(self, replies: list[Reply | None], n_told: int, past: Past) -> int:
        """Give the client all replies that are known up to the first that is not."""
        before = n_told
        while n_told < len(replies):
            reply = replies[n_told]
            if reply is None:
                break
            self._session.answer(reply)
            n_told += 1
        if n_told > before:
            await self._flush()
            if not self._reader.at_eof():  # else it went to somebody who has left
                past.settle(n_told)
        return n_told

    def _plan(self, raw: bytes, message: Message) -> Plan:
        sender, client = message.sender.address, message.client
        envelope = Envelope(
            recipients=tuple(path.address for path in message.recipients),
            sender=sender,
            client_address=client.get("ADDR"),
            client_name=client.get("NAME"),
            helo=client.get("HELO"),
            queue_id=client.get("IDENT"),
            protocol="lmtp",
        )
        n_recipients = len(message.recipients)
        try:
            return make_plan(raw, sender, self._face.service.rule(raw, envelope))
        except (BusyError, UnavailableError) as error:
            _log.warning("lmtp: a message was not judged: %s", error, extra=_named(message))
        except Exception:  # noqa: BLE001 - the edge of the protocol: mail goes on whatever happens
            _log.exception("lmtp: a message could not be judged", extra=_named(message))
        if self._face.settings.lmtp.on_failure == "pass":
            return plan_without_verdict(raw, sender, n_recipients)
        return Plan(dict.fromkeys(range(n_recipients), _NOT_JUDGED), ())

    def _log_end(self, message: Message, plan: Plan, replies: Sequence[Reply | None]) -> None:
        codes = ",".join(str(reply.code) for reply in replies if reply is not None)
        told = {"copies": len(plan.copies), "answers": codes, **_named(message)}
        _log.info("lmtp: a message was answered", extra=told)


def _named(message: Message) -> dict[str, str]:
    """Return what the mail server calls a message, for the log."""
    return {"queue_id": message.client["IDENT"]} if "IDENT" in message.client else {}


class _LmtpFace:
    """The listening socket, and what its clients share."""

    def __init__(self, service: Service, settings: Settings) -> None:
        lmtp = settings.lmtp
        self.service = service
        self.settings = settings
        self.hop = next_hop_of(lmtp)
        self.patience = Patience(lmtp.connect_seconds, lmtp.command_seconds, lmtp.delivery_seconds)
        self.hostname = socket.gethostname() or "localhost"
        self.room = _Room(lmtp.max_held_bytes)
        parcels = getattr(service, "parcels", None)
        self.parcels = parcels if isinstance(parcels, Parcels) else None
        self._limit = connection_limit(settings.serve.max_connections)
        self._clients: dict[asyncio.Task[None], _Client] = {}
        self._server: asyncio.Server | None = None

    async def listen(self, sock: socket.socket) -> None:
        """Begin to take connections."""
        if sock.family == socket.AF_UNIX:
            self._server = await asyncio.start_unix_server(self._connected, sock=sock)
        else:
            self._server = await asyncio.start_server(self._connected, sock=sock)

    async def close(self, grace_seconds: float) -> None:
        """Take no new work, let what has begun end within the time given, then drop the rest."""
        if self._server is not None:
            self._server.close()
        for task, client in tuple(self._clients.items()):
            if client.stop():
                task.cancel()
        if self._clients:
            _, late = await asyncio.wait(tuple(self._clients), timeout=grace_seconds)
            for task in late:
                task.cancel()
            if late:
                _log.warning("lmtp: dropped connections", extra={"n": len(late)})
                await asyncio.wait(late)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._limit.enter():
            writer.write(_CROWDED.encode())
            writer.close()
            return
        client = _Client(self, reader, writer)
        task = asyncio.get_running_loop().create_task(client.run())
        self._clients[task] = client
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        del self._clients[task]
        self._limit.leave()


async def start(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve LMTP on a socket that is bound and listening.

    Parameters
    ----------
    service
        Who rules.
    sock
        TCP or UNIX.
    settings
        All settings.

    Raises
    ------
    ConfigError
        Where `lmtp.next_hop` or `lmtp.on_failure` is not one of its forms.
    """
    face = _LmtpFace(service, settings)
    await face.listen(sock)
    return face
