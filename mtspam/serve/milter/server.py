"""The milter protocol on a socket: a connection for each client of the mail server."""

import asyncio
import logging
import socket
from typing import cast

from mtspam.config import Settings
from mtspam.errors import MtspamError, ProtocolError
from mtspam.serve.contract import BusyError, Face, Service, UnavailableError
from mtspam.serve.gathering import Gathering
from mtspam.serve.milter import codec
from mtspam.serve.milter.message import Room
from mtspam.serve.milter.session import Close, Reply, Session, Submitted

__all__ = ["start"]

PROGRESS_BYTES = 1_048_576
"""Of a longer message the mail server is told that it is worked on before it is read."""

RETRY_SECONDS = 0.25

_FAILURES = {
    "tempfail": codec.reply_code("451 4.7.1 Service unavailable, try again later"),
    "reject": codec.reply_code("550 5.7.1 Message could not be checked"),
    "accept": codec.ACCEPT,
}
_QUICK: int = getattr(socket, "TCP_QUICKACK", 0)
_log = logging.getLogger(__name__)


async def start(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve the protocol on a socket that is bound and listening.

    Parameters
    ----------
    service
        Who rules.
    sock
        TCP or UNIX.
    settings
        All settings.
    """
    face = _MilterFace(service, settings)
    await face.listen(sock)
    return face


class _MilterFace(Gathering["_Connection"]):
    """The listening socket and what is connected to it.

    A mail server that finds a connection closed lets the mail of its client wait, so connections
    that have a client stay as long as there is time.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        super().__init__("milter", settings.serve.max_connections)
        self.service = service
        self.settings = settings.milter
        self.max_message_bytes = settings.mail.max_message_bytes
        self.failure = _FAILURES[settings.milter.on_failure]
        self.room = Room(settings.milter.buffer_bytes)

    def protocol(self) -> "_Connection":
        """Return what serves a new connection."""
        return _Connection(self)


class _Connection(asyncio.Protocol):
    """One connection of a mail server."""

    def __init__(self, face: _MilterFace) -> None:
        self._face = face
        self._session = Session(face.max_message_bytes, face.room)
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._is_counted = False
        self._last_seconds = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None

    # What the loop calls.

    # uvloop's transports are no `asyncio.Transport`, they only do what one does.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream has no other
        """Begin, if there is room for one more."""
        face = self._face
        self._transport = transport
        if not face.limit.enter():
            _log.warning("milter: too many connections", extra={"most": face.limit.most})
            transport.abort()
            return
        self._is_counted = True
        face.connections.add(self)
        self._socket = _tcp_socket(transport)
        self._last_seconds = face.loop.time()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the mail server and do what they ask."""
        self._last_seconds = self._face.loop.time()
        if self._socket is not None:
            # As most events have no answer, the mail server's next packet would else wait for the
            # kernel's delayed acknowledgement: 40 ms for each message. It lasts for one read.
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)
        self._session.feed(data)
        self._go_on()

    def eof_received(self) -> bool:
        """Leave when the mail server does: it waits for no answer any more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and the message that was arriving."""
        for timer in (self._idle_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        self._transport = None
        self._session.drop()
        if self._is_counted:
            self._face.limit.leave()
            self._face.left(self)

    def pause_writing(self) -> None:
        """Read no more from who does not read what is answered."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on, and first what has been read already."""
        if self._transport is not None and self._retry_timer is None:
            self._transport.resume_reading()
            self._go_on()

    # What the face calls.

    def leave_if_idle(self) -> None:
        """Close if the mail server has no client whose mail might come."""
        if self._transport is not None and not self._session.has_client:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # The work.

    def _go_on(self) -> None:
        try:
            while (transport := self._transport) is not None and not transport.is_closing():
                step = self._session.next()
                if step is None:
                    return
                if isinstance(step, Reply):
                    transport.write(step.data)
                elif isinstance(step, Submitted):
                    self._rule(step)
                elif isinstance(step, Close):
                    transport.close()
        except ProtocolError as error:
            _log.warning("milter: %s", error)
            self.abort()
        except Exception:  # noqa: BLE001 - the edge: logged, and the mail server must not wait
            _log.exception("milter: a connection failed")
            self.abort()

    def _rule(self, submitted: Submitted) -> None:
        if submitted.raw is None:
            _log.warning("milter: no room for a message", extra=_named(submitted))
            self._send(self._session.fail(self._face.failure))
            return
        if len(submitted.raw) > PROGRESS_BYTES:
            self._send(codec.PROGRESS)
        now = self._face.loop.time()
        self._try(submitted, until=now + self._face.settings.wait_seconds, told=now)

    def _try(self, submitted: Submitted, until: float, told: float) -> None:
        """Rule on a message, again and again while the service cannot and there is time."""
        try:
            ruling = self._face.service.rule_together(submitted.raw or b"", submitted.envelope)
        except (BusyError, UnavailableError) as error:
            now = self._face.loop.time()
            if now < until:
                if now - told >= self._face.settings.progress_seconds:
                    self._send(codec.PROGRESS)
                    told = now
                self._wait(submitted, until, told)
                return
            self._give_up(submitted, error)
        except Exception:  # noqa: BLE001 - the edge, as in `_go_on`
            _log.exception("milter: a message could not be judged", extra=_named(submitted))
            self._send(self._session.fail(self._face.failure))
        else:
            self._send(self._session.answer(ruling))

    def _wait(self, submitted: Submitted, until: float, told: float) -> None:
        if self._transport is not None:
            # Whatever comes meanwhile would only pile up.
            self._transport.pause_reading()
            self._retry_timer = self._face.loop.call_later(
                RETRY_SECONDS, self._try_again, submitted, until, told
            )

    def _try_again(self, submitted: Submitted, until: float, told: float) -> None:
        self._retry_timer = None
        if self._transport is not None:
            self._transport.resume_reading()
        self._try(submitted, until, told)
        self._go_on()

    def _give_up(self, submitted: Submitted, error: MtspamError) -> None:
        _log.warning("milter: a message was not judged: %s", error, extra=_named(submitted))
        self._send(self._session.fail(self._face.failure))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _watch(self) -> None:
        """Close the connection when nothing has come for too long."""
        face = self._face
        left = self._last_seconds + face.settings.idle_seconds - face.loop.time()
        if left <= 0:
            self.abort()
        else:
            self._idle_timer = face.loop.call_later(left, self._watch)


def _tcp_socket(transport: asyncio.Transport) -> socket.socket | None:
    """Return the socket if it can be told to acknowledge at once, which is Linux's."""
    sock = cast("socket.socket | None", transport.get_extra_info("socket"))
    if sock is None or not _QUICK or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    return sock


def _named(submitted: Submitted) -> dict[str, str | None]:
    return {"queue_id": submitted.envelope.queue_id}
