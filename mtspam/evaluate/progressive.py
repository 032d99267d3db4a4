"""Test, then train: every message is scored by what was learnt before it, then teaches.

What becomes of the scores is `mtspam.evaluate.report`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.evaluate.contract import LabelledBatch, Progressive, ScoreColumns, Scores
from mtspam.evaluate.corpus import IndexedMessage
from mtspam.evaluate.index import Feedback, IndexEntry

__all__ = ["Run", "run_progressive"]

_BATCH_SIZE = 256
_PREDICT_EVERY = 4
"""Scoring alone is timed on one batch in so many; learning on the others, whose table rows no
scoring has warmed. The first batch pays for loading the kernels and counts only if it is alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a test-then-train pass saw: one entry for each message that counts, in order.

    Parameters
    ----------
    entries
        The messages' index lines.
    is_spam
        The truth, shape ``(n,)``.
    has_feedback
        Whether the learner was told the truth at any time, shape ``(n,)``.
    scores
        Taken before each message's own feedback.
    score_per_second
        Raw messages to scores, a second; NaN if nothing was timed.
    learn_per_second
        Raw messages scored and learnt, a second; NaN if nothing was learnt.
    """

    entries: Sequence[IndexEntry]
    is_spam: NDArray[np.bool_]
    has_feedback: NDArray[np.bool_]
    scores: Scores
    score_per_second: float
    learn_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lap:
    n: int
    prepare_seconds: float
    predict_seconds: float | None
    progress_seconds: float | None


def run_progressive(
    messages: Iterable[IndexedMessage],
    learner: Progressive,
    prepare: Callable[[Sequence[IndexedMessage]], LabelledBatch],
    *,
    is_learning: bool = True,
    on_batch: Callable[[int], None] | None = None,
) -> Run:
    """Pass once over messages in order: score each, then let it teach if its line says so.

    Parameters
    ----------
    messages
        In order of arrival; read a batch at a time.
    learner
        Changed by the run, if it learns.
    prepare
        Messages to a batch, such as `MailPreparer`.
    is_learning
        False scores all messages by the learner as it stands: no message has feedback then.
    on_batch
        Called with the number of messages done after each batch.

    Returns
    -------
    Run
        The scores of the messages that count.

    Raises
    ------
    DataError
        If a message cannot be read, or the learner scores a batch in part.
    """
    laps: list[_Lap] = []
    entries: list[IndexEntry] = []
    columns: list[ScoreColumns] = []
    for batch_messages in _batches(messages, _BATCH_SIZE):
        is_predicting = not is_learning or not laps or len(laps) % _PREDICT_EVERY == 1
        started = perf_counter()
        batch = prepare(batch_messages)
        prepared = perf_counter()
        if is_predicting:
            scores = learner.predict(batch)
        predicted = perf_counter()
        if is_learning:
            scores = learner.progress(batch)
        finished = perf_counter()
        laps.append(
            _Lap(
                n=len(batch),
                prepare_seconds=prepared - started,
                predict_seconds=predicted - prepared if is_predicting else None,
                progress_seconds=finished - predicted if is_learning else None,
            )
        )
        columns.append(scores)
        entries += [message.entry for message in batch_messages]
        if on_batch is not None:
            on_batch(len(entries))
    return _run_of(entries, columns, laps, is_learning=is_learning)


def _run_of(
    entries: list[IndexEntry], columns: list[ScoreColumns], laps: list[_Lap], *, is_learning: bool
) -> Run:
    keep = np.array([entry.is_scored for entry in entries], np.bool_)
    kept = [entry for entry in entries if entry.is_scored]
    never = {Feedback.NEVER} if is_learning else set(Feedback)
    return Run(
        entries=kept,
        is_spam=np.array([entry.is_spam for entry in kept], np.bool_),
        has_feedback=np.array([entry.feedback not in never for entry in kept], np.bool_),
        scores=Scores(
            shared=_joined([column.shared for column in columns], keep),
            personal=_joined([column.personal for column in columns], keep),
            blend=_joined([column.blend for column in columns], keep),
            probability=_joined([column.probability for column in columns], keep),
        ),
        score_per_second=_score_speed(laps),
        learn_per_second=_learn_speed(laps),
    )


def _joined(parts: list[NDArray[np.float64]], keep: NDArray[np.bool_]) -> NDArray[np.float64]:
    whole = np.concatenate([np.empty(0), *parts])
    if whole.shape != keep.shape:
        raise DataError(f"the learner gave {whole.size} scores for {keep.size} messages")
    return whole[keep]


def _score_speed(laps: list[_Lap]) -> float:
    return _speed(
        [
            (lap.n, lap.prepare_seconds + lap.predict_seconds)
            for lap in laps[1:] or laps
            if lap.predict_seconds is not None
        ]
    )


def _learn_speed(laps: list[_Lap]) -> float:
    cold = [lap for lap in laps[1:] if lap.predict_seconds is None]
    return _speed(
        [
            (lap.n, lap.prepare_seconds + lap.progress_seconds)
            for lap in cold or laps[1:] or laps
            if lap.progress_seconds is not None
        ]
    )


def _speed(timed: list[tuple[int, float]]) -> float:
    seconds = sum(spent for _, spent in timed)
    return sum(n for n, _ in timed) / seconds if seconds > 0.0 else math.nan


def _batches(items: Iterable[IndexedMessage], size: int) -> Iterator[list[IndexedMessage]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
