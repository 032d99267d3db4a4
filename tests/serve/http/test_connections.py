import socket
import threading
import time
import tracemalloc
from functools import partial

import pytest

from mtspam.config import HttpSettings
from mtspam.serve.counters import Counters
from mtspam.serve.faces import start_face
from mtspam.serve.http.arrivals import HttpReader
from mtspam.serve.http.server import is_control
from mtspam.serve.limits import connection_limit
from mtspam.serve.local import open_local_service
from tests.serve.http.conftest import PILLS, Running, request, serving, settings_with
from tests.serve.local_service import SECONDS, everything, serving_faces

PARTS = [
    pytest.param(b"POST /check", id="no line yet"),
    pytest.param(request("/checkv2", PILLS)[:-9], id="half a scan"),
    pytest.param(request("/learnspam", PILLS)[:-9], id="half a label"),
    pytest.param(b"CHECK RSPAMC/1.3\r\nContent-length: 99\r\n\r\nabc", id="half a line request"),
    pytest.param(b"", id="nothing"),
]
NO_LENGTHS = [b"99" * 9_000, b"9" * 19, b"-1", b"x"]


def wait_until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_listening(running):
    try:
        running.connect().close()
    except OSError:
        return False
    return True


def is_closed(client):
    """Whether the server closes a connection, with or without a word."""
    try:
        return everything(client).partition(b"\r\n")[0] in (
            b"",
            b"HTTP/1.1 503 Service Unavailable",
        )
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("part", PARTS)
def test_a_connection_that_does_nothing_is_closed(tmp_path, part):
    with serving(tmp_path, settings_with(serve={"idle_seconds": 1.0})) as running:
        with running.connect() as client:
            client.sendall(part)
            assert is_closed(client)
        assert running.post("/checkv2", PILLS).status == 200


@pytest.mark.parametrize("length", NO_LENGTHS)
def test_a_length_that_is_none_gets_an_answer(running, length):
    head = b"CHECK RSPAMC/1.3\r\nContent-length: " + length + b"\r\n\r\nabc"
    assert running.exchange(head).startswith(b"RSPAMD/1.3 75 EX_TEMPFAIL")
    head = b"POST /checkv2 HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\nabc"
    assert running.exchange(head).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


def test_a_body_in_tiny_pieces_takes_no_more_room_than_it_has_bytes():
    n_bytes = 400_000
    reader = HttpReader(n_bytes)
    reader.feed(b"POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    pieces = b"2\r\nab\r\n" * 1_000
    tracemalloc.start()
    try:
        for _ in range(n_bytes // 2_000):
            assert reader.feed(pieces) is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * n_bytes
    assert reader.feed(b"0\r\n\r\n").body == b"ab" * (n_bytes // 2)


def test_a_connection_that_goes_on_is_not_idle(tmp_path):
    # Long against a pause that a busy machine makes between two bytes.
    with serving(tmp_path, settings_with(serve={"idle_seconds": 3.0})) as running:
        data = request("/checkv2", PILLS)
        with running.connect() as client:
            end = time.monotonic() + 4.5
            while time.monotonic() < end:
                client.sendall(data[:1])
                data = data[1:]
                time.sleep(0.1)
            client.sendall(data)
            assert everything(client).startswith(b"HTTP/1.1 200")


def test_more_connections_than_allowed_are_turned_away(tmp_path):
    most = 3
    taken = connection_limit(most).n_open
    settings = settings_with(serve={"max_connections": taken + most})
    with serving(tmp_path, settings) as running:
        held = [running.connect() for _ in range(most)]
        for one in held:
            one.sendall(b"GET /ping HTTP/1.1\r\nConnection: keep-alive\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"
        refused = running.ask("GET", "/ping")
        assert refused.status == 503
        assert "too many connections" in refused.json["error"]
        for one in held:
            one.close()
        wait_until(lambda: running.ask("GET", "/ping").status == 200)
        assert running.post("/checkv2", PILLS).status == 200
    assert connection_limit(most).n_open == taken


@pytest.mark.parametrize("target", ["/checkv2", "/v1/judge"])
def test_what_finds_no_room_is_turned_away(tmp_path, target):
    settings = settings_with(http={"buffer_bytes": 1_000_000})
    with serving(tmp_path, settings) as running:
        begun = request(target, bytes(900_000))
        other = bytes(900_000)  # its last piece needs no room: it is answered as it arrives
        with running.connect() as client:
            client.sendall(begun[:-300_000])
            # Were the other one to arrive first, this one would find no room.
            wait_until(lambda: _n_bytes_left(running) == 400_000)
            assert running.post(target, other).status == 503
            assert running.post(target, PILLS).status == 200
            client.sendall(begun[-300_000:])
            assert everything(client).startswith(b"HTTP/1.1 200")
        assert running.post(target, other).status == 200


@pytest.mark.parametrize("target", ["/checkv2", "/v1/judge"])
def test_a_face_that_closes_lets_a_request_end(tmp_path, target):
    with serving(tmp_path) as running:
        data = request(target, PILLS)
        with running.connect() as client, running.connect() as idle:
            client.sendall(data[:-9])
            wait_until(lambda: _n_open(running) == 2)
            closing = threading.Thread(
                target=lambda: [running.in_loop(face.close(SECONDS)) for face in running.faces]
            )
            closing.start()
            assert is_closed(idle)
            wait_until(lambda: not is_listening(running))
            client.sendall(data[-9:])
            assert everything(client).startswith(b"HTTP/1.1 200")
            closing.join(SECONDS)
            assert not closing.is_alive()


def test_a_face_that_closes_waits_no_longer_than_it_is_told(tmp_path):
    with serving(tmp_path) as running, running.connect() as client:
        client.sendall(request("/checkv2", PILLS)[:-9])
        wait_until(lambda: _n_open(running) == 1)
        running.in_loop(running.faces[0].close(0.1))
        assert is_closed(client)


def _n_bytes_left(running):
    return running.faces[0]._connections.room._left


def _n_open(running):
    return len(running.faces[0]._connections._open)


@pytest.mark.parametrize(
    ("name", "listen", "expected"),
    [
        ("mtspam.sock", "", True),
        ("mtspam.sock", "{place}", False),
        ("other.sock", "", False),
        ("not-mtspam.sock", "", False),
    ],
)
def test_trust_comes_from_the_socket(tmp_path, name, listen, expected):
    place = str(tmp_path / name)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(place)
        settings = HttpSettings(listen=listen.format(place=place))
        assert is_control(sock, settings) is expected
        assert not is_control(sock, HttpSettings(control=""))


@pytest.mark.parametrize(("name", "status"), [("http", 401), ("control", 200)])
def test_who_is_trusted_is_said_by_the_face_where_systemd_says_the_path(tmp_path, name, status):
    settings = settings_with()
    running = Running(0, tmp_path / settings.http.control)
    opened = open_local_service(tmp_path / "state", settings, Counters(1))
    with serving_faces(running, partial(start_face, name, settings=settings), opened):
        assert running.control("/learnspam", PILLS).status == status
        assert running.post("/learnspam", PILLS).status == 401


def test_no_tcp_socket_is_trusted():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert not is_control(sock, HttpSettings())
