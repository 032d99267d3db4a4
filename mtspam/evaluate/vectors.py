"""Test, then train over inboxes of word counts: how good each level is at each stage."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.evaluate.clock import stated_time
from mtspam.evaluate.contract import LabelledBatch, Progressive, Scores
from mtspam.evaluate.wordcounts import WordCounts
from mtspam.metrics.binary import roca
from mtspam.types import NOBODY, Features, Label, UserKey

__all__ = ["STAGES", "InboxAuc", "LevelAuc", "VectorsReport", "run_vectors"]

STAGES = ("auc_all", "auc_first_50", "auc_second_half")

_FIRST = 50
_BATCH_SIZE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelAuc:
    """Areas under the ROC, from 0 to 1; NaN where undefined.

    Parameters
    ----------
    auc_all
        Over all messages of an inbox, or the mean over inboxes.
    auc_first_50
        Over its first 50.
    auc_second_half
        Over its second half.
    """

    auc_all: float
    auc_first_50: float
    auc_second_half: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxAuc:
    """One inbox by level.

    Parameters
    ----------
    path
        Its file.
    n
        Its messages.
    shared, personal, blend
        Its areas by what is believed.
    """

    path: str
    n: int
    shared: LevelAuc
    personal: LevelAuc
    blend: LevelAuc


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorsReport:
    """Means over inboxes; an inbox where a stage lacks a class does not count there.

    Parameters
    ----------
    shared, personal, blend
        Mean areas.
    n, n_train, n_inboxes
        Messages in inboxes, training messages, inboxes.
    seed
        Of the order.
    inboxes
        Each inbox, in the order given.
    """

    shared: LevelAuc
    personal: LevelAuc
    blend: LevelAuc
    n: int
    n_train: int
    n_inboxes: int
    seed: int
    inboxes: Sequence[InboxAuc]


def run_vectors(
    train: Sequence[WordCounts],
    inboxes: Sequence[WordCounts],
    learner: Progressive,
    *,
    seed: int = 0,
) -> VectorsReport:
    """Learn the training files for everybody, then test and train over the inboxes.

    The training messages are shuffled together. Inboxes have no order in time: each is shuffled,
    then they take turns, one message each, longer ones going on alone at the end. Each inbox is a
    user of its own that gets 20 messages a day, and each message has feedback at once.

    Parameters
    ----------
    train
        Labelled messages of no user; may be empty.
    inboxes
        One file a user.
    learner
        For examples of one view; changed by the run.
    seed
        Of the shuffling.

    Returns
    -------
    VectorsReport
        A stage is a part of an inbox's own shuffled order.

    Raises
    ------
    DataError
        If there is no inbox or a score is NaN.
    """
    if not inboxes:
        raise DataError("no inbox to evaluate")
    generator = np.random.default_rng(seed)
    public = [(file, i) for file in train for i in range(len(file))]
    public = [public[i] for i in generator.permutation(len(public))]
    _progress(learner, [_Told(file, i, NOBODY, 0) for file, i in public])
    turns = _turns(inboxes, generator)
    scores = _progress(learner, _told_in_turn(inboxes, turns))
    owners = np.array([k for k, _ in turns])
    is_spam = np.array([inboxes[k].labels[i] is Label.SPAM for k, i in turns], np.bool_)
    each = [
        _inbox_auc(inbox, scores, is_spam, np.flatnonzero(owners == k))
        for k, inbox in enumerate(inboxes)
    ]
    return VectorsReport(
        shared=_mean_auc([inbox.shared for inbox in each]),
        personal=_mean_auc([inbox.personal for inbox in each]),
        blend=_mean_auc([inbox.blend for inbox in each]),
        n=len(turns),
        n_train=len(public),
        n_inboxes=len(inboxes),
        seed=seed,
        inboxes=each,
    )


def _told_in_turn(inboxes: Sequence[WordCounts], turns: list[tuple[int, int]]) -> "list[_Told]":
    seen = Counter[int]()
    told = []
    for k, i in turns:
        told.append(_Told(inboxes[k], i, _user(k), stated_time(seen[k])))
        seen[k] += 1
    return told


def _turns(inboxes: Sequence[WordCounts], generator: np.random.Generator) -> list[tuple[int, int]]:
    """Return inbox and line of each message, inboxes shuffled and taking turns."""
    orders = [generator.permutation(len(inbox)) for inbox in inboxes]
    return [
        (k, int(order[turn]))
        for turn in range(max(map(len, orders)))
        for k, order in enumerate(orders)
        if turn < len(order)
    ]


def _user(k: int) -> bytes:
    return hashlib.blake2b(b"inbox %d" % k, digest_size=16).digest()


class _Told(NamedTuple):
    """A message of a file, whose it is and when it comes."""

    file: WordCounts
    line: int
    user: bytes
    time: int


def _progress(learner: Progressive, messages: Sequence[_Told]) -> Scores:
    columns = []
    for start in range(0, len(messages), _BATCH_SIZE):
        part = messages[start : start + _BATCH_SIZE]
        batch = LabelledBatch(
            features=Features.from_examples([told.file.examples[told.line] for told in part]),
            users=[UserKey(told.user) for told in part],
            labels=[told.file.labels[told.line] for told in part],
            has_feedback=np.ones(len(part), np.bool_),
            times=np.array([told.time for told in part], np.int64),
        )
        columns.append(learner.progress(batch))
    return Scores(
        shared=_joined(column.shared for column in columns),
        personal=_joined(column.personal for column in columns),
        blend=_joined(column.blend for column in columns),
        probability=_joined(column.probability for column in columns),
    )


def _joined(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *parts])


def _inbox_auc(
    inbox: WordCounts, scores: Scores, is_spam: NDArray[np.bool_], which: NDArray[np.intp]
) -> InboxAuc:
    truth = is_spam[which]
    return InboxAuc(
        path=str(inbox.path),
        n=len(inbox),
        shared=_level_auc(truth, scores.shared[which]),
        personal=_level_auc(truth, scores.personal[which]),
        blend=_level_auc(truth, scores.blend[which]),
    )


def _level_auc(is_spam: NDArray[np.bool_], scores: NDArray[np.float64]) -> LevelAuc:
    half = is_spam.size // 2
    return LevelAuc(
        auc_all=roca(is_spam, scores),
        auc_first_50=roca(is_spam[:_FIRST], scores[:_FIRST]),
        auc_second_half=roca(is_spam[half:], scores[half:]),
    )


def _mean_auc(levels: Sequence[LevelAuc]) -> LevelAuc:
    return LevelAuc(
        auc_all=_mean([level.auc_all for level in levels]),
        auc_first_50=_mean([level.auc_first_50 for level in levels]),
        auc_second_half=_mean([level.auc_second_half for level in levels]),
    )


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
