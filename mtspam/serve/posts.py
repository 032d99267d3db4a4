"""A post: a place that one child fills, that is filled again when the child dies."""

import logging
import signal
import time
from collections import deque
from collections.abc import Callable

from mtspam.serve.children import Child

__all__ = ["Post"]

_log = logging.getLogger(__name__)

_FREE_DEATHS = 3
_WINDOW_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


class Post:
    """One child at work, perhaps one that is to take its place, and those on their way out.

    Parameters
    ----------
    name
        For logs.
    start
        Makes a child.
    is_alone
        Whether a new child may begin only when the former has ended.
    """

    def __init__(self, name: str, start: Callable[[], Child], *, is_alone: bool = False) -> None:
        self.name = name
        self._start = start
        self._is_alone = is_alone
        self.child: Child | None = None
        self.successor: Child | None = None
        self.leaving: list[Child] = []
        self._deaths: deque[float] = deque()
        self._not_before = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether somebody works here."""
        return self.child is not None and self.child.is_ready

    @property
    def children(self) -> list[Child]:
        """All that are alive."""
        return [one for one in (self.child, self.successor, *self.leaving) if one is not None]

    def fill(self, now: float) -> None:
        """Make a child if there is none and it is time for one."""
        is_vacant = self.child is None and self.successor is None
        is_waiting = self._is_alone and self.leaving
        if is_vacant and not is_waiting and now >= self._not_before:
            self.child = self._start()

    def replace(self, now: float) -> None:
        """Make a successor, who is to take over once it is ready."""
        if self.successor is None and now >= self._not_before:
            self.successor = self._start()

    def promote(self, grace_seconds: float) -> bool:
        """Let the successor take over once it is ready; say whether it did."""
        if self.successor is None or not self.successor.is_ready:
            return False
        self.dismiss(grace_seconds)
        self.child, self.successor = self.successor, None
        return True

    def recall(self, grace_seconds: float) -> None:
        """Send a successor away that has not taken over: what it was made with holds no more."""
        if self.successor is not None:
            self.successor.ask_to_stop(grace_seconds)
            self.leaving.append(self.successor)
            self.successor = None

    def dismiss(self, grace_seconds: float) -> None:
        """Ask the child to end what it has begun, and expect it no longer."""
        if self.child is not None:
            self.child.ask_to_stop(grace_seconds)
            self.leaving.append(self.child)
            self.child = None

    def bury(self, pid: int, status: int) -> Child | None:
        """Take note that a process has ended; return it if it was one of this post's."""
        for child in self.children:
            if child.pid == pid:
                break
        else:
            return None
        child.hear()
        if child in self.leaving:
            self.leaving.remove(child)
            return child
        _log.error(
            "%s died", child.name, extra={"dead": pid, "why": _why(status), **self._after(child)}
        )
        if child is self.successor:
            self.successor = None
        else:
            self.child = None
        return child

    def _after(self, child: Child) -> dict[str, float]:
        """Decide when the next may begin: at once, or later where one after the other dies."""
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths[0] < now - _WINDOW_SECONDS:
            self._deaths.popleft()
        excess = len(self._deaths) - _FREE_DEATHS
        pause = 0.0
        if excess > 0 or not child.is_ready:
            pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** max(excess, 0), _LONGEST_PAUSE_SECONDS)
        self._not_before = now + pause
        return {"again_in": pause}

    def enforce(self, now: float) -> None:
        """End those by force that were to have ended by now."""
        for child in self.leaving:
            if now >= child.kill_at:
                _log.warning("%s did not stop in time", child.name, extra={"killed": child.pid})
                child.send(signal.SIGKILL)
                child.kill_at = float("inf")


def _why(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name
    return f"exit code {status}"
