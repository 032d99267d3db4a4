"""What the workers have done, counted on a page that all of them share."""

import mmap
import struct
from bisect import bisect_left
from collections.abc import Mapping

__all__ = ["SECONDS_BOUNDS", "Counters"]

SECONDS_BOUNDS = (
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
    5.0,
)
"""Upper bounds of the classes in which the durations of rulings and of rankings are counted, in
seconds."""

_NAME_BYTES = 40
_SLOTS = 150
_SLOT = struct.Struct(f"={_NAME_BYTES}sd")
_VALUE_BYTES = 8
_ROW_BYTES = _SLOTS * _SLOT.size
_REST = "other"


class Counters:
    """Sums by name, a row for each worker, on memory that is shared with forked processes.

    Each worker writes to its own row alone, so nobody waits for anybody; a row outlives the worker
    and is continued by the one that takes its place.

    Parameters
    ----------
    n_rows
        How many workers there may be.

    Examples
    --------
    >>> counters = Counters(2)
    >>> counters.count_ruling("no action", 0.0004)
    >>> counters.of_row(1).count_ruling("reject", 0.0006)
    >>> totals = counters.totals()
    >>> totals["rulings"], totals["action:reject"], totals["seconds"]
    (2.0, 1.0, 0.001)
    """

    def __init__(self, n_rows: int) -> None:
        self._page = mmap.mmap(-1, n_rows * _ROW_BYTES)
        self._sums = memoryview(self._page).cast("d")
        self._n_rows = n_rows
        self._take(0)

    def _take(self, row: int) -> None:
        self.row = row
        # Of every name, which sum is its; a name that another worker of this row wrote counts.
        self._places = dict(self._named(row))
        self._n_used = len(self._places)

    def of_row(self, row: int) -> "Counters":
        """Return the same counters, to be counted into another row."""
        other = Counters.__new__(Counters)
        other._page = self._page
        other._sums = self._sums
        other._n_rows = self._n_rows
        other._take(row)
        return other

    # Counting.

    def count(self, name: str, by: float = 1.0) -> None:
        """Add to a sum; a name that is new begins at nought.

        Parameters
        ----------
        name
            In ASCII, at most 40 characters, of a small fixed set: never from mail.
        by
            What to add.
        """
        place = self._places.get(name)
        if place is None:
            place = self._new(name)
        self._sums[place] += by

    def count_ruling(self, action: str, seconds: float) -> None:
        """Count a message that was ruled on, and how long that took."""
        self.count("rulings")
        self.count(f"action:{action}")
        self._count_seconds("", seconds)

    def count_ranking(self, n_candidates: int, seconds: float, *, is_unchanged: bool) -> None:
        """Count a list that was ranked, how long that took, and whether it stayed as it was."""
        self.count("rank:rankings")
        self.count("rank:candidates", n_candidates)
        self.count("rank:unchanged", is_unchanged)
        self._count_seconds("rank:", seconds)

    def _count_seconds(self, prefix: str, seconds: float) -> None:
        self.count(f"{prefix}seconds", seconds)
        at = bisect_left(SECONDS_BOUNDS, seconds)
        bound = SECONDS_BOUNDS[at] if at < len(SECONDS_BOUNDS) else "+Inf"
        self.count(f"{prefix}seconds_in:{bound}")

    def count_label(self, outcome: str) -> None:
        """Count a label by what became of it."""
        self.count(f"learned:{outcome}")

    def _new(self, name: str) -> int:
        if self._n_used >= _SLOTS - 1:
            name = _REST
            if name in self._places:
                return self._places[name]
        at = self.row * _ROW_BYTES + self._n_used * _SLOT.size
        _SLOT.pack_into(self._page, at, name.encode("ascii", "replace"), 0.0)
        self._n_used += 1
        place = (at + _NAME_BYTES) // _VALUE_BYTES
        self._places[name] = place
        return place

    # Reading.

    def _named(self, row: int) -> list[tuple[str, int]]:
        found = []
        for slot in range(_SLOTS):
            at = row * _ROW_BYTES + slot * _SLOT.size
            name = self._page[at : at + _NAME_BYTES].rstrip(b"\0")
            if not name:
                break
            found.append((name.decode("ascii"), (at + _NAME_BYTES) // _VALUE_BYTES))
        return found

    def totals(self) -> Mapping[str, float]:
        """Sum up over all workers, by name.

        Beside what faces count by names of their own: ``rulings``, ``seconds`` (in all),
        ``seconds_in:BOUND`` (durations by class, each message in one class; ``+Inf`` is the last),
        ``action:ACTION``, ``learned:OUTCOME``; of ranking, all that begins with ``rank:``.
        """
        totals: dict[str, float] = {}
        for row in range(self._n_rows):
            for name, place in self._named(row):
                totals[name] = totals.get(name, 0.0) + self._sums[place]
        return totals
