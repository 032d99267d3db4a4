"""Sockets: places in settings, sockets that are shared, inherited, reloaded; and being told of."""

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from mtspam.errors import ConfigError
from mtspam.serve.contract import UnavailableError
from mtspam.serve.listeners import Listeners, Place, inherited_sockets, parse_places
from mtspam.serve.notify import Notifier
from tests.hosts.processes import free_port
from tests.serve.whole import (
    ENVIRONMENT,
    ROOT,
    SECONDS,
    Whole,
    command,
    config_text,
    pills,
    whole_service,
)


def local(port=0):
    return Place(host="127.0.0.1", port=port)


@pytest.fixture
def listeners():
    opened = Listeners(2, 0o600)
    yield opened
    opened.close()


def port_of(listeners, face):
    (address,) = listeners.addresses()[face]
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", ()),
        ("localhost:1", (Place(host="localhost", port=1),)),
        ("[::1]:783  /run/a.sock", (Place(host="::1", port=783), Place(path="/run/a.sock"))),
        ("0.0.0.0:65535", (Place(host="0.0.0.0", port=65_535),)),
    ],
)
def test_places(text, places):
    assert parse_places(text, "x.listen") == places


@pytest.mark.parametrize(
    "text", ["783", ":783", "host:", "host:70000", "::1:783", "host:x", "h:-1"]
)
def test_what_is_no_place_is_told(text):
    with pytest.raises(ConfigError, match=r"x\.listen has '.*'; a place is HOST:PORT"):
        parse_places(text, "x.listen")


def test_every_worker_has_a_socket_and_every_socket_a_worker(listeners):
    listeners.listen({"spamd": (local(),)})
    for n_rows in (1, 2, 3, 5):
        rows = [listeners.of_row(row, n_rows) for row in range(n_rows)]
        assert all(rows)
        every = {sock.fileno() for row in rows for _, sock in row}
        assert every == {sock.fileno() for _, sock in listeners.of_row(0, 1)}


def test_connections_reach_all_workers(listeners):
    listeners.listen({"spamd": (local(),)})
    clients = [
        socket.create_connection(("127.0.0.1", port_of(listeners, "spamd"))) for _ in range(64)
    ]
    accepted = []
    for _, sock in listeners.of_row(0, 1):
        sock.settimeout(0.0)
        n = 0
        with suppress(BlockingIOError):
            while True:
                sock.accept()[0].close()
                n += 1
        accepted.append(n)
    assert sum(accepted) == 64
    assert min(accepted) > 0
    for client in clients:
        client.close()


def test_a_place_that_is_taken_leaves_all_as_it_was(listeners, tmp_path):
    kept, wanted = {"http": (local(),)}, {"spamd": (Place(path=str(tmp_path / "s")),)}
    listeners.listen(kept)
    before = port_of(listeners, "http")
    # Another service of the same user would share its place, if it were let.
    other = Listeners(2, 0o600)
    with pytest.raises(UnavailableError, match=r"milter\.listen: .*Address already in use"):
        other.listen(wanted | {"milter": (local(before),)})
    assert other.addresses() == {}
    assert not (tmp_path / "s").is_socket() or _is_dead(tmp_path / "s")
    with pytest.raises(UnavailableError, match=r"lmtp\.listen: no\.such\.host"):
        listeners.listen(kept | {"lmtp": (Place(host="no.such.host.invalid", port=1),)})
    assert port_of(listeners, "http") == before
    other.close()


def _is_dead(path):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) != 0


def test_listening_elsewhere_keeps_what_stays(listeners, tmp_path):
    path = tmp_path / "a.sock"
    listeners.listen({"http": (local(),), "spamd": (Place(path=str(path)),)})
    before = listeners.of_row(0, 2)
    listeners.listen({"http": (local(),), "milter": (local(),)})
    assert not path.exists()
    assert dict(before)["http"] is dict(listeners.of_row(0, 2))["http"]
    assert set(listeners.addresses()) == {"http", "milter"}


def test_mode_of_unix_sockets(tmp_path):
    listeners = Listeners(1, 0o640)
    listeners.listen({"spamd": (Place(path=str(tmp_path / "s")),)})
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o640
    assert listeners.paths() == [tmp_path / "s"]
    listeners.close()
    assert not (tmp_path / "s").exists()


def test_sockets_for_others_are_not_taken():
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "spamd", "A": "b"}
    assert inherited_sockets(environment) == {}
    assert environment == {"A": "b"}


def test_an_activated_socket_without_a_name_is_told():
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "unknown"}
    with pytest.raises(ConfigError, match="FileDescriptorName="):
        inherited_sockets(environment)


# As systemd does it: the number of the process that it becomes, and the socket as number 3.
ACTIVATE = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def test_an_activated_socket_for_no_face_is_told(tmp_path):
    (tmp_path / "mtspam.toml").write_text(config_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = subprocess.run(
            [sys.executable, "-c", ACTIVATE, str(listening.fileno()), *command(tmp_path)[1:]],
            env={**ENVIRONMENT, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "mtspam-http.socket"},
            cwd=ROOT,
            pass_fds=[listening.fileno()],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode != 0
    assert "a socket called 'mtspam-http.socket'; FileDescriptorName= must be one " in done.stderr
    assert "Traceback" not in done.stderr


def test_sockets_and_signs_of_life_as_systemd_has_them(tmp_path):
    (tmp_path / "mtspam.toml").write_text(config_text(spamd="127.0.0.1:1"))  # not for us to open
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(tmp_path / "notify"))
    notified.settimeout(SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listening, (tmp_path / "log").open("wb") as log:
        # A client that came before anybody was there to answer.
        early = socket.create_connection(listening.getsockname(), SECONDS)
        early.sendall(b"PING SPAMC/1.5\r\n\r\n")
        environment = {
            **ENVIRONMENT,
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": "spamd",
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "600000",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(listening.fileno()), *command(tmp_path)[1:]],
            stderr=log,
            env=environment,
            cwd=ROOT,
            pass_fds=[listening.fileno()],
        )
        whole = Whole(process, tmp_path)
        try:
            told = set()  # signs of life come before and after it is ready
            while len(told) < 2:
                told.add(notified.recv(4096).decode())
            assert early.recv(100) == b"SPAMD/1.5 0 PONG\r\n"
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0
        assert any(one.startswith("READY=1\nSTATUS=2 workers\nMAINPID=") for one in told)
        assert "WATCHDOG=1" in told
        early.close()
        assert f"spamd on 127.0.0.1:{listening.getsockname()[1]}" in whole.log
        # systemd's socket is systemd's: it listens still.
        socket.create_connection(listening.getsockname(), SECONDS).close()
    while (last := notified.recv(4096)) == b"WATCHDOG=1" or b"READY" in last:
        pass
    assert last == b"STOPPING=1"
    notified.close()


def test_a_reload_is_told_to_systemd(tmp_path):
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind("\0mtspam-test-" + str(os.getpid()))
    notifier = Notifier({"NOTIFY_SOCKET": "@mtspam-test-" + str(os.getpid())})
    notifier.tell_reloading()
    assert notified.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    notified.close()
    notifier.tell("READY=1")  # nobody is there any more, and that is no error
    assert Notifier({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}).watchdog_seconds == 0


def is_open_to_all(path):
    return all(one.stat().st_mode & 0o1 for one in (path, *path.parents) if one.is_dir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(
    not (is_open_to_all(ROOT) and is_open_to_all(Path(sys.prefix))),
    reason="nobody but the owner could read the program where it lies",
)
def test_root_is_given_up_once_the_sockets_are_open():
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "spamd.sock"
        places = f"127.0.0.1:{free_port()} {path}"
        text = config_text(spamd=places, serve='user = "nobody"\ngroup = "nogroup"')
        with whole_service(folder, text) as whole:
            for pid in (whole.process.pid, *whole.pids()):
                status = Path(f"/proc/{pid}/status").read_text()
                assert "Uid:\t65534\t65534\t65534\t65534" in status
                assert "Gid:\t65534\t65534\t65534\t65534" in status
            assert whole.state.stat().st_uid == path.stat().st_uid == 65_534
            whole.check(pills(0))
            assert whole.client.learn(pills(0), "spam")["outcome"] == "new"


@pytest.mark.parametrize("line", ['user = "no-such-user"', 'group = "no-such-group"'])
def test_who_is_not_known_is_told(tmp_path, line):
    (tmp_path / "mtspam.toml").write_text(config_text(serve=line))
    done = subprocess.run(
        command(tmp_path, "--check"),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 5
    assert "is not known here" in done.stderr
