"""What requests have to journal, written together: the disk is waited for once for all of them."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mtspam.errors import DataError, JournalError
from mtspam.ranking.reranker import Reranker
from mtspam.search.events import Event
from mtspam.serve.contract import UnavailableError
from mtspam.serve.rerank.thread import RankerThread

__all__ = ["Journalling"]

R = TypeVar("R")


@dataclass(eq=False, slots=True)
class _Entry:
    """Events of one request, in groups; how many were new, or why they could not be written."""

    groups: Sequence[Sequence[Event]]
    n_new: list[int] | None = None
    problem: Exception | None = None

    def settled(self) -> list[int]:
        if self.problem is not None:
            raise self.problem
        return self.n_new or []


class Journalling:
    """Writes what waits in one synced transaction, before any of it is acknowledged.

    Parameters
    ----------
    thread
        Where the reranker is.
    """

    def __init__(self, thread: RankerThread) -> None:
        self._thread = thread
        self._waiting: deque[_Entry] = deque()

    async def append(
        self,
        groups: Sequence[Sequence[Event]],
        then: Callable[[list[int]], R],
        *,
        priority: int = 0,
    ) -> R:
        """Journal groups of events; when this returns they are on the disk.

        Parameters
        ----------
        groups
            All or none of them are written.
        then
            Given how many of each group were new, in the thread of the reranker, makes what is
            returned.
        priority
            Of the request.

        Raises
        ------
        DataError
            Where an event cannot be stored.
        BusyError, UnavailableError
            Where that cannot be done now.
        """
        entry = _Entry(groups)
        self._waiting.append(entry)
        try:
            return await self._thread.ask(
                lambda reranker: then(self._written(reranker, entry)), priority=priority
            )
        finally:
            if entry in self._waiting:  # who asked has gone
                self._waiting.remove(entry)

    # In the thread.

    def _written(self, reranker: Reranker, entry: _Entry) -> list[int]:
        """Write an entry with all others that wait, unless that was done with another's."""
        if entry.n_new is None and entry.problem is None:
            entries = [entry]
            while self._waiting:
                other = self._waiting.popleft()
                if other is not entry:
                    entries.append(other)
            self._write(reranker, entries)
        return entry.settled()

    def _write(self, reranker: Reranker, entries: Sequence[_Entry]) -> None:
        try:
            done = iter(
                reranker.feedback_each([group for entry in entries for group in entry.groups])
            )
            for entry in entries:
                entry.n_new = [next(done).n_new for _ in entry.groups]
        except DataError as problem:
            if len(entries) == 1:
                entries[0].problem = problem
                return
            for entry in entries:  # one of them is to blame, the others are not
                self._write(reranker, [entry])
        except JournalError as problem:
            for entry in entries:
                entry.problem = UnavailableError(str(problem))
        except Exception as problem:
            for entry in entries:
                entry.problem = problem
            raise
