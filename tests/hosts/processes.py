"""Servers that tests start and stop: free ports, waiting on a condition, processes by their id."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

__all__ = ["free_port", "is_listening", "kill_and_wait", "running", "wait_until"]

START_SECONDS = 120
STOP_SECONDS = 60
POLL_SECONDS = 0.02


def free_port():
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(place):
    """Say whether a port of the loopback address, or a UNIX socket, takes connections."""
    family = socket.AF_INET if isinstance(place, int) else socket.AF_UNIX
    address = ("127.0.0.1", place) if isinstance(place, int) else str(place)
    with socket.socket(family) as client:
        client.settimeout(1)
        try:
            client.connect(address)
        except OSError:
            return False
    return True


def wait_until(condition, what, seconds=START_SECONDS):
    """Return the first true value of a condition; fail where it does not come in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(POLL_SECONDS)
    return found


def kill_and_wait(pid, seconds=STOP_SECONDS):
    """Kill a process that is no child of ours, and wait until whoever it is one of took note."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"process {pid} to be gone", seconds)


@contextmanager
def running(command, log, *, place=None, **options):
    """Run a server for a while; what it says goes into a file.

    Parameters
    ----------
    command
        Program and arguments.
    log
        Path of the file.
    place
        Port or UNIX socket to wait for.
    options
        Of `subprocess.Popen`.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **options
        )
    try:
        if place is not None:
            wait_until(
                lambda: process.poll() is not None or is_listening(place),
                f"{command[0]} to listen on {place}",
            )
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} ended at once: {log.read_text()[-2000:]}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
