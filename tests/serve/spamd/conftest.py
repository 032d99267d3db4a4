"""A service behind the spamd protocol, in a thread of its own with its own loop."""

import asyncio
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mtspam.config import ModelSettings, ServeSettings, Settings
from mtspam.serve.local import open_local_service
from mtspam.serve.spamd.server import start

SMALL = ModelSettings(
    shared_bits=14,
    personal_bits=14,
    group_bits=12,
    auxiliary_bits=12,
    max_users=256,
    max_groups=8,
    replay_messages=24,
)
SECONDS = 120  # how long anything may take before a test fails

PILLS = b"From: deals@pills.invalid\r\nSubject: cheap pills\r\n\r\nBuy cheap pills now\r\n"
LUNCH = b"From: ana@example.org\r\nSubject: lunch\r\n\r\nShall we have lunch on Friday?\r\n"


@dataclass
class Running:
    """A face that is listening: over TCP on `port`, over UNIX at `path`."""

    port: int
    path: Path
    service: object
    faces: list = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        client.settimeout(SECONDS)
        return client

    def ask(self, data, *, is_shut=True):
        """Send bytes, return what comes back until the server shuts its side."""
        with self.connect() as client:
            client.sendall(data)
            if is_shut:
                client.shutdown(socket.SHUT_WR)
            return everything(client)

    def in_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS)


def everything(client):
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def settings_with(**sections):
    """Settings of a small model, with some changed, by section."""
    settings = Settings(model=SMALL, serve=ServeSettings(idle_seconds=SECONDS))
    changes = {
        name: replace(getattr(settings, name), **values) for name, values in sections.items()
    }
    return replace(settings, **changes)


async def _serve(service, settings, places, running):
    running.loop = asyncio.get_running_loop()
    running.faces += [await start(service, place, settings) for place in places]


@contextmanager
def serving(folder, settings=None, wrap=lambda service: service):
    """Serve from a state directory within `folder` until the block ends."""
    settings = settings or settings_with()
    path = folder / "spamd.sock"
    state = folder / "state"
    if not state.exists():
        state.mkdir()
        (state / "secret").write_bytes(bytes(range(32)))  # so that every run gives the same points
    listening = [socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX)]
    listening[0].bind(("127.0.0.1", 0))
    listening[1].bind(str(path))
    for one in listening:
        one.listen()
    ready, done = threading.Event(), threading.Event()
    running = Running(listening[0].getsockname()[1], path, None)
    failures = []

    async def main():
        stop = asyncio.Event()
        with open_local_service(state, settings) as service:
            running.service = wrap(service)
            await _serve(running.service, settings, listening, running)
            running.stop = lambda: running.loop.call_soon_threadsafe(stop.set)
            ready.set()
            await stop.wait()
            for face in running.faces:
                await face.close(5.0)

    def run():
        try:
            asyncio.run(main(), debug=False)
        except BaseException as failure:  # noqa: BLE001 - told to the test that waits
            failures.append(failure)
        finally:
            ready.set()
            done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(SECONDS)
    if failures:
        raise failures[0]
    try:
        yield running
    finally:
        running.stop()
        done.wait(SECONDS)
        thread.join(SECONDS)
        path.unlink(missing_ok=True)
    if failures:
        raise failures[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A service that has learnt what is spam and what is ham."""
    with serving(
        tmp_path_factory.mktemp("spamd"), settings_with(spamd={"tell_for_everyone": True})
    ) as it:
        for _ in range(3):
            it.ask(tell(PILLS, "spam"))
            it.ask(tell(LUNCH, "ham"))
        yield it


def tell(message, message_class="spam", user=None, where="Set: local"):
    lines = ["TELL SPAMC/1.5", f"Message-class: {message_class}", where]
    if user is not None:
        lines.append(f"User: {user}")
    lines.append(f"Content-length: {len(message)}")
    return "\r\n".join([*lines, "\r\n"]).encode() + message


def scan(command, message, version="1.5", user=None):
    user = "" if user is None else f"User: {user}\r\n"
    head = f"{command} SPAMC/{version}\r\n{user}Content-length: {len(message)}\r\n\r\n"
    if float(version) <= 1.0:
        head = f"{command} SPAMC/{version}\r\n"
    return head.encode() + message
