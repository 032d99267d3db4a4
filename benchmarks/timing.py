"""Clocks and scales: processes and calls on one core, medians of repeats after a warm run."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "ProcessError",
    "Spent",
    "peak_of_process",
    "pin_to_one_core",
    "run_process",
    "spend",
    "sustained",
]

_ONE_THREAD = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


_WATCH = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class ProcessError(Exception):
    """A measured command failed; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one process took: wall clock and the largest resident set.

    The latter is not less than that of the process that started it: see `peak_of_process`.
    """

    seconds: float
    peak_mb: float


def pin_to_one_core() -> None:
    """Keep this process and its children on one core, and their libraries on one thread."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))


def run_process(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    fine: Sequence[int] = (0,),
) -> Spent:
    """Run a command to its end, its output thrown away.

    Parameters
    ----------
    command
        Program and arguments.
    stdin
        What it reads.
    environment
        Variables added to this process's own.
    fine
        The exit codes that are no failure.

    Raises
    ------
    ProcessError
        When it ends with another code.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    ) as process:
        if process.stdin is None or process.stderr is None:
            raise ProcessError("no pipes")
        process.stdin.write(stdin)
        process.stdin.close()
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine:
        words = errors.decode(errors="replace").strip()[-600:]
        raise ProcessError(f"{' '.join(command)[:200]}: exit code {process.returncode}: {words}")
    return Spent(seconds, usage.ru_maxrss / 1024)


def peak_of_process(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the largest resident set of a command in megabytes, its output thrown away.

    It is started by a small process: whoever starts another hands on the peak of its own.

    Parameters
    ----------
    command
        Program and arguments.
    environment
        Variables added to this process's own.

    Raises
    ------
    ProcessError
        When it fails.
    """
    watched = subprocess.run(
        [sys.executable, "-S", "-c", _WATCH, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )
    if watched.returncode:
        words = watched.stderr.decode(errors="replace").strip()[-600:]
        raise ProcessError(f"{' '.join(command)[:200]}: exit {watched.returncode}: {words}")
    return int(watched.stdout) / 1024


def spend(call: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of a call over the repeats, after one warm call."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def sustained(few: tuple[int, float], many: tuple[int, float]) -> float | None:
    """Return the rate between two sizes, which is free of the cost of starting.

    Parameters
    ----------
    few, many
        Number of things and seconds that they took.

    Returns
    -------
    float or None
        Things a second; None when the clock was too coarse for a difference.

    Examples
    --------
    >>> sustained((100, 1.5), (300, 2.5))
    200.0
    """
    seconds = many[1] - few[1]
    return (many[0] - few[0]) / seconds if seconds > 0 else None
