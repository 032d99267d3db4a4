"""A worker: judges mail and takes labels over all faces, in one thread, without files to write."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import uvloop

from mtspam.config import Settings
from mtspam.journal import Journal
from mtspam.model import Starter
from mtspam.serve.contract import Face
from mtspam.serve.counters import Counters
from mtspam.serve.faces import start_face
from mtspam.serve.limits import allow_descriptors
from mtspam.serve.live import LiveArea, LiveView
from mtspam.serve.lmtp.parcels import Parcels
from mtspam.serve.local import WithJournal
from mtspam.serve.memories import SharedExamples
from mtspam.serve.rerank.ranker import Ranker
from mtspam.serve.rerank.thread import RankerThread
from mtspam.serve.roster import Roster
from mtspam.serve.rulinglog import LoggedService
from mtspam.serve.writerline import WriterClient
from mtspam.spam.state import StateDirectory

__all__ = ["WRITER_SOCKET", "WorkerPlace", "run_worker"]

_log = logging.getLogger(__name__)

WRITER_SOCKET = "writer.sock"
"""Where the writer listens, in the state directory."""

_LOOK_SECONDS = 0.01
_BEAT_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """What a worker inherits.

    Parameters
    ----------
    row, n_rows
        Which worker this is, and of how many.
    directory
        The state.
    settings
        All of them.
    area
        The live model.
    starter
        The starter model, if there is one.
    counters
        Its own row of them.
    roster
        Where it enters itself and gives signs of life.
    parcels
        Mail on its way to the next hop, if there is one.
    sockets
        Bound and listening, each with the name of its face.
    lifeline
        Descriptor that can be read once the supervisor is gone.
    """

    row: int
    n_rows: int
    directory: StateDirectory
    settings: Settings
    area: LiveArea
    starter: Starter | None
    counters: Counters
    roster: Roster
    parcels: Parcels | None
    sockets: list[tuple[str, socket.socket]]
    lifeline: int


def run_worker(place: WorkerPlace, ready: Callable[[], None]) -> None:
    """Be a worker until asked to stop by SIGTERM, or until the supervisor is gone.

    Parameters
    ----------
    place
        What is inherited.
    ready
        Called when all faces answer.

    Raises
    ------
    ConfigError
        Where a file that the settings name does not hold.
    JournalError
        Where the state cannot be read.
    """
    allow_descriptors(place.settings.serve.max_connections)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(place, ready))


async def _work(place: WorkerPlace, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_reader(place.lifeline, _cut_off, loop, place.lifeline, stopping)
    beating = loop.create_task(_beat(place))
    with ExitStack() as exits:
        while place.area.generation == 0:  # the writer is still reading the model
            if stopping.is_set():
                return
            await asyncio.sleep(_LOOK_SECONDS)
        line = WriterClient(place.directory.path / WRITER_SOCKET, place.settings.serve)
        journal = exits.enter_context(Journal.open(place.directory.journal, read_only=True))
        service = _service(place, line, journal)
        thread = exits.enter_context(RankerThread(place.directory.path, place.settings))
        service.ranker = Ranker(thread, service.counters)
        faces: list[Face] = []
        try:
            faces += [
                await start_face(name, service, sock, place.settings)
                for name, sock in place.sockets
            ]
            place.roster.enter(place.row)
            ready()
            thread.begin()
            await stopping.wait()
        finally:
            grace = place.settings.serve.grace_seconds
            closing = [face.close(grace) for face in faces]
            for problem in await asyncio.gather(*closing, return_exceptions=True):
                if problem is not None:
                    _log.error("a face did not close well", exc_info=problem)
            await line.close()
            beating.cancel()


def _cut_off(loop: asyncio.AbstractEventLoop, lifeline: int, stopping: asyncio.Event) -> None:
    loop.remove_reader(lifeline)
    stopping.set()


def _service(place: WorkerPlace, line: WriterClient, journal: Journal) -> LoggedService:
    settings = place.settings
    recent = SharedExamples(
        place.directory.path, place.row, place.n_rows, settings.serve.recent_bytes
    )
    service = LoggedService(
        settings,
        LiveView(place.area, place.directory.secret(), place.starter),
        line,
        WithJournal(recent, journal),
        place.counters,
    )
    service.roster = place.roster
    service.parcels = place.parcels
    return service


async def _beat(place: WorkerPlace) -> None:
    while True:
        place.roster.beat(place.row)
        await asyncio.sleep(_BEAT_SECONDS)
