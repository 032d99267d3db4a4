"""Clocks and scales: processes and calls on one core, medians of repeats after a warm run."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["ProcessError", "Spent", "pin_to_one_core", "run_process", "spend", "sustained"]

_ONE_THREAD = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


class ProcessError(Exception):
    """A measured command failed; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one process took: wall clock and the largest resident set."""

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
