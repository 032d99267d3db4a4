"""The HTTP face in a thread, over TCP and on a control socket."""

import asyncio
import http.client
import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mtspam.config import ModelSettings, ServeSettings, Settings
from mtspam.serve.counters import Counters
from mtspam.serve.http.passwords import hash_password
from mtspam.serve.http.server import start
from mtspam.serve.local import open_local_service
from mtspam.serve.rerank.ranker import Ranker
from mtspam.serve.rerank.thread import RankerThread

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
PASSWORD = "open sesame"
HASHED = hash_password(PASSWORD)
PILLS = (
    b"From: deals@pills.invalid\r\nSubject: cheap pills\r\nMessage-ID: <1@example.org>\r\n\r\n"
    b"Buy cheap pills now, the best price of the year\r\n"
)
LUNCH = (
    b"From: ana@example.org\r\nSubject: lunch\r\nMessage-ID: <2@example.org>\r\n\r\n"
    b"Shall we have lunch on Friday at the usual place?\r\n"
)
NEWS = b"From: news@letters.example\r\nSubject: issue 7\r\n\r\nThis week: birch and cedar\r\n"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Running:
    """A face that is listening: over TCP on `port`, over the control socket at `path`."""

    port: int
    path: Path
    service: object = None
    faces: list = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None
    ranker_thread: RankerThread | None = None

    def ask(self, method, target, body=None, headers=None, *, is_control=False):
        """Ask by a client of the standard library."""
        client = (
            _UnixConnection(self.path)
            if is_control
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        )
        try:
            client.request(method, target, body, headers or {})
            answer = client.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            client.close()

    def post(self, target, body=b"", headers=None):
        return self.ask("POST", target, body, headers)

    def control(self, target, body=b"", headers=None):
        return self.ask("POST", target, body, headers, is_control=True)

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


def everything(client):
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def request(target, body=b"", headers=None, method="POST"):
    """The bytes of a request."""
    fields = {"Host": "localhost", "Content-Length": len(body), **(headers or {})}
    lines = [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    return head.encode() + body


def settings_with(**sections):
    """Settings of a small model with a password, with some changed, by section."""
    sections["http"] = {"password_hash": HASHED, "max_failures": 1_000, **sections.get("http", {})}
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
    path = folder / settings.http.control
    listening = [socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX)]
    listening[0].bind(("127.0.0.1", 0))
    listening[1].bind(str(path))
    for one in listening:
        one.listen()
    ready = threading.Event()
    running = Running(listening[0].getsockname()[1], path)
    failures, stops = [], []

    async def main():
        stop = asyncio.Event()
        with open_local_service(folder / "state", settings, Counters(1)) as service:
            running.service = wrap(service)
            await _serve(running.service, settings, listening, running)
            stops.append(lambda: running.loop.call_soon_threadsafe(stop.set))
            ready.set()
            await stop.wait()
            for face in running.faces:
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
    assert ready.wait(SECONDS)
    if failures:
        raise failures[0]
    try:
        yield running
    finally:
        stops[0]()
        thread.join(SECONDS)
        path.unlink(missing_ok=True)
    if failures:
        raise failures[0]


@contextmanager
def ranking(folder, settings=None):
    """A face that ranks, over a state of its own."""
    settings = settings or settings_with(ranking={"residual_bits": 12})
    threads = []

    def with_ranker(service):
        threads.append(RankerThread(folder / "state", settings))
        service.ranker = Ranker(threads[0], service.counters)
        return service

    try:
        with serving(folder, settings, with_ranker) as running:
            running.ranker_thread = threads[0]
            yield running
    finally:
        for thread in threads:
            thread.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A service that has learnt what is spam and what is ham."""
    with serving(tmp_path_factory.mktemp("http")) as it:
        it.control("/learnspam", PILLS)
        it.control("/learnham", LUNCH)
        yield it
