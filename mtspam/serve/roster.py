"""Which processes the service has, on a page that all of them share."""

import mmap
import os
import time
from dataclasses import dataclass
from typing import Final

__all__ = ["WRITER_ROW", "Roster", "Staff"]

WRITER_ROW: Final = -1
"""The writer's row; workers have those from 0 on."""

_N_FIELDS = 4
_BEAT, _PID, _BEGAN, _N_BEGUN = range(_N_FIELDS)
# Before the rows of workers: the supervisor's, whose last field says how many workers there are to
# be, and the writer's.
_SUPERVISOR, _FIRST_WORKER = -2, 2
_FIELD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Staff:
    """One place in the service.

    Parameters
    ----------
    name
        Such as ``worker 0``.
    pid
        The process that fills it, 0 while there is none.
    began
        Unix seconds at which that one was ready.
    n_begun
        How many have filled it since the service began, this one included.
    """

    name: str
    pid: int
    began: float
    n_begun: int


class Roster:
    """Who does what since when, and when each worker last gave a sign of life.

    Examples
    --------
    >>> roster = Roster(2)
    >>> roster.beat(1)
    >>> roster.age(1) < 10 < roster.age(0)
    True
    >>> roster.begin(1)
    >>> roster.enter(0)
    >>> [(one.name, one.pid > 0, one.n_begun) for one in roster.staff()]
    [('supervisor', True, 1), ('writer', False, 0), ('worker 0', True, 1)]
    """

    def __init__(self, n_rows: int) -> None:
        self._page = mmap.mmap(-1, (_FIRST_WORKER + n_rows) * _N_FIELDS * _FIELD_BYTES)
        self._fields = memoryview(self._page).cast("d")
        self._n_rows = n_rows

    def _at(self, row: int, field: int) -> int:
        return (row + _FIRST_WORKER) * _N_FIELDS + field

    # What the supervisor notes.

    def begin(self, n_workers: int) -> None:
        """Note that this process is the supervisor, of so many workers."""
        self._fields[self._at(_SUPERVISOR, _PID)] = os.getpid()
        self._fields[self._at(_SUPERVISOR, _BEGAN)] = time.time()
        self.expect(n_workers)

    def expect(self, n_workers: int) -> None:
        """Note how many workers there are to be."""
        self._fields[self._at(_SUPERVISOR, _N_BEGUN)] = n_workers

    def leave(self, pid: int) -> None:
        """Note that a process has ended."""
        for row in range(WRITER_ROW, self._n_rows):
            if self._fields[self._at(row, _PID)] == pid:
                self._fields[self._at(row, _PID)] = 0

    def age(self, row: int) -> float:
        """Return how many seconds ago a worker's last sign of life was."""
        return time.monotonic() - self._fields[self._at(row, _BEAT)]

    # What the others note.

    def enter(self, row: int) -> None:
        """Note that this process does the work of a row now."""
        self._fields[self._at(row, _BEGAN)] = time.time()
        self._fields[self._at(row, _N_BEGUN)] += 1
        self._fields[self._at(row, _PID)] = os.getpid()

    def beat(self, row: int) -> None:
        """Give a sign of life."""
        self._fields[self._at(row, _BEAT)] = time.monotonic()

    # What is told.

    @property
    def began(self) -> float:
        """Unix seconds at which the service began."""
        return self._fields[self._at(_SUPERVISOR, _BEGAN)]

    def staff(self) -> list[Staff]:
        """Return all places: the supervisor's, the writer's, then those of the workers."""
        n_workers = int(self._fields[self._at(_SUPERVISOR, _N_BEGUN)])
        supervisor = Staff("supervisor", self._pid(_SUPERVISOR), self.began, 1)
        names = {WRITER_ROW: "writer", **{row: f"worker {row}" for row in range(n_workers)}}
        others = (
            Staff(
                name,
                self._pid(row),
                self._fields[self._at(row, _BEGAN)],
                int(self._fields[self._at(row, _N_BEGUN)]),
            )
            for row, name in names.items()
        )
        return [supervisor, *others]

    def _pid(self, row: int) -> int:
        return int(self._fields[self._at(row, _PID)])
