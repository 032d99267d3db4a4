"""The HTTP face in a thread, over TCP and on a control socket."""

import http.client
import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from mtspam.serve.counters import Counters
from mtspam.serve.http.passwords import hash_password
from mtspam.serve.http.server import start
from mtspam.serve.local import open_local_service
from mtspam.serve.rerank.ranker import Ranker
from mtspam.serve.rerank.thread import RankerThread
from tests.serve import local_service
from tests.serve.local_service import SECONDS, Listening, serving_faces

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
class Running(Listening):
    """A face of HTTP, whose UNIX socket is the control socket."""

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


def request(target, body=b"", headers=None, method="POST"):
    """The bytes of a request."""
    fields = {"Host": "localhost", "Content-Length": len(body), **(headers or {})}
    lines = [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    return head.encode() + body


def settings_with(**sections):
    """Settings of a small model with a password, with some changed, by section."""
    sections["http"] = {"password_hash": HASHED, "max_failures": 1_000, **sections.get("http", {})}
    return local_service.settings_with(**sections)


@contextmanager
def serving(folder, settings=None, wrap=lambda service: service):
    """Serve from a state directory within `folder` until the block ends."""
    settings = settings or settings_with()
    running = Running(0, folder / settings.http.control)
    opened = open_local_service(folder / "state", settings, Counters(1))
    with serving_faces(running, partial(start, settings=settings), opened, wrap):
        yield running


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
