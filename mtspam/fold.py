"""The model as a fold of the journal: the same labels, in the same order, to the same bits."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mtspam.ahead import ahead
from mtspam.config import ModelSettings
from mtspam.journal import EventBatch, unpack_many
from mtspam.model import Batch, Learner
from mtspam.model.batch import KINDS
from mtspam.types import Features

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = ["batch_of", "catch_up", "fold_journal"]

_KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}


def batch_of(events: EventBatch) -> Batch:
    """Turn labels of the journal into what the learner takes.

    Raises
    ------
    JournalError
        Where an example is torn or damaged.
    """
    values, offsets = unpack_many(events.packed, events.seq)
    return Batch(
        features=Features(values, offsets),
        users=events.user,
        groups=events.group,
        values=events.value.astype(np.int8),
        kinds=np.array([_KIND_NUMBER[kind] for kind in events.kind], np.int8),
        times=events.time,
        priors=events.prior,
        weights=events.weight,
    )


def fold_journal(
    journal: "Journal",
    settings: ModelSettings,
    n_views: int,
    *,
    upto: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Learner:
    """Learn every label that is live at a position, from nothing.

    Parameters
    ----------
    journal
        Where the labels are.
    settings
        Sizes and rates.
    n_views
        Views of an example.
    upto
        Position in the journal; None: its head.
    on_progress
        Called with the number of labels just learnt.

    Returns
    -------
    Learner
        The same bits for the same labels and settings, on the same platform.

    Raises
    ------
    JournalError
        Where the journal cannot be read or is damaged.
    """
    learner = Learner(settings, n_views)
    for batch in _batches(journal, 0, upto, on_progress):
        learner.learn_many(batch)
    return learner


def catch_up(learner: Learner, journal: "Journal", position: int) -> None:
    """Learn the labels that came after `position`, where all before it still stand.

    Raises
    ------
    JournalError
        Where the journal cannot be read or is damaged.
    """
    for batch in _batches(journal, position, None, None):
        learner.learn_many(batch)


def _batches(
    journal: "Journal", after: int, upto: int | None, on_progress: Callable[[int], None] | None
) -> Iterator[Batch]:
    for batch in ahead(map(batch_of, journal.live(after=after, upto=upto))):
        yield batch
        if on_progress is not None:
            on_progress(len(batch))
