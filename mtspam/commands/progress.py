"""A progress bar on standard error, for people only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["is_watched", "progress"]


def is_watched() -> bool:
    """Tell whether somebody watches standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how far long work is.

    Parameters
    ----------
    what
        What is going on.
    total
        How much there is to do; None if nobody knows.

    Yields
    ------
    callable
        To be called with how much was just done. It does nothing unless somebody watches.
    """
    if not is_watched():
        yield lambda _n_done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Refreshed by hand: a thread of its own would forbid to fork workers.
    with Progress(
        *columns, console=Console(stderr=True), transient=True, auto_refresh=False
    ) as bar:
        task = bar.add_task(what, total=total)
        yield _Meter(bar.advance, bar.refresh, task)


class _Meter:
    """Advances a bar and redraws it ten times a second at most."""

    def __init__(
        self, advance: Callable[..., None], refresh: Callable[[], None], task: int
    ) -> None:
        self._advance = advance
        self._refresh = refresh
        self._task = task
        self._drawn = 0.0

    def __call__(self, n_done: int) -> None:
        from time import monotonic

        self._advance(self._task, n_done)
        if monotonic() - self._drawn > 0.1:  # noqa: PLR2004 - seconds; see the class
            self._drawn = monotonic()
            self._refresh()
