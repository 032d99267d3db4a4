"""A worker's line to the writer: changes go out, answers come back, a new writer is told again."""

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

from mtspam.config import ServeSettings
from mtspam.errors import ProtocolError
from mtspam.journal import LabelEvent
from mtspam.ranking.versions import VersionStore
from mtspam.serve.contract import BusyError, Forgotten, LearnOutcome, UnavailableError
from mtspam.serve.parts import Forgetting, Removal
from mtspam.serve.submissions import Answer, Change, Frames, Submission
from mtspam.serve.unixsockets import short_path

__all__ = ["WriterClient"]

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5


@dataclass(slots=True)
class _Pending:
    """A submission without an answer yet."""

    frame: bytes
    answer: asyncio.Future[Answer]
    partial: Answer | None = None


class WriterClient:
    """Hands changes to the writer; implements `parts.LabelSink`.

    What was handed over when a writer died is handed to the next one: the journal takes the same
    label once, so nothing is lost and nothing counts twice.

    Parameters
    ----------
    path
        The writer's socket.
    settings
        How many may wait, and how long.
    """

    def __init__(self, path: Path, settings: ServeSettings) -> None:
        self._path = path
        self._settings = settings
        self._pending: dict[int, _Pending] = {}
        self._number = 0
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def n_waiting(self) -> int:
        """How many changes have no answer yet."""
        return len(self._pending)

    async def label(self, events: tuple[LabelEvent, ...]) -> LearnOutcome:
        """Take one message's label; when this returns it is on the disk.

        Raises
        ------
        BusyError
            Where too many wait already.
        UnavailableError
            Where it cannot be written, or not in time; it may be given again.
        """
        return _outcome(await self._submit(events, self._settings.label_seconds))

    async def remove(self, removal: Removal) -> LearnOutcome:
        """Take a label back; `LearnOutcome.UNKNOWN` where there was none. Raises as `label`."""
        return _outcome(await self._submit(removal, self._settings.label_seconds))

    async def forget(self, forgetting: Forgetting) -> Forgotten:
        """Delete a user's events and fold anew without them; raises as `label`.

        Where the fold takes longer than may be waited for, the answer says so.
        """
        answer = await self._submit(forgetting, self._settings.forget_seconds)
        if answer.outcome is None:
            raise UnavailableError(answer.text)
        versions = tuple(VersionStore.of_state(self._path.parent).names())
        return Forgotten(answer.n_events, answer.is_last, versions)

    async def _submit(self, change: Change | Forgetting, seconds: float) -> Answer:
        most = self._settings.max_queued_labels
        if len(self._pending) >= most:
            raise BusyError(f"{most} labels wait for the writer already; try again later")
        self._number += 1
        number = self._number
        frame = Submission(number, time.monotonic() + seconds, change).encode()
        pending = _Pending(frame, asyncio.get_running_loop().create_future())
        self._pending[number] = pending
        if self._transport is not None:
            self._transport.write(frame)
        elif self._connecting is None:
            self._connect()
        try:
            async with asyncio.timeout(seconds):
                return await pending.answer
        except TimeoutError:
            if pending.partial is not None:
                return pending.partial
            raise UnavailableError(
                f"the writer did not answer within {seconds:g} seconds; give the label again"
            ) from None
        finally:
            del self._pending[number]

    # The connection.

    def _connect(self) -> None:
        self._connecting = asyncio.get_running_loop().create_task(self._try_to_connect())

    async def _try_to_connect(self) -> None:
        loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE_SECONDS
        while not self._is_closed:
            try:
                with short_path(self._path) as path:
                    transport, _ = await loop.create_unix_connection(lambda: _Line(self), path)
            except OSError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            self._connecting = None
            self._transport = transport
            for number in sorted(self._pending):
                transport.write(self._pending[number].frame)
            return

    def take(self, answer: Answer) -> None:
        """Take what the writer says."""
        pending = self._pending.get(answer.number)
        if pending is None or pending.answer.done():
            return
        if pending.partial is not None and answer.outcome is not None:
            # A writer that took over from one that died found nothing more to delete.
            n_events = max(answer.n_events, pending.partial.n_events)
            answer = replace(answer, n_events=n_events)
        if answer.is_last:
            pending.answer.set_result(answer)
        else:
            pending.partial = answer

    def lose(self) -> None:
        """Note that the writer is gone, and look for the next one if somebody waits."""
        self._transport = None
        if not self._is_closed and self._pending:
            self._connect()

    async def close(self) -> None:
        """Let go of the connection; who waits still is told that nobody writes any more."""
        self._is_closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(UnavailableError("the service is stopping"))
        await asyncio.sleep(0)


def _outcome(answer: Answer) -> LearnOutcome:
    if answer.outcome is None:
        raise UnavailableError(answer.text)
    return answer.outcome


class _Line(asyncio.Protocol):
    """The bytes of a connection to the writer."""

    def __init__(self, client: WriterClient) -> None:
        self._client = client
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None

    # uvloop's transports are no `asyncio.Transport`, they only do what one does.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream has no other
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._frames.feed(data)
        try:
            for frame in self._frames:
                self._client.take(Answer.decode(frame))
        except ProtocolError:
            _log.exception("the writer sent what is no answer")
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lose()
