"""The files of plugins/systemd: systemd reads them, and hands sockets to the service."""

import re
import shutil
import socket
import subprocess
import sys

import pytest

from mtspam.config import Settings
from tests.hosts.processes import free_port, running, wait_until
from tests.serve.whole import ENVIRONMENT, ROOT, SECONDS, command, config_text

FOLDER = ROOT / "plugins" / "systemd"
SERVICE = FOLDER / "mtspam.service"
UNITS = [SERVICE, *sorted(FOLDER.glob("*.socket"))]
DOVECOT = ROOT / "plugins" / "dovecot"
FLUSH = DOVECOT / "mtspam-learn.service"

needs = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="Debian's package systemd is not installed"
)


@pytest.fixture
def flush_units(tmp_path):
    """The timer's units, with the program where it lies here."""
    found = []
    for path in (FLUSH, FLUSH.with_suffix(".timer")):
        text = path.read_text().replace("/usr/local/lib/mtspam/dovecot/", f"{DOVECOT}/")
        (tmp_path / path.name).write_text(text)
        found.append(tmp_path / path.name)
    return found


@needs
def test_systemd_finds_nothing_wrong_with_the_units(flush_units):
    assert len(UNITS) >= 5
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *UNITS, *flush_units],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not [line for line in said.splitlines() if "mtspam" in line]


@needs
@pytest.mark.parametrize("unit", [SERVICE, FLUSH], ids=lambda path: path.name)
def test_systemd_calls_the_sandbox_a_good_one(unit):
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--threshold=20",
            unit,
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
    text = (FOLDER / f"mtspam-{face}.socket").read_text()
    assert f"FileDescriptorName={face}\n" in text
    assert f"ListenStream={getattr(Settings(), face).listen}\n" in text


def test_the_socket_for_lmtp_is_where_postfix_looks_for_it():
    text = (FOLDER / "mtspam-lmtp.socket").read_text()
    postfix = (ROOT / "plugins" / "postfix" / "main.cf.lmtp").read_text()
    (place,) = re.findall(r"^mtspam_lmtp = inet:(.*)$", postfix, re.MULTILINE)
    assert "FileDescriptorName=lmtp\n" in text
    assert f"ListenStream={place}\n" in text


def test_the_control_socket_is_where_dovecot_looks_for_it():
    settings = Settings.from_toml(FOLDER / "mtspam.toml")
    service = SERVICE.read_text()
    assert f"#socket = {settings.http.control}\n" in (DOVECOT / "mtspam-learn.conf").read_text()
    assert settings.http.control == "/run/mtspam/control.sock"
    assert "RuntimeDirectory=mtspam\nRuntimeDirectoryMode=0755\n" in service
    assert "Group=mtspam\n" in service
    assert settings.serve.socket_mode == "0660"
    assert "SupplementaryGroups=mtspam\n" in FLUSH.read_text()
    assert "mail_access_groups = mtspam" in (DOVECOT / "README.md").read_text()


def test_the_timer_hands_over_what_waits_in_the_spool(tmp_path):
    """The condition of the unit names what the program writes and what it looks for."""
    spool = tmp_path / "spool"
    for name in ("mtspam-learn", "mtspam-learn.conf"):
        shutil.copy(DOVECOT / name, tmp_path / name)
    settings = f"socket = {tmp_path / 'none.sock'}\nspool = {spool}\nseconds = 0.2\n"
    (tmp_path / "mtspam-learn.conf").write_text(settings)
    program = [sys.executable, "-IS", tmp_path / "mtspam-learn"]
    told = subprocess.run(
        [*program, "spam", "ana"], input=b"A: b\n\nc", timeout=SECONDS, check=True
    )
    (glob,) = re.findall(r"^ConditionPathExistsGlob=(.*)$", FLUSH.read_text(), re.MULTILINE)
    folder, _, pattern = glob.rpartition("/")
    assert f"#spool = {folder}\n" in (DOVECOT / "mtspam-learn.conf").read_text()
    assert told.returncode == 0
    assert len(list(spool.glob(pattern))) == 1
    assert f"ReadWritePaths={folder}\n" in FLUSH.read_text()


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
