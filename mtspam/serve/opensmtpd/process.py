"""The filter process: OpenSMTPD writes to its standard input and reads from its standard output.

It never ends before its input does, since OpenSMTPD ends with a filter that does.
"""

import asyncio
import logging
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO

from mtspam.serve.contract import Envelope
from mtspam.serve.opensmtpd.message import Decision
from mtspam.serve.opensmtpd.session import Filter, Submitted

__all__ = ["Decide", "run_filter"]

Decide = Callable[[bytes, Envelope], Awaitable[Decision]]

_READ_BYTES = 65_536
_WRITE_BYTES = 65_536
_MAX_LINE_BYTES = 1_048_576
"""Of a longer line, which OpenSMTPD never sends, the rest is left out."""

_log = logging.getLogger(__name__)


async def run_filter(
    state: Filter,
    decide: Decide,
    on_failure: Decision,
    streams: tuple[BinaryIO, BinaryIO] | None = None,
) -> None:
    """Filter until the input ends.

    Parameters
    ----------
    state
        Knows the connections.
    decide
        Judges a message; may raise what it likes.
    on_failure
        What becomes of a message if it does.
    streams
        Input and output, each a pipe or a socket; None: the standard ones.
    """
    source, target = streams or (sys.stdin.buffer, sys.stdout.buffer)
    reader, writer = await _connect(source, target)
    tasks: set[asyncio.Task[None]] = set()
    async for line in _lines(reader):
        try:
            said = state.take(line)
        except Exception:  # noqa: BLE001 - the edge: without an end of this process no end of smtpd
            _log.exception("opensmtpd: a line was not understood")
            continue
        if isinstance(said, Submitted):
            task = asyncio.create_task(_judge(state, said, (decide, on_failure), writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        elif said:
            writer.write(said)
            if len(said) > _WRITE_BYTES:
                await writer.drain()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    writer.close()


async def _connect(
    source: BinaryIO, target: BinaryIO
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if stat.S_ISSOCK(os.fstat(source.fileno()).st_mode):
        # OpenSMTPD gives one socket for both directions; a transport for writing alone would take
        # what comes in for a sign that the other side has gone.
        both = socket.socket(fileno=os.dup(source.fileno()))
        return await asyncio.open_unix_connection(sock=both, limit=2 * _READ_BYTES)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2 * _READ_BYTES)
    # Copies, since a transport closes what it is given.
    own_source = os.fdopen(os.dup(source.fileno()), "rb")
    own_target = os.fdopen(os.dup(target.fileno()), "wb")
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), own_source)
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, own_target
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines without their ends, each of a bounded length."""
    begun = b""
    while data := await reader.read(_READ_BYTES):
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield (begun + line)[:_MAX_LINE_BYTES]
            begun = b""
        if len(begun) < _MAX_LINE_BYTES:
            begun += rest


async def _judge(
    state: Filter,
    submitted: Submitted,
    how: tuple[Decide, Decision],
    writer: asyncio.StreamWriter,
) -> None:
    decide, decision = how
    try:
        decision = await decide(submitted.raw, submitted.envelope)
    except Exception as error:  # noqa: BLE001 - the edge: whatever went wrong, mail goes on
        _log.warning("opensmtpd: a message was not judged: %s", error or type(error).__name__)
    pieces: list[bytes] = []
    n_bytes = 0
    for line in state.answer(submitted, decision):
        pieces.append(line)
        n_bytes += len(line)
        if n_bytes > _WRITE_BYTES:
            writer.write(b"".join(pieces))
            pieces, n_bytes = [], 0
            await writer.drain()
    writer.write(b"".join(pieces))
