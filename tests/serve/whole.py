"""The whole service as its users run it: `mtspam serve` in processes of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from mtspam.journal import Journal
from mtspam.serve.client import ServiceClient
from tests.hosts.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120

CONFIG = """
[model]
shared_bits = 12
personal_bits = 12
group_bits = 10
auxiliary_bits = 10
max_users = 256
max_groups = 8
replay_messages = 24

[serve]
workers = 2
recent_bytes = 1048576
{serve}

[spamd]
listen = "{spamd}"

[http]
listen = "{http}"

[milter]
listen = ""

[lmtp]
listen = ""
{more}
"""
ANYWHERE = "127.0.0.1:0"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "error",
}


def config_text(*, serve="", spamd=ANYWHERE, http=ANYWHERE, more=""):
    return CONFIG.format(serve=serve, spamd=spamd, http=http, more=more)


def pills(n):
    return f"From: deals{n}@pills.invalid\r\nSubject: cheap {n}\r\n\r\nBuy pills {n}\r\n".encode()


def lunch(n):
    return f"From: ana@example.org\r\nSubject: lunch {n}\r\n\r\nAt noon, table {n}?\r\n".encode()


class Whole:
    """A service that runs."""

    def __init__(self, process, folder):
        self.process = process
        self.state = folder / "state"
        self.config = folder / "mtspam.toml"
        self.log_path = folder / "log"
        self.client = ServiceClient(self.state / "mtspam.sock", timeout_seconds=SECONDS)

    @property
    def log(self):
        return self.log_path.read_text()

    def wait_for(self, text, n=1):
        """Wait until the log has a text so often."""

        def has():
            if self.log.count(text) >= n:
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.log}")
            return False

        wait_until(has, f"{text!r} in the log of the service")

    def place(self, face):
        """Host and port of a face."""
        host, port = re.search(rf"[:;] {face} on ([\d.]+):(\d+)", self.log).groups()
        return host, int(port)

    def pids(self):
        """Process numbers of all children, also of those on their way out."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in path.read_text().split()}

    def children(self):
        """Process numbers by name; of two of a name the younger one's."""
        found = {}
        for pid in sorted(self.pids()):
            with suppress(OSError):
                found[Path(f"/proc/{pid}/comm").read_text().strip()] = pid
        return found

    def kill(self, name, number=signal.SIGKILL):
        """Kill a child and wait until another does its work."""
        pid = self.children()[name]
        os.kill(pid, number)
        wait_until(lambda: self.children().get(name, pid) != pid, f"another {name}")

    def ask(self, face, data):
        """Send bytes to a face over a connection of its own; return all that comes back."""
        with socket.create_connection(self.place(face), SECONDS) as client:
            client.settimeout(SECONDS)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65_536), b""))

    def check(self, raw, user="ana@example.org"):
        """Ask over spamd's protocol what a message is: the points, by any worker."""
        head = f"CHECK SPAMC/1.5\r\nUser: {user}\r\nContent-length: {len(raw)}\r\n\r\n"
        reply = self.ask("spamd", head.encode() + raw)
        return float(re.search(rb"Spam: \w+ ; (-?[\d.]+) /", reply)[1])

    def rulings(self):
        """Process and points of each ruling in the log."""
        return [
            (int(pid), float(points))
            for pid, points in re.findall(r"pid=(\d+) msg=ruled .* points=(-?[\d.]+)", self.log)
        ]

    def labels(self):
        """All labels of the journal: digest in hexadecimal and value, as often as they stand."""
        with Journal.open(self.state / "journal.sqlite", read_only=True) as journal:
            return [
                (digest.hex(), int(value))
                for events in journal.live()
                for digest, value in zip(events.digest, events.value, strict=True)
            ]

    def stop(self, number=signal.SIGTERM):
        """Ask it to stop and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def command(folder, *options):
    return [
        sys.executable,
        str(ROOT / "cli.py"),
        "serve",
        "--state",
        str(folder / "state"),
        "--config",
        str(folder / "mtspam.toml"),
        *options,
    ]


@contextmanager
def whole_service(folder, text=None, **options):
    """Run the service from a folder until the block ends."""
    folder.mkdir(exist_ok=True)
    (folder / "mtspam.toml").write_text(config_text() if text is None else text)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **{"env": ENVIRONMENT, "cwd": ROOT, **options},
        )
    whole = Whole(process, folder)
    try:
        whole.wait_for("msg=ready")
        yield whole
    finally:
        children = whole.children().values() if process.poll() is None else ()
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(SECONDS)
        end = time.monotonic() + SECONDS
        for pid in children:
            while time.monotonic() < end and Path(f"/proc/{pid}").exists():
                time.sleep(0.02)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
