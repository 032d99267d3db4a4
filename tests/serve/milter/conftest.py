"""A mail server's side of milter: packets made by hand, and a face that listens in a thread."""

import asyncio
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvloop

from mtspam.config import ModelSettings, Settings
from mtspam.serve.contract import Action, Ruling
from mtspam.serve.local import open_local_service
from mtspam.serve.milter.server import start
from mtspam.spam.records import Judgement
from mtspam.types import Label, Verdict

SECONDS = 120  # how long anything may take before a test fails
ALL_ACTIONS, ALL_STEPS = 0x1FF, 0x1FFFFF
SMALL = ModelSettings(
    shared_bits=14, personal_bits=14, group_bits=12, auxiliary_bits=12, max_users=256, max_groups=8
)
PILLS = b"Buy cheap pills now\r\n"
LUNCH = b"Shall we have lunch on Friday?\r\n"


def packet(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


def texts(*parts):
    return b"".join(part + b"\0" for part in parts)


def offer(version=6, actions=ALL_ACTIONS, steps=ALL_STEPS):
    return packet(b"O", struct.pack(">III", version, actions, steps))


def field(name, value):
    """A header field as a mail server sends it that was told to leave the blank."""
    return packet(b"L", texts(name, value))


def macro(command, *parts):
    return packet(b"D", command + texts(*parts))


CONNECT = packet(b"C", texts(b"mx.example.net") + b"4" + struct.pack(">H", 2525) + b"192.0.2.1\0")
HELO = packet(b"H", texts(b"mx.example.net"))
MAIL = packet(b"M", texts(b"<a@example.org>", b"SIZE=400"))
RECIPIENT = packet(b"R", texts(b"<b@example.com>"))
DATA = packet(b"T")
FROM = field(b"From", b" a@example.org")
SUBJECT = field(b"Subject", b" lunch")
END_OF_HEADERS = packet(b"N")
END = packet(b"E")
ABORT = packet(b"A")
QUIT = packet(b"Q")
QUIT_NC = packet(b"K")


def message(body=LUNCH, *fields):
    """All packets of a message, up to its end."""
    header = fields or (FROM, SUBJECT)
    return b"".join((MAIL, RECIPIENT, DATA, *header, END_OF_HEADERS, packet(b"B", body), END))


def split(data):
    """Cut what a filter sent into its packets."""
    packets = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        packets.append((data[4:5], data[5 : 4 + length]))
        data = data[4 + length :]
    return packets


def ruling(action=Action.NO_ACTION, **details):
    judgement = Judgement(
        verdict=Verdict.HAM,
        score=-1.0,
        probability=0.2,
        shared=-1.0,
        group=0.0,
        personal=0.0,
        starter=0.0,
        phishing=None,
        bulk=None,
        id="0" * 32,
        defects=(),
    )
    details = {"recipient": "", "points": 1.0, "required": 5.0, **details}
    return Ruling(judgement=judgement, action=action, **details)


class Mta:
    """A connected mail server."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket.settimeout(SECONDS)

    def send(self, *packets):
        self.socket.sendall(b"".join(packets))

    def receive(self):
        """The next packet; None where the filter has closed."""
        head = self._exactly(4)
        if head is None:
            return None
        data = self._exactly(struct.unpack(">I", head)[0])
        return None if data is None else (data[:1], data[1:])

    def final(self):
        """The changes and the final reply to a message."""
        packets = []
        while not packets or packets[-1][0] not in b"acdrty":
            packets.append(self.receive())
            if packets[-1] is None:
                return packets
        return packets

    def _exactly(self, n_bytes):
        data = b""
        while len(data) < n_bytes:
            try:
                part = self.socket.recv(n_bytes - len(data))
            except ConnectionResetError:
                return None
            if not part:
                return None
            data += part
        return data


class Listening:
    """A face that listens on a port of the loopback address."""

    def __init__(self, port, loop, face, service):
        self.port, self.loop, self.face, self.service = port, loop, face, service
        self._mtas = []

    def connect(self, *packets):
        """Connect, agree on the offer, send further packets."""
        mta = self.connect_silently()
        mta.send(offer(), *packets)
        assert mta.receive()[0] == b"O"
        return mta

    def connect_silently(self):
        self._mtas.append(Mta(self.port))
        return self._mtas[-1]

    def close(self, grace_seconds):
        """Let the face close; returns what says when that is done."""
        return asyncio.run_coroutine_threadsafe(self.face.close(grace_seconds), self.loop)

    def disconnect(self):
        while self._mtas:
            self._mtas.pop().socket.close()


@contextmanager
def listening(folder, *, wrap=lambda service: service, **sections):
    """Listen with a service of a small model; sections of settings are changed by name."""
    settings = Settings(model=SMALL)
    settings = replace(
        settings,
        **{name: replace(getattr(settings, name), **values) for name, values in sections.items()},
    )
    begun, told, failures = threading.Event(), [], []

    async def main():
        with socket.socket() as sock, open_local_service(folder / "state", settings) as service:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            for _ in range(3):
                await service.learn(mail(PILLS), Label.SPAM, user=None, source="test")
                await service.learn(mail(LUNCH), Label.HAM, user=None, source="test")
            face = await start(wrap(service), sock, settings)
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            told.extend((Listening(sock.getsockname()[1], loop, face, service), stop))
            begun.set()
            await stop.wait()
            await face.close(0)

    def run():
        try:
            # The loop that the service's workers have.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        except BaseException as failure:  # noqa: BLE001 - told to the test that waits
            failures.append(failure)
        finally:
            begun.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun.wait(SECONDS)
    if failures:
        raise failures[0]
    face, stop = told
    try:
        yield face
    finally:
        face.disconnect()
        face.loop.call_soon_threadsafe(stop.set)
        thread.join(SECONDS)
    if failures:
        raise failures[0]


def mail(body):
    return b"From: a@example.org\r\nSubject: lunch\r\n\r\n" + body


class Failing:
    """A real service that is down for a while."""

    def __init__(self, service, error, n_times):
        self.service, self.error, self.n_left = service, error, n_times

    def rule_together(self, raw, envelope):
        if self.n_left:
            self.n_left -= 1
            raise self.error
        return self.service.rule_together(raw, envelope)


def failing(error, n_times=1_000_000):
    return lambda service: Failing(service, error, n_times)


@pytest.fixture(scope="module")
def shared_face(tmp_path_factory):
    with listening(tmp_path_factory.mktemp("milter")) as it:
        yield it


@pytest.fixture
def face(shared_face):
    """A face that all tests of a module ask, each over connections of its own."""
    yield shared_face
    shared_face.disconnect()
    wait_until(lambda: not shared_face.face.connections)


def wait_until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
