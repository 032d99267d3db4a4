"""One step ahead: what comes next is made while the caller still works on what came before."""

import os
from collections.abc import Generator, Iterable
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")

_END = object()
_PATIENCE_SECONDS = 0.05


def ahead(source: Iterable[T], depth: int = 2) -> Generator[T]:
    """Yield what `source` yields, made by a thread of its own.

    Kernels and the database let other threads run, so that reading and learning go side by side.
    The source is started, run and closed in that thread; whoever stops early waits for the step
    that it is in. A process that has one core alone gets no thread: two would only take turns.

    Parameters
    ----------
    source
        Not to be touched by the caller meanwhile. What it raises is raised here, in its place.
    depth
        How many items may lie ready.

    Examples
    --------
    >>> list(ahead(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    if _n_cores() == 1:
        yield from source
        return
    belt = _Belt(depth)
    thread = Thread(target=_fill, args=(belt, source), name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = belt.ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item  # type: ignore[misc]  # the end is no T, all else is
    finally:
        belt.stop()
        thread.join()


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


class _Belt:
    """Items on their way, with what was raised instead of one."""

    def __init__(self, depth: int) -> None:
        self.ready: Queue[tuple[object, BaseException | None]] = Queue(depth)
        self._is_over = Event()

    def put(self, item: object, error: BaseException | None = None) -> bool:
        """Put an item on the belt as soon as there is room; say whether it was wanted."""
        while not self._is_over.is_set():
            try:
                self.ready.put((item, error), timeout=_PATIENCE_SECONDS)
            except Full:
                continue
            return True
        return False

    def stop(self) -> None:
        """Take nothing more."""
        self._is_over.set()


def _fill(belt: _Belt, source: Iterable[object]) -> None:
    items = iter(source)
    try:
        for item in items:
            if not belt.put(item):
                break
        belt.put(_END)
    except BaseException as error:  # noqa: BLE001 - it is raised again where the items go
        belt.put(_END, error)
    finally:
        if isinstance(items, Generator):
            items.close()
