"""A service in a thread of this process: its loop, its faces, small settings for it."""

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from mtspam.commands.first_run import compile_kernels
from mtspam.config import ModelSettings, ServeSettings, Settings
from mtspam.serve.contract import Envelope
from mtspam.serve.http.server import start
from mtspam.serve.local import open_local_service

SECONDS = 120  # how long anything may take before a test fails
SMALL = ModelSettings(
    shared_bits=14,
    personal_bits=14,
    group_bits=12,
    auxiliary_bits=12,
    max_users=256,
    max_groups=8,
    replay_messages=24,
)
ANA, BOB = "ana@example.org", "bob@example.org"
PILLS = (
    b"From: Deals <deals@pills.invalid>\r\nTo: ana@example.org\r\nSubject: cheap pills\r\n\r\n"
    b"Buy cheap pills now, the best price of the year, order today\r\n"
)
LUNCH = (
    b"From: Bob <bob@example.org>\r\nTo: ana@example.org\r\nSubject: lunch\r\n\r\n"
    b"Shall we have lunch on Friday at noon? The table is booked.\r\n"
)
NEWS = (
    b"From: News <news@letters.example>\r\nList-Id: <news.letters.example>\r\n"
    b"Subject: issue {n}\r\n\r\nWhat is new this week, number {n}: read it all here\r\n"
)


def news(n):
    return NEWS.replace(b"{n}", str(n).encode())


def settings_with(**sections):
    """Settings of a small model, with some changed, by section."""
    settings = Settings(model=SMALL, serve=ServeSettings(idle_seconds=SECONDS))
    changes = {name: replace(getattr(settings, name), **said) for name, said in sections.items()}
    return replace(settings, **changes)


def to(*recipients, sender=None):
    return Envelope(recipients=recipients, sender=sender, protocol="test")


def everything(client):
    """What comes over a socket until the other side shuts it."""
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


@dataclass
class Listening:
    """A face that is listening: over TCP on `port`, on a UNIX socket at `path`."""

    port: int
    path: Path
    service: object = None
    faces: list = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        client.settimeout(SECONDS)
        return client

    def exchange(self, data, *, is_shut=False):
        """Send bytes, return what comes back until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            if is_shut:
                client.shutdown(socket.SHUT_WR)
            return everything(client)

    def in_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS)


@contextlib.contextmanager
def in_thread(serve):
    """Run a service in a thread until the block ends; what goes wrong in it fails the test.

    Parameters
    ----------
    serve
        A coroutine function of two things: what it calls when it is ready, and the event that
        tells it to end.
    """
    ready, failures, stops = threading.Event(), [], []

    async def main():
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        await serve(ready.set, stop)

    def run():
        try:
            asyncio.run(main())
        except BaseException as failure:  # noqa: BLE001 - told to the test that waits
            failures.append(failure)
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert ready.wait(SECONDS)
        if not failures:
            yield
    finally:
        if not failures:
            stops[0]()
        thread.join(SECONDS)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def serving_faces(running, start, opened, wrap=lambda service: service):
    """Serve a face on free sockets until the block ends.

    Parameters
    ----------
    running
        Made of a port and a path, a `Listening`.
    start
        Given the service and a listening socket, starts the face there.
    opened
        Opens the service; a context manager.
    wrap
        What the face is given in place of the service.
    """
    listening = [socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX)]
    listening[0].bind(("127.0.0.1", 0))
    listening[1].bind(str(running.path))
    for one in listening:
        one.listen()
    running.port = listening[0].getsockname()[1]

    async def serve(is_ready, stop):
        running.loop = asyncio.get_running_loop()
        with opened as service:
            running.service = wrap(service)
            running.faces += [await start(running.service, place) for place in listening]
            is_ready()
            await stop.wait()
            for face in running.faces:
                await face.close(5.0)

    try:
        with in_thread(serve):
            yield running
    finally:
        running.path.unlink(missing_ok=True)


@contextlib.contextmanager
def control_service(state, settings):
    """Serve a state directory on its control socket until the block ends."""
    compile_kernels()  # where nothing was compiled yet, a client would wait too long
    state.mkdir(parents=True, exist_ok=True)
    path = state / settings.http.control
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    async def serve(is_ready, stop):
        with open_local_service(state, settings) as service:
            face = await start(service, listening, settings)
            is_ready()
            await stop.wait()
            await face.close(5.0)

    try:
        with in_thread(serve):
            yield path
    finally:
        path.unlink(missing_ok=True)
