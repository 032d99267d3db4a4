"""Messages to rows of scores, in order, by one process or by many, in constant memory."""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

from mtspam.commands.first_run import compile_kernels
from mtspam.config import Settings
from mtspam.errors import MtspamError
from mtspam.mail.sources import SourceMessage
from mtspam.spam import SpamFilter

__all__ = ["COLUMNS", "Plan", "Rows", "score_all"]

_MARGINS = (
    "probability",
    "score",
    "shared",
    "group",
    "personal",
    "starter",
    "phishing",
    "bulk",
)
COLUMNS = ("name", "user", "verdict", *_MARGINS)
"""Columns of the result, in order."""

_WATCH_SECONDS = 1.0
"""So often it is looked whether the workers that are waited for are still there."""
_CHUNK_MESSAGES = 256
_CHUNK_BYTES = 4 << 20
"""A chunk goes to a worker whole; with these bounds a few of them are no burden."""

Rows = dict[str, list[str] | list[str | None] | list[float]]
"""Column → cells, in the order of `COLUMNS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How messages are to be scored; small enough to be sent to workers.

    Parameters
    ----------
    state
        The state directory.
    settings
        All settings.
    user, group
        For whom; a message's own user goes before.
    """

    state: Path
    settings: Settings
    user: str | None
    group: str | None


def score_all(
    messages: Iterable[SourceMessage], plan: Plan, n_jobs: int, *, is_early: bool = False
) -> Iterator[Rows]:
    """Score messages in their order.

    The state is opened here first, whatever `n_jobs`: what is wrong with it shows at once, and
    forked workers find the kernels loaded.

    Parameters
    ----------
    messages
        Read a chunk at a time.
    plan
        For whom and by what.
    n_jobs
        Processes.
    is_early
        Start workers before the first message is read, as is right where reading starts threads.
        Else they start when there is more than one chunk to score.

    Yields
    ------
    dict
        Columns of the next few messages.

    Raises
    ------
    DataError
        Where a message cannot be read.
    JournalError, SnapshotError
        Where the state cannot be read.
    MtspamError
        Where a worker died.
    """
    compile_kernels()
    chunks = _chunks(messages)
    with _open(plan) as spam_filter:
        if n_jobs > 1 and is_early:
            spam_filter.judge(b"")
        else:
            for chunk in chunks:
                yield _score(chunk, spam_filter, plan)
                if n_jobs > 1:
                    break
    if n_jobs > 1:
        yield from _score_apart(chunks, plan, n_jobs, is_early=is_early)


def _open(plan: Plan) -> SpamFilter:
    return SpamFilter.open(plan.state, plan.settings, read_only=True)


def _chunks(messages: Iterable[SourceMessage]) -> Iterator[list[SourceMessage]]:
    chunk: list[SourceMessage] = []
    n_bytes = 0
    for message in messages:
        chunk.append(message)
        n_bytes += len(message.raw)
        if len(chunk) == _CHUNK_MESSAGES or n_bytes >= _CHUNK_BYTES:
            yield chunk
            chunk, n_bytes = [], 0
    if chunk:
        yield chunk


def _score(chunk: list[SourceMessage], spam_filter: SpamFilter, plan: Plan) -> Rows:
    users = [message.user or plan.user for message in chunk]
    found = spam_filter.judge_many(
        [message.raw for message in chunk],
        users if any(users) else None,
        None if plan.group is None else [plan.group] * len(chunk),
    )
    rows: Rows = {
        "name": [message.name for message in chunk],
        "user": [None if user is None else _text(user) for user in users],
        "verdict": [verdict.value for verdict in found.verdicts],
    }
    rows.update((name, getattr(found, name).tolist()) for name in _MARGINS)
    return rows


def _text(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _score_apart(
    chunks: Iterator[list[SourceMessage]], plan: Plan, n_jobs: int, *, is_early: bool
) -> Iterator[Rows]:
    """Score chunks in workers; as many are under way as keep all of them busy, no more."""
    pending: deque[Future[Rows]] = deque()
    first = None if is_early else next(chunks, None)
    if first is None and not is_early:
        return
    pool = ProcessPoolExecutor(
        n_jobs, mp_context=get_context(_start_method()), initializer=_begin_work
    )
    try:
        pending.append(pool.submit(_work, first or [], plan))
        for chunk in chunks:
            pending.append(pool.submit(_work, chunk, plan))
            if len(pending) > 2 * n_jobs:
                yield _awaited(pending.popleft(), pool)
        while pending:
            yield _awaited(pending.popleft(), pool)
    except BrokenProcessPool as error:
        raise MtspamError(
            "a worker process died (killed, or out of memory); the result is not complete"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _awaited(result: Future[Rows], pool: ProcessPoolExecutor) -> Rows:
    """Return what a worker found.

    A worker that is killed in the middle of saying it leaves a part in the pipe, and the pool
    waits for the rest as long as anybody has that pipe open for writing: so nobody has, then.
    """
    while not wait([result], _WATCH_SECONDS).done:
        crew = list((pool._processes or {}).values())
        if not all(worker.is_alive() for worker in crew):
            for worker in crew:
                worker.kill()
            pool._result_queue._writer.close()  # type: ignore[attr-defined]  # no public name
    return result.result()


def _start_method() -> str:
    """Fork where that is safe and the kernels are loaded already, else start afresh."""
    has_threads = threading.active_count() > 1 or "polars" in sys.modules
    return "fork" if sys.platform == "linux" and not has_threads else "spawn"


# The filter of this worker; a worker lives for one plan.
_own: list[SpamFilter] = []


def _begin_work() -> None:
    # The parent answers to signals; a worker ends when the parent is gone, however it went.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(chunk: list[SourceMessage], plan: Plan) -> Rows:
    if not _own:
        _own.append(_open(plan))
    return _score(chunk, _own[0], plan)
