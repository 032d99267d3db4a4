"""Other programs as processes of their own: found, started, waited for, timed, stopped."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["cpu_seconds", "free_port", "process", "tool", "tree_cpu_seconds", "wait_for_port"]

_SECONDS = 120.0
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


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


def free_port() -> int:
    """Return a port of the loopback address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, log: Path) -> None:
    """Wait until somebody listens on a port.

    Raises
    ------
    RuntimeError
        With what the log says, where nobody does in time.
    """
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}: {log.read_text() if log.exists() else ''}")


def cpu_seconds(*pids: int) -> float:
    """Return the processor's time of some processes; none of those that are gone."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(pid: int) -> float:
    """Return the processor's time of a process and of all its children."""
    seconds = cpu_seconds(pid)
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            seconds += tree_cpu_seconds(int(child))
    return seconds


@contextmanager
def process(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends."""
    with log.open("wb") as file:
        started = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(_SECONDS)
