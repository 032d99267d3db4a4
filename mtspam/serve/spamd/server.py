"""The spamd protocol on a socket: one connection, one request, one reply."""

import asyncio
import logging
import socket
import ssl

from mtspam.config import Settings
from mtspam.errors import DataError
from mtspam.serve.contract import (
    BusyError,
    Envelope,
    Face,
    LearnOutcome,
    Service,
    UnavailableError,
)
from mtspam.serve.encryption import server_context
from mtspam.serve.gathering import Gathering
from mtspam.serve.spamd.codec import Command, Refusal, Request, RequestReader
from mtspam.serve.spamd.replies import (
    error_reply,
    pong,
    scan_reply,
    tell_reply,
    unscored_reply,
)
from mtspam.spam.records import Reason
from mtspam.types import Label

__all__ = ["start", "start_encrypted"]

PROTOCOL = "spamd"
# What a client still sends behind its answered request is thrown away, so that closing does not
# take the reply away from it; so long and so much.
LINGER_SECONDS = 5.0
LINGER_BYTES = 16_777_216
# For the client that announced its last byte in the middle of a line and then keeps silent.
SETTLE_SECONDS = 0.25

BUSY = error_reply(75, "Temporary failure: too much to do, try again")
UNAVAILABLE = error_reply(75, "Temporary failure: not available, try again")
BROKEN = error_reply(70, "Internal error")
TELL_OFF = error_reply(
    69, "Service Unavailable: TELL commands are not enabled (setting spamd.allow_tell)"
)
TELL_NOBODY = error_reply(
    69, "Service Unavailable: TELL needs a User (setting spamd.tell_for_everyone)"
)

# What goes wrong with every message would fill the disk with logs.
QUIET_SECONDS = 60.0
MAX_KINDS = 100

_LABELS = {"spam": Label.SPAM, "ham": Label.HAM}
_log = logging.getLogger(__name__)


async def start(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve the protocol on a socket that is bound and listening.

    Parameters
    ----------
    service
        Who rules and learns.
    sock
        TCP or UNIX.
    settings
        All settings.
    """
    return await _start(service, sock, settings, None)


async def start_encrypted(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve the protocol over TLS; as `start`, and raises as `server_context`."""
    return await _start(service, sock, settings, server_context(settings.tls))


async def _start(
    service: Service, sock: socket.socket, settings: Settings, context: ssl.SSLContext | None
) -> Face:
    face = _SpamdFace(service, settings)
    await face.listen(sock, context)
    return face


def _envelope(request: Request) -> Envelope:
    recipients = () if request.user is None else (request.user,)
    return Envelope(recipients=recipients, protocol=PROTOCOL)


class _SpamdFace(Gathering["_Connection"]):
    """The listening socket and what is connected to it."""

    def __init__(self, service: Service, settings: Settings) -> None:
        super().__init__(PROTOCOL, settings.serve.max_connections)
        self.service = service
        self.settings = settings
        self.tells: set[asyncio.Task[None]] = set()
        self.n_arriving = 0  # bytes, over all connections
        self._quiet_until: dict[str, float] = {}

    def protocol(self) -> "_Connection":
        """Return what serves a new connection."""
        return _Connection(self)

    async def close(self, grace_seconds: float) -> None:
        """Take no new work, let what has begun end within the time given, then drop the rest."""
        await super().close(grace_seconds)
        for task in tuple(self.tells):
            task.cancel()
        await asyncio.gather(*self.tells, return_exceptions=True)

    # Answers.

    def answer(self, request: Request) -> bytes:
        """Answer a request that needs no waiting."""
        if request.command is Command.PING:
            return pong()
        if request.command is Command.SKIP:
            return b""
        try:
            return self._scan(request)
        except Exception as error:  # noqa: BLE001 - the edge: all that goes wrong has its answer
            return self._failed(request, self._fault(error))

    def _fault(self, error: Exception) -> bytes:
        """Return the error line for what went wrong inside, and log it."""
        match error:
            case BusyError():
                self.warn("too much to do")
                return BUSY
            case UnavailableError():
                self.warn(str(error))
                return UNAVAILABLE
        self.warn("a request failed", error)
        return BROKEN

    def warn(self, what: str, error: Exception | None = None) -> None:
        """Log what goes wrong, the same thing once a minute."""
        kind = what if error is None else repr(type(error))
        now = self.loop.time()
        if now >= self._quiet_until.get(kind, 0.0):
            if len(self._quiet_until) > MAX_KINDS:
                self._quiet_until.clear()
            self._quiet_until[kind] = now + QUIET_SECONDS
            _log.warning("spamd: %s", what, exc_info=error)

    def _scan(self, request: Request) -> bytes:
        (ruling,) = self.service.rule(request.message, _envelope(request))
        reasons: tuple[Reason, ...] = ()
        if request.command is Command.REPORT or (
            request.command is Command.REPORT_IFSPAM and ruling.is_spam
        ):
            n_reasons = self.settings.spamd.report_reasons
            if n_reasons:
                reasons = self.service.explain(request.message, request.user).reasons[:n_reasons]
        return scan_reply(request, ruling, reasons)

    def refuse(self, refusal: Refusal) -> bytes:
        """Answer what is no request, or too much of one."""
        reply = error_reply(refusal.code, refusal.text)
        if refusal.request is None:
            return reply
        return self._failed(refusal.request, reply)

    def _failed(self, request: Request, reply: bytes) -> bytes:
        """Return the configured answer where there is no verdict."""
        if self.settings.spamd.on_failure == "pass" and request.command is not Command.TELL:
            return unscored_reply(request, self.settings.actions.required_points) or reply
        return reply

    async def tell(self, request: Request) -> bytes:
        """Learn what a user says about a message."""
        try:
            return await self._tell(request)
        except DataError:  # a User that names nobody, such as <>
            return TELL_NOBODY
        except Exception as error:  # noqa: BLE001 - as in `answer`
            return self._fault(error)

    async def _tell(self, request: Request) -> bytes:
        if not self.settings.spamd.allow_tell:
            return TELL_OFF
        both = request.to_set & request.to_remove
        for place in sorted(both):
            text = f"Unable to set {place} and remove {place} in the same operation."
            return error_reply(76, f"Bad header line: {text}")
        is_set, is_removed = "local" in request.to_set, "local" in request.to_remove
        if not (is_set or is_removed):
            return tell_reply()
        if request.user is None and not self.settings.spamd.tell_for_everyone:
            return TELL_NOBODY
        if is_removed:
            done = await self.service.unlearn(request.message, user=request.user, source=PROTOCOL)
            return tell_reply(did_remove=done.outcome is LearnOutcome.REMOVED)
        label = _LABELS.get(request.message_class)
        if label is None:
            text = "(Message-class must be spam or ham where local is to be set)"
            return error_reply(76, f"Bad header line: {text}")
        done = await self.service.learn(request.message, label, user=request.user, source=PROTOCOL)
        return tell_reply(did_set=done.outcome in {LearnOutcome.NEW, LearnOutcome.CHANGED})


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, face: _SpamdFace) -> None:
        self._face = face
        self._reader = RequestReader(face.settings.mail.max_message_bytes)
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._settle: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._unsent = 0
        self._n_drained = 0
        self._n_arrived = 0
        self._has_entered = False
        self._has_begun = False
        self._is_taken = False
        self._is_answered = False
        self._is_ended = False

    # What asyncio calls.

    # uvloop's transports are no `asyncio.Transport`, they only do what one does.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream has no other
        """Let the client in, or tell it at once that there are too many."""
        self._transport = transport
        self._face.connections.add(self)
        self._has_entered = self._face.limit.enter()
        self._heard = self._face.loop.time()
        self._wait(self._face.settings.serve.idle_seconds)
        if not self._has_entered:
            self._face.warn("too many connections")
            self._is_taken = True
            self._send(BUSY)

    def data_received(self, data: bytes) -> None:
        """Read on; answer as soon as the request is whole."""
        self._heard = self._face.loop.time()
        self._has_begun = True
        if self._is_taken:
            self._n_drained += len(data)
            if self._n_drained > LINGER_BYTES:
                self.abort()
            return
        self._n_arrived += len(data)
        self._face.n_arriving += len(data)
        if self._face.n_arriving > self._face.settings.spamd.buffer_bytes:
            self._face.warn("no room for a message")
            self._is_taken = True
            self._send(BUSY)
            return
        self._take(self._reader.feed(data))
        if self._settle is not None:
            self._settle.cancel()
            self._settle = None
        if self._reader.awaits_line_end:
            self._settle = self._face.loop.call_later(SETTLE_SECONDS, self._finish)

    def eof_received(self) -> bool:
        """Answer what there is: that the client shuts its side is how the protocol goes."""
        self._is_ended = True
        self._finish()
        if self._is_answered and self._transport is not None:
            self._transport.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; a label that it gave is still learnt."""
        for timer in (self._idle, self._settle):
            if timer is not None:
                timer.cancel()
        if self._has_entered:
            self._face.limit.leave()
        self._face.n_arriving -= self._n_arrived
        self._face.left(self)

    # What the face calls.

    def leave_if_idle(self) -> None:
        """Close where nothing has been asked yet."""
        if not self._has_begun:
            self.abort()

    def abort(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    # Inside.

    def _finish(self) -> None:
        self._take(self._reader.finish())

    def _take(self, found: Request | Refusal | None) -> None:
        if found is None or self._is_taken:
            return
        self._is_taken = True
        if isinstance(found, Refusal):
            self._send(self._face.refuse(found))
        elif found.command is Command.TELL:
            task = self._face.loop.create_task(self._tell(found))
            self._face.tells.add(task)
            task.add_done_callback(self._face.tells.discard)
        else:
            self._send(self._face.answer(found))

    async def _tell(self, request: Request) -> None:
        self._send(await self._face.tell(request))

    def _send(self, reply: bytes) -> None:
        """Send the reply and shut our side; close when the client has shut its own."""
        transport = self._transport
        self._is_answered = True
        self._face.n_arriving -= self._n_arrived
        self._n_arrived = 0
        self._reader.discard()
        if transport is None or transport.is_closing():
            return
        transport.write(reply)
        if self._is_ended:
            transport.close()
        else:
            transport.write_eof()
        self._heard = self._face.loop.time()
        self._unsent = transport.get_write_buffer_size()
        self._wait(self._face.settings.serve.idle_seconds if self._unsent else LINGER_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._face.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Close a client that has neither sent nor taken anything for too long."""
        transport, now = self._transport, self._face.loop.time()
        if transport is None:
            return
        patience = self._face.settings.serve.idle_seconds
        if self._is_answered:
            unsent = transport.get_write_buffer_size()
            if not unsent or unsent == self._unsent:
                transport.abort()
                return
            self._unsent = unsent
        elif self._is_taken:
            pass  # it waits for us
        elif now - self._heard < patience:
            self._wait(patience - (now - self._heard))
            return
        else:
            self._is_taken = True
            self._send(error_reply(79, f"Timeout: (nothing came for {patience:g} seconds)"))
            return
        self._wait(patience)
