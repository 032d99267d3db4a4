"""rspamd with its Bayes alone: no other module, no network, redis in memory, one worker."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from streams import Message

__all__ = ["Rspamd", "cpu_seconds", "rspamd_bayes", "tool"]

_SECONDS = 120.0
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_CONFIG = """\
options {{ pidfile = "{folder}/pid"; temp_dir = "{folder}"; filters = ""; rrd = "";
  control_socket = "{folder}/control.sock mode=0600"; stats_file = "{folder}/stats";
  dynamic_conf = "{folder}/dynamic"; hs_cache_dir = "{folder}";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 1s; retransmits = 1; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "info"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{scan}"; count = 1; }}
worker "controller" {{ bind_socket = "127.0.0.1:{control}"; count = 1; secure_ip = "127.0.0.1"; }}
actions {{ reject = 15; add_header = 6; }}
group "statistics" {{ symbols {{ "BAYES_SPAM" {{ weight = 5.1; }}
  "BAYES_HAM" {{ weight = -3.0; }} }} }}
classifier "bayes" {{ tokenizer {{ name = "osb"; }} backend = "redis";
  servers = "127.0.0.1:{redis}"; min_tokens = 11; min_learns = 10;
  statfile {{ symbol = "BAYES_HAM"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; spam = true; }} }}
"""


@dataclass(frozen=True, slots=True)
class Rspamd:
    """A server that runs: where it scans, and the processes of which a scan takes time."""

    port: int
    worker: int
    store: int


def tool(name: str) -> str:
    """Return the path of a program.

    Raises
    ------
    RuntimeError
        Where it is not installed.
    """
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise RuntimeError(f"{name} is not installed")
    return path


def cpu_seconds(*pids: int) -> float:
    """Return the processor's time of some processes."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def rspamd_bayes(folder: Path, taught: Sequence[Message]) -> Iterator[Rspamd]:
    """Run rspamd until the block ends, taught by some messages."""
    folder.mkdir()
    scan, control, redis = (_free_port() for _ in range(3))
    config = folder / "rspamd.conf"
    config.write_text(_CONFIG.format(folder=folder, scan=scan, control=control, redis=redis))
    store = [tool("redis-server"), "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
    server = [tool("rspamd"), "-f", "-c", str(config), "--insecure"]
    with (
        _process([*store, "--dir", str(folder)], folder / "redis.log") as kept,
        _process(server, folder / "out") as filtering,
    ):
        for port in (control, scan):
            _wait_for(port, folder / "log")
        for message in taught:
            path = "learnspam" if message.is_spam else "learnham"
            request = urllib.request.Request(
                f"http://127.0.0.1:{control}/{path}", data=message.raw, method="POST"
            )
            with suppress(urllib.error.HTTPError):  # it refuses what is too short to learn
                urllib.request.urlopen(request, timeout=_SECONDS).close()
        yield Rspamd(scan, _worker(filtering.pid), kept.pid)


def _worker(pid: int) -> int:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"normal process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise RuntimeError("rspamd has no scanning worker")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}: {log.read_text() if log.exists() else ''}")


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_SECONDS)
