"""The face: a listening socket, what its connections share, and how it ends."""

import asyncio
import socket
import ssl
import time
from pathlib import Path

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mtspam.config import HttpSettings, Settings
from mtspam.serve.contract import Face, Service
from mtspam.serve.encryption import listening, server_context
from mtspam.serve.http.app import build_app
from mtspam.serve.http.arrivals import MAX_HEAD_BYTES
from mtspam.serve.http.connections import Connections
from mtspam.serve.http.desk import Desk
from mtspam.serve.http.door import Door, House
from mtspam.serve.http.hearing import HearsOut
from mtspam.serve.http.passwords import Gate
from mtspam.serve.http.ranking import RANKING_HANDLERS
from mtspam.serve.http.scanning import Scanner

__all__ = ["HttpFace", "is_control", "start", "start_encrypted", "start_untrusted"]


class _Rest(HttpToolsProtocol):
    """uvicorn's protocol on a connection that has gone through the door."""

    def __init__(self, config: Config, state: ServerState, connections: Connections) -> None:
        super().__init__(config, state, {})
        self._table = connections
        self._n_head_bytes = 0
        self._is_head_over = False
        self.last_seen = connections.now()

    def data_received(self, data: bytes) -> None:
        self.last_seen = self._table.now()
        if not self._is_head_over:
            self._n_head_bytes += len(data)
        super().data_received(data)
        if self._n_head_bytes > MAX_HEAD_BYTES:
            self.give_up()

    # uvicorn itself takes headers and trailers of any length.

    def on_message_begin(self) -> None:
        self._n_head_bytes, self._is_head_over = 0, False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_head_over:
            self._n_head_bytes += len(name) + len(value)
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._n_head_bytes, self._is_head_over = 0, True
        super().on_headers_complete()

    def resume_writing(self) -> None:
        self.last_seen = self._table.now()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # else who has said all gets no answer
        return self.cycle is not None and not self.cycle.response_complete

    def give_up(self) -> None:
        self.transport.abort()

    def finish(self) -> bool:
        self.shutdown()
        return self.transport.is_closing()


class HttpFace:
    """HTTP being served on a socket; made by `start`.

    Parameters
    ----------
    server
        What listens.
    connections
        Those that are open.
    """

    def __init__(self, server: asyncio.Server, connections: Connections) -> None:
        self._server = server
        self._connections = connections

    async def close(self, grace_seconds: float) -> None:
        """Take no new work, let what has begun end within the time given, then drop the rest."""
        self._server.close()
        await self._connections.close(grace_seconds)


def is_control(sock: socket.socket, settings: HttpSettings) -> bool:
    """Tell whether a socket is the one whose clients need no password.

    It is a UNIX socket at the path of `http.control`, which is relative to a directory that is
    not known here, and none of the places of `http.listen`.
    """
    if sock.family != socket.AF_UNIX or not settings.control:
        return False
    name = sock.getsockname()
    if not isinstance(name, str) or not name or name in settings.listen.split():
        return False
    wanted = Path(settings.control).parts
    return Path(name).parts[-len(wanted) :] == wanted


async def start(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve HTTP on a socket that is bound and listening."""
    return await _start(service, sock, settings, None, is_control(sock, settings.http))


async def start_untrusted(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve HTTP where teaching needs the password, whatever the socket is called."""
    return await _start(service, sock, settings, None, is_trusted=False)


async def start_encrypted(service: Service, sock: socket.socket, settings: Settings) -> Face:
    """Serve HTTPS; as `start`, and raises as `server_context`."""
    return await _start(service, sock, settings, server_context(settings.tls), is_trusted=False)


async def _start(
    service: Service,
    sock: socket.socket,
    settings: Settings,
    context: ssl.SSLContext | None,
    is_trusted: bool,  # noqa: FBT001 - private
) -> Face:
    connections = Connections(settings)
    scanner = Scanner(service, settings)
    limit = settings.mail.max_message_bytes
    desk = Desk(
        service=service,
        scanner=scanner,
        gate=Gate(settings.http.password_hash, settings.http.max_failures),
        room=connections.room,
        limit=limit,
        is_trusted=is_trusted,
        began=time.time(),
    )
    routes = RANKING_HANDLERS if getattr(service, "ranker", None) is not None else []
    config = Config(
        HearsOut(build_app(desk, routes)),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=max(1, round(settings.serve.idle_seconds)),
    )
    config.load()
    state = ServerState()
    house = House(scanner, connections, limit, lambda: _Rest(config, state, connections))
    server = await listening(lambda: Door(house), sock, context)
    return HttpFace(server, connections)
