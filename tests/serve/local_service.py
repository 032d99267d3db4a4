"""A service in a thread of this process, and its HTTP face on the control socket."""

import asyncio
import contextlib
import socket
import threading
from dataclasses import replace

from mtspam.commands.first_run import compile_kernels
from mtspam.config import ModelSettings, Settings
from mtspam.serve.contract import Envelope
from mtspam.serve.http.server import start
from mtspam.serve.local import open_local_service

SECONDS = 120
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
    settings = Settings(model=SMALL)
    changes = {name: replace(getattr(settings, name), **said) for name, said in sections.items()}
    return replace(settings, **changes)


def to(*recipients, sender=None):
    return Envelope(recipients=recipients, sender=sender, protocol="test")


@contextlib.contextmanager
def control_service(state, settings):
    """Serve a state directory on its control socket until the block ends."""
    compile_kernels()  # where nothing was compiled yet, a client would wait too long
    state.mkdir(parents=True, exist_ok=True)
    path = state / settings.http.control
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    ready, failures, stops = threading.Event(), [], []

    async def main():
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        with open_local_service(state, settings) as service:
            face = await start(service, listening, settings)
            ready.set()
            await stop.wait()
            await face.close(5.0)

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
            yield path
    finally:
        if not failures:
            stops[0]()
        thread.join(SECONDS)
        path.unlink(missing_ok=True)
    if failures:
        raise failures[0]
