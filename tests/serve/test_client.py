import json
import socket
import threading
import tomllib
from pathlib import Path

import pytest

from mtspam.config import HttpSettings, MailSettings
from mtspam.errors import ConfigError, DataError, ServiceError
from mtspam.serve.client import (
    DEFAULT_CONTROL,
    DEFAULT_MAX_BYTES,
    RefusedError,
    ServiceClient,
    control_socket,
    setting_in,
)
from tests.serve.local_service import ANA, PILLS, control_service, settings_with


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with control_service(tmp_path_factory.mktemp("state"), settings_with()) as path:
        yield ServiceClient(path)


def test_what_is_known_without_the_settings_is_what_they_say():
    assert HttpSettings().control == DEFAULT_CONTROL
    assert MailSettings().max_message_bytes == DEFAULT_MAX_BYTES


def test_a_label_is_given_shows_and_is_taken_back(client):
    first = client.judge(PILLS, user=ANA)
    assert client.learn(PILLS, "spam", user=ANA) == {"outcome": "new", "id": first["id"]}
    assert client.learn(first["id"], "spam", user=ANA)["outcome"] == "same"
    assert client.judge(PILLS, user=ANA)["score"] > first["score"]
    assert client.explain(PILLS, user=ANA, limit=2)["reasons"][1]
    assert client.unlearn(first["id"], user=ANA)["outcome"] == "removed"
    assert client.unlearn(PILLS, user=ANA)["outcome"] == "unknown"
    assert client.judge(PILLS, user=ANA) == first


def test_judgements_hold_all_that_filter_needs(client):
    reply = client.judge(PILLS, user="ana@example.org & co?", sender="a@b.example")
    assert {"verdict", "action", "points", "required", "fields", "levels"} <= set(reply)
    assert dict(reply["fields"])["X-Mtspam-Id"] == reply["id"]


def test_what_the_service_refuses_is_told(client):
    with pytest.raises(RefusedError, match="the service says: "):
        client.learn(PILLS, "perhaps")
    with pytest.raises(RefusedError):
        client.learn("no id", "spam")
    assert client.status()


def test_where_there_is_no_service(tmp_path):
    client = ServiceClient(tmp_path / "mtspam.sock")
    with pytest.raises(ServiceError, match=r"mtspam\.sock .*start it with `mtspam serve`"):
        client.status()
    with pytest.raises(ServiceError, match="too long"):
        ServiceClient(tmp_path / ("x" * 200)).status()


@pytest.fixture
def peer(tmp_path):
    """Something on a socket that answers any request with some bytes, or not at all."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    threads = []

    def answering(reply, *, is_silent=False):
        def run():
            peer, _ = listening.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(reply)
                if is_silent:
                    peer.recv(1)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return ServiceClient(tmp_path / "s", timeout_seconds=0.3 if is_silent else 60.0)

    yield answering
    for thread in threads:
        thread.join(20)
    listening.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"hello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nContent-Length: 16\r\n\r\n"
        + json.dumps({"error": "full"}).encode(),
    ],
)
def test_whatever_answers_the_error_is_one_of_ours(peer, reply):
    with pytest.raises(ServiceError) as caught:
        peer(reply).status()
    assert not isinstance(caught.value, RefusedError)


def test_who_answers_nothing_is_not_waited_for(peer):
    with pytest.raises(ServiceError, match="timed out"):
        peer(b"HTTP/1.1 200 OK\r\n", is_silent=True).status()


def test_the_socket_is_where_the_settings_say(tmp_path):
    config = tmp_path / "c.toml"
    assert control_socket(Path("/state"), None) == Path("/state/mtspam.sock")
    config.write_text('[http]\ncontrol = "/run/m.sock"\n[mail]\nmax_message_bytes = 5\n')
    assert control_socket(Path("/state"), str(config)) == Path("/run/m.sock")
    assert setting_in(str(config), "mail", "max_message_bytes") == 5
    assert setting_in(str(config), "mail", "max_parts") is None
    config.write_text('[http]\ncontrol = ""\n')
    with pytest.raises(DataError, match=r"http\.control is empty"):
        control_socket(Path("/state"), str(config))


@pytest.mark.parametrize("text", [b"[http", b"\xff"])
def test_settings_that_cannot_be_read(tmp_path, text):
    config = tmp_path / "c.toml"
    config.write_bytes(text)
    with pytest.raises((tomllib.TOMLDecodeError, UnicodeDecodeError)):
        tomllib.loads(text.decode())
    with pytest.raises(ConfigError, match=r"c\.toml: not TOML"):
        control_socket(Path("/state"), str(config))
    with pytest.raises(ConfigError, match="No such file"):
        setting_in(str(tmp_path / "none"), "http", "control")


def test_the_client_is_quick_to_import(tmp_path):
    """What takes a second to import is not needed to ask."""
    import subprocess
    import sys

    code = (
        "import sys, mtspam.serve.client, mtspam.serve.fields, mtspam.serve.watch.watcher;"
        "print([name for name in ('numpy', 'numba', 'polars', 'sqlalchemy', 'asyncio')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
