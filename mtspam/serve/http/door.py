"""Every connection of the face begins here: scans are answered at once, the rest goes to uvicorn.

Judging a message takes about as long as a framework needs to find out who is asked, so what is
asked for each message does without one.
"""

import asyncio
import logging
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Protocol, cast

from mtspam.serve.http.arrivals import HttpReader, hot_target
from mtspam.serve.http.connections import LINGER_SECONDS, Connection, Connections
from mtspam.serve.http.lines import (
    LineReader,
    error_lines,
    is_line_request,
    is_scan,
    line_envelope,
    passing_lines,
    ruling_lines,
)
from mtspam.serve.http.messages import Answer, Arrived, RefusedError, json_answer
from mtspam.serve.http.scanning import SCAN_PATHS, Scanner, log_failure

__all__ = ["SERVER_NAME", "Door", "House", "Rest", "date_now"]

_log = logging.getLogger(__name__)

SERVER_NAME = "mtspam"
_MAX_LINE_BYTES = 8_192
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_BUSY = json_answer({"error": "too many connections, or too much is arriving"}, 503)


def date_now() -> str:
    """Return the time as HTTP writes it; made once a second."""
    return _date(int(time()))


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _http_bytes(answer: Answer, *, keeps_alive: bool) -> bytes:
    """Return an answer as it goes over the wire."""
    connection = b"keep-alive" if keeps_alive else b"close"
    head = (
        f"Server: {SERVER_NAME}\r\nDate: {date_now()}\r\nContent-Length: {len(answer.body)}\r\n"
        f"Content-Type: {answer.media_type}\r\n\r\n"
    )
    return b"".join(
        (
            _STATUS_LINES[answer.status],
            b"Connection: ",
            connection,
            b"\r\n",
            head.encode("ascii"),
            answer.body,
        )
    )


class House:
    """What the connections of one face share.

    Parameters
    ----------
    scanner
        Answers scans.
    connections
        Those that are open.
    limit
        The most bytes of a message.
    new_rest
        Makes the protocol that takes over whatever is no scan.
    """

    def __init__(
        self,
        scanner: Scanner,
        connections: Connections,
        limit: int,
        new_rest: "Callable[[], Rest]",
    ) -> None:
        self.scanner = scanner
        self.connections = connections
        self.limit = limit
        self.new_rest = new_rest


class Rest(Connection, Protocol):
    """What can take over a connection from the door."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take it over."""
        ...

    def data_received(self, data: bytes) -> None:
        """Take bytes, those first that have arrived already."""
        ...


class Door(asyncio.Protocol):
    """One connection: finds out by its first bytes what it speaks.

    Parameters
    ----------
    house
        What it shares with the others.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._transport: asyncio.Transport
        self._buffer = b""
        self._reader: HttpReader | LineReader | None = None
        self._is_lines = False
        self._first_line = b""
        self._n_taken = 0
        self._is_over = False
        self._is_stopping = False
        self.last_seen = house.connections.now()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._house.connections.enter(self):
            self._refuse(_BUSY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what the connection held."""
        self._give_back()
        self._is_over = True
        self._house.connections.leave(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.last_seen = self._house.connections.now()
        if self._is_over:
            return  # the answer has been given; what is still coming is thrown away
        if self._reader is None:
            data = self._buffer + data if self._buffer else data
            if not self._choose(data):
                return
        self._feed(data)

    def eof_received(self) -> bool:
        """Take the end of the client's side; the answer may still be on its way."""
        if self._reader is not None and not self._is_over:
            request = self._reader.end()
            if request is not None:
                self._answer(request)
        return False

    def resume_writing(self) -> None:
        """Note that the client takes its answer."""
        self.last_seen = self._house.connections.now()

    # What the table of connections calls.

    def give_up(self) -> None:
        """Close at once."""
        self._transport.abort()

    def finish(self) -> bool:
        """Close if nothing is under way, else after the answer."""
        self._is_stopping = True
        if self._reader is None and not self._buffer and not self._is_over:
            self._transport.close()
            return True
        return False

    # The rest is this one's own business.

    def _choose(self, data: bytes) -> bool:
        """Find out what is spoken; False where that is not known yet or not ours."""
        end = data.find(b"\n")
        if end < 0 and len(data) <= _MAX_LINE_BYTES:
            self._buffer = data
            return False
        self._buffer = b""
        line = data[: max(end, 0)].rstrip(b"\r")
        if hot_target(line, SCAN_PATHS):
            self._is_lines = False
            self._reader = HttpReader(self._house.limit)
        elif is_line_request(line):
            self._is_lines, self._first_line = True, line
            self._reader = LineReader(self._house.limit)
        else:
            self._hand_over(data)
            return False
        return True

    def _hand_over(self, data: bytes) -> None:
        rest = self._house.new_rest()
        self._house.connections.replace(self, rest)
        # Stands in for the whole of a protocol: only what is called here is declared.
        self._transport.set_protocol(cast("asyncio.Protocol", rest))
        rest.connection_made(self._transport)
        rest.data_received(data)
        if self._is_stopping:
            rest.finish()

    def _feed(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            return
        try:
            request = reader.feed(data)
        except RefusedError as refusal:
            self._refuse(refusal.answer())
            return
        if request is not None:
            self._answer(request)
            return
        if not self._take_room(reader.n_buffered):
            self._refuse(_BUSY)
        elif reader.wants_continue:
            reader.wants_continue = False
            self._transport.write(_CONTINUE)

    def _take_room(self, n_bytes: int) -> bool:
        more = n_bytes - self._n_taken
        if more > 0:
            if not self._house.connections.room.take(more):
                return False
            self._n_taken = n_bytes
        return True

    def _give_back(self) -> None:
        if self._n_taken:
            self._house.connections.room.give_back(self._n_taken)
            self._n_taken = 0

    def _answer(self, request: Arrived) -> None:
        if self._is_lines:
            self._transport.write(self._lines_for(request))
            self._close()
            return
        keeps_alive = (
            request.keeps_alive
            and not self._is_stopping
            and self._reader is not None
            and not self._reader.is_pipelined
        )
        answer = self._house.scanner.answer(request)
        self._give_back()
        self._transport.write(_http_bytes(answer, keeps_alive=keeps_alive))
        if keeps_alive:
            self._reader = None
        else:
            self._close()

    def _lines_for(self, request: Arrived) -> bytes:
        if not is_scan(request):
            return b""
        scanner = self._house.scanner
        try:
            ruling = scanner.rule_for(request.body, line_envelope(request))
            return ruling_lines(request, ruling)
        except Exception as problem:  # noqa: BLE001 - the protocol's edge: every request gets an answer
            log_failure(problem)
            if scanner.passes_on_failure:
                return passing_lines(request, scanner.required)
            return error_lines(request.target)

    def _refuse(self, answer: Answer) -> None:
        """Answer before the request is complete, and let the client read that."""
        if self._is_lines:
            self._transport.write(error_lines(self._first_line))
        else:
            self._transport.write(_http_bytes(answer, keeps_alive=False))
        self._give_back()
        self._reader = None
        self._is_over = True
        # To close with bytes unread would take the answer back: the client may never see it.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)

    def _close(self) -> None:
        self._is_over = True
        self._give_back()
        self._transport.close()
