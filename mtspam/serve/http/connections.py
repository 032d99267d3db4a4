"""The open connections of one face: how many, how idle, and how much they hold."""

import asyncio
from typing import Protocol

from mtspam.config import Settings
from mtspam.serve.gathering import LISTENING_SECONDS
from mtspam.serve.limits import connection_limit

__all__ = ["LINGER_SECONDS", "Connection", "Connections", "Room"]

LINGER_SECONDS = 5.0
"""How long a client whose request was refused may go on sending before it is cut off."""

_CHECKS_IN_IDLE_TIME = 8
_MOST_SECONDS_BETWEEN_CHECKS = 5.0


class Connection(Protocol):
    """An open connection, as far as it is watched."""

    last_seen: float

    def give_up(self) -> None:
        """Close at once."""
        ...

    def finish(self) -> bool:
        """Close if nothing is under way; tell whether it was closed."""
        ...


class Room:
    """Bytes that requests which are still arriving may take together.

    Examples
    --------
    >>> room = Room(10)
    >>> room.take(8), room.take(8)
    (True, False)
    >>> room.give_back(8)
    >>> room.take(8)
    True
    """

    def __init__(self, n_bytes: int) -> None:
        self._left = n_bytes

    def take(self, n_bytes: int) -> bool:
        """Take room; False where there is not enough, nothing is taken then."""
        if n_bytes > self._left:
            return False
        self._left -= n_bytes
        return True

    def give_back(self, n_bytes: int) -> None:
        """Give back what was taken."""
        self._left += n_bytes


class Connections:
    """Lets connections in and closes those that do nothing.

    Parameters
    ----------
    settings
        Limits of number, time and size.
    """

    def __init__(self, settings: Settings) -> None:
        self._limit = connection_limit(settings.serve.max_connections)
        self._idle_seconds = settings.serve.idle_seconds
        self._open: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self.room = Room(settings.http.buffer_bytes)
        self._empty = asyncio.Event()
        self._empty.set()
        self._pause = min(self._idle_seconds / _CHECKS_IN_IDLE_TIME, _MOST_SECONDS_BETWEEN_CHECKS)
        self._check = self._loop.call_later(self._pause, self._close_idle)

    def now(self) -> float:
        """Return the time by which idleness is measured."""
        return self._loop.time()

    def enter(self, connection: Connection) -> bool:
        """Let a connection in; False: there are too many."""
        if not self._limit.enter():
            return False
        self._open.add(connection)
        self._empty.clear()
        return True

    def replace(self, old: Connection, new: Connection) -> None:
        """Let one object take over the connection of another."""
        self._open.discard(old)
        self._open.add(new)

    def leave(self, connection: Connection) -> None:
        """Count out a connection that is closed."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._limit.leave()
        if not self._open:
            self._empty.set()

    def _close_idle(self) -> None:
        oldest = self.now() - self._idle_seconds
        for connection in [one for one in self._open if one.last_seen < oldest]:
            connection.give_up()
        self._check = self._loop.call_later(self._pause, self._close_idle)

    async def close(self, grace_seconds: float) -> None:
        """Let each connection end what it has begun, for a time; then close all."""
        self._check.cancel()
        if self._open:
            await asyncio.sleep(min(LISTENING_SECONDS, grace_seconds))
        for connection in list(self._open):
            connection.finish()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._open):
                connection.give_up()
