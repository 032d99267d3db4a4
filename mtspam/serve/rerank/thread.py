"""The one thread of a worker that ranks, so that mail does not wait; begun when first needed."""

import asyncio
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mtspam.config import Settings
from mtspam.errors import DataError, MtspamError
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.versions import VersionStore
from mtspam.serve.contract import BusyError, UnavailableError

__all__ = ["RankerThread"]

_log = logging.getLogger(__name__)

R = TypeVar("R")

_LAST = 1 << 62
_LINGER_SECONDS = 5.0


@dataclass(order=True, slots=True)
class _Job:
    priority: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    future: "asyncio.Future[Any] | None" = field(compare=False, default=None)
    loop: asyncio.AbstractEventLoop | None = field(compare=False, default=None)


class RankerThread:
    """A reranker in a thread of its own, asked from an event loop; bounded in number and time.

    Neither thread nor reranker is there before it is first asked, or told to `begin`, so that who
    only filters mail pays nothing. To be made after a fork or before it, and to be asked after it.

    Parameters
    ----------
    state
        The state directory.
    settings
        All of them.
    """

    def __init__(self, state: Path, settings: Settings) -> None:
        self.settings = settings
        self.versions = VersionStore.of_state(state)
        self._state = state
        self._queue: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._n_waiting = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._reranker: Reranker | None = None

    async def ask(self, work: Callable[[Reranker], R], *, priority: int = 0) -> R:
        """Let the thread do something with the reranker.

        Parameters
        ----------
        work
            What to do.
        priority
            Lower numbers are served first; equal ones in turn.

        Raises
        ------
        BusyError
            Where too many are waiting.
        UnavailableError
            Where time is up, or the state cannot be read or written.
        DataError
            Where `work` raises it.
        """
        return await self.do(lambda: self._with_reranker(work), priority=priority)

    async def do(self, work: Callable[[], R], *, priority: int = 0) -> R:
        """Let the thread do something that needs no reranker; see `ask`.

        Raises
        ------
        BusyError
            Where too many are waiting.
        UnavailableError
            Where time is up.
        """
        limits = self.settings.rerank
        if self._is_closed:
            raise UnavailableError("the service is stopping")
        if self._n_waiting >= limits.max_waiting:
            raise BusyError("too many rankings are being asked for, try again")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._n_waiting += 1
        self._queue.put(_Job(priority, next(self._numbers), work, future, loop))
        self._start(is_eager=False)
        try:
            async with asyncio.timeout(limits.wait_seconds):
                return await future
        except TimeoutError as problem:
            raise UnavailableError("ranking takes too long, try again") from problem
        finally:
            self._n_waiting -= 1

    def begin(self) -> None:
        """Read trees and journal before anybody asks, if trees were trained here.

        To read a long journal takes seconds, which the first search should not have to wait.
        """
        if self.versions.names():
            self._start(is_eager=True)

    def _start(self, *, is_eager: bool) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._serve, kwargs={"is_eager": is_eager}, name="ranker", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Let the work that is under way end, and let go of the state."""
        self._is_closed = True
        if self._thread is not None:
            self._queue.put(_Job(-_LAST, next(self._numbers), lambda: None))
            self._thread.join(_LINGER_SECONDS)
            self._thread = None

    def __enter__(self) -> "RankerThread":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # In the thread.

    def _serve(self, *, is_eager: bool) -> None:
        if is_eager:
            self._open_early()
        while True:
            job = self._queue.get()
            if job.future is None or job.loop is None:
                break
            if not job.future.cancelled():
                self._run(job, job.future, job.loop)
        self._let_go()

    def _open_early(self) -> None:
        try:
            self._opened()
        except Exception:  # noqa: BLE001 - nobody has asked yet; who asks is told
            _log.exception("ranking could not begin; the first request tries again")

    def _run(
        self, job: _Job, future: "asyncio.Future[Any]", loop: asyncio.AbstractEventLoop
    ) -> None:
        try:
            result, problem = job.work(), None
        except Exception as raised:  # noqa: BLE001 - told to who asked
            result, problem = None, raised
        try:
            loop.call_soon_threadsafe(_settle, future, result, problem)
        except RuntimeError:
            _log.info("an answer came after the service had ended")

    def _with_reranker(self, work: Callable[[Reranker], R]) -> R:
        reranker = self._opened()
        try:
            return work(reranker)
        except (DataError, UnavailableError):
            raise
        except Exception as problem:
            # What was being followed may be known by half: begin anew.
            self._let_go()
            if isinstance(problem, MtspamError):
                raise UnavailableError(str(problem)) from problem
            raise

    def _opened(self) -> Reranker:
        if self._reranker is None:
            try:
                self._reranker = Reranker.open(self._state, self.settings)
            except MtspamError as problem:
                raise UnavailableError(f"ranking cannot begin: {problem}") from problem
        return self._reranker

    def _let_go(self) -> None:
        reranker, self._reranker = self._reranker, None
        if reranker is not None:
            reranker.close()


def _settle(future: "asyncio.Future[Any]", result: object, problem: BaseException | None) -> None:
    if future.cancelled():
        return
    if problem is None:
        future.set_result(result)
    else:
        future.set_exception(problem)
