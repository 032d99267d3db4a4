"""The examples judged lately by all workers, each of which writes to a ring of its own."""

import logging
from pathlib import Path

from mtspam.errors import JournalError
from mtspam.journal.recent import RecentRing
from mtspam.mail.views import N_VIEWS
from mtspam.serve.parts import Recalled
from mtspam.types import Example

__all__ = ["SharedExamples", "ring_path"]

_log = logging.getLogger(__name__)


def ring_path(state: Path, row: int) -> Path:
    """Return the file of a worker's ring."""
    return state / f"recent.{row}"


class SharedExamples:
    """What any worker judged lately; implements `parts.RecentExamples`.

    Without room on the disk there is no memory, which is no harm: mail is then learnt from its
    text alone.

    Parameters
    ----------
    state
        The state directory.
    row, n_rows
        Which worker this is, and of how many.
    n_bytes
        Room for its own ring; 0: it remembers nothing.
    """

    def __init__(self, state: Path, row: int, n_rows: int, n_bytes: int) -> None:
        self._others = [ring_path(state, one) for one in range(n_rows) if one != row]
        self._rings: dict[Path, RecentRing] = {}
        self._own: RecentRing | None = None
        if n_bytes:
            try:
                self._own = RecentRing.make(ring_path(state, row), n_bytes, n_views=N_VIEWS)
            except JournalError as error:
                _log.warning("nothing is remembered by id", extra={"error": str(error)})

    def remember(self, digest: bytes, example: Example, prior: float) -> None:
        """Keep an example; the oldest make room."""
        if self._own is not None:
            self._own.put(digest, example, prior)

    def recall(self, digest: bytes) -> Recalled | None:
        """Return what any worker judged, None where it is forgotten."""
        if self._own is not None:
            found = self._own.get(digest)
            if found is not None:
                return Recalled(*found)
        for path in self._others:
            ring = self._ring(path)
            found = None if ring is None else ring.get(digest)
            if found is not None:
                return Recalled(*found)
        return None

    def _ring(self, path: Path) -> RecentRing | None:
        """Open another worker's ring, once it is there, and anew when it was made anew."""
        ring = self._rings.get(path)
        if ring is None or not ring.is_current():
            ring = RecentRing.open(path, n_views=N_VIEWS)
            if ring is None:
                return None
            self._rings[path] = ring
        return ring
