"""The files of plugins/systemd: systemd reads them, and hands sockets to the service."""

import shutil
import socket
import subprocess

import pytest

from tests.hosts.processes import free_port, running, wait_until
from tests.serve.whole import ENVIRONMENT, ROOT, SECONDS, command, config_text

FOLDER = ROOT / "plugins" / "systemd"
SERVICE = FOLDER / "mtspam.service"
UNITS = [SERVICE, *sorted(FOLDER.glob("*.socket"))]

needs = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="Debian's package systemd is not installed"
)


@needs
def test_systemd_finds_nothing_wrong_with_the_units():
    assert len(UNITS) >= 4
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *UNITS],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not [line for line in said.splitlines() if "mtspam" in line]


@needs
def test_systemd_calls_the_sandbox_a_good_one():
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--threshold=20",
            SERVICE,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@needs
def test_what_the_service_calls_is_allowed():
    def group(name):
        done = subprocess.run(
            ["systemd-analyze", "syscall-filter", name],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        found = set()
        for line in done.stdout.splitlines()[1:]:
            word = line.strip()
            if word.startswith("@"):
                found |= group(word)
            elif word and not word.startswith("#"):
                found.add(word)
        return found

    assert "SystemCallFilter=@system-service\n" in SERVICE.read_text()
    allowed = group("@system-service") - group("@privileged") - group("@resources")
    needed = "memfd_create fallocate ftruncate mmap mprotect madvise fork clone wait4 flock fsync"
    assert set(needed.split()) <= allowed


@pytest.mark.parametrize("face", ["spamd", "http", "milter"])
def test_each_socket_names_a_face_and_the_place_that_is_its_default(face):
    from mtspam.config import Settings

    text = (FOLDER / f"mtspam-{face}.socket").read_text()
    assert f"FileDescriptorName={face}\n" in text
    assert f"ListenStream={getattr(Settings(), face).listen}\n" in text


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None,
    reason="Debian's package systemd is not installed",
)
def test_systemd_hands_over_a_socket(tmp_path):
    (tmp_path / "mtspam.toml").write_text(config_text(spamd="", http=""))
    port = free_port()
    activate = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=spamd"]
    activate += [f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()]
    log = tmp_path / "log"
    with running([*activate, *command(tmp_path)], log, cwd=ROOT):
        wait_until(lambda: "Listening on" in log.read_text(), "systemd to listen")
        with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
            client.settimeout(SECONDS)
            client.sendall(b"PING SPAMC/1.5\r\n\r\n")
            assert client.recv(100) == b"SPAMD/1.5 0 PONG\r\n"
