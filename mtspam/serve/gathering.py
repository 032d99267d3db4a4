"""A listening socket whose connections are protocols of asyncio, and how they come to an end."""

import asyncio
import logging
import socket
import ssl
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from mtspam.serve.halfclosing import HalfClosing
from mtspam.serve.limits import connection_limit

__all__ = ["LISTENING_SECONDS", "Gathering", "Guest"]

LISTENING_SECONDS = 0.2
"""How long those who have said nothing may stay: who was just let in may have asked already, and
to close with bytes unread would reset the connection."""

_log = logging.getLogger(__name__)


class Guest(Protocol):
    """A connection, as far as its face is concerned with it."""

    def leave_if_idle(self) -> None:
        """Close if nothing is under way."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


G = TypeVar("G", bound=Guest)


class Gathering(ABC, Generic[G]):
    """A face that serves each connection by a protocol object.

    Parameters
    ----------
    name
        For logs.
    most
        Connections that this process may hold open.
    """

    def __init__(self, name: str, most: int) -> None:
        self.limit = connection_limit(most)
        self.loop = asyncio.get_running_loop()
        self.connections: set[G] = set()
        self._name = name
        self._server: asyncio.Server | None = None
        self._is_empty = asyncio.Event()
        self._is_closing = False

    @abstractmethod
    def protocol(self) -> asyncio.Protocol:
        """Return what serves a new connection."""

    async def listen(self, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Begin to take connections, encrypted ones where there is a context."""

        def encrypted() -> asyncio.Protocol:
            return self.protocol() if context is None else HalfClosing(self.protocol(), context)

        self._server = await self.loop.create_server(encrypted, sock=sock)

    def left(self, connection: G) -> None:
        """Take note that a connection is gone."""
        self.connections.discard(connection)
        if self._is_closing and not self.connections:
            self._is_empty.set()

    async def close(self, grace_seconds: float) -> None:
        """Take no new work, let what has begun end within the time given, then drop the rest."""
        self._is_closing = True
        if self._server is not None:
            self._server.close()
        if self.connections:
            await asyncio.sleep(min(LISTENING_SECONDS, grace_seconds))
        for connection in tuple(self.connections):
            connection.leave_if_idle()
        if self.connections:
            try:
                await asyncio.wait_for(self._is_empty.wait(), grace_seconds)
            except TimeoutError:
                n_left = len(self.connections)
                _log.warning("%s: dropped connections", self._name, extra={"n": n_left})
        for connection in tuple(self.connections):
            connection.abort()
