"""The model as a fold of the journal: the same labels, in the same order, to the same bits."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from mtspam.ahead import ahead
from mtspam.config import ModelSettings
from mtspam.journal import EventBatch, LabelEvent, unpack_many
from mtspam.model import Batch, Learner
from mtspam.model.batch import KINDS
from mtspam.types import Features

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = ["JustWritten", "batch_of", "catch_up", "fold_journal"]

_KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
_ROOM_BYTES = 1 << 27
_BATCH = 512


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


class JustWritten:
    """Labels on their way into the journal, kept to be learnt when they are on the disk.

    Learning them from here spares reading them back. What is too much to keep is read.

    Parameters
    ----------
    room_bytes
        How much of them is kept.
    """

    def __init__(self, room_bytes: int = _ROOM_BYTES) -> None:
        self._left_bytes = room_bytes
        self._batches: list[Batch] = []

    def note(self, labels: Sequence[LabelEvent], features: Features) -> None:
        """Take in labels in the order of the journal, with their examples as one block."""
        # Once something was left out, nothing that came later may be learnt before it.
        self._left_bytes -= features.values.nbytes
        if self._left_bytes >= 0:
            self._batches.append(_batch_of_labels(labels, features))

    def learn(self, learner: Learner, position: int) -> int:
        """Learn what was kept, the first of which stands at ``position + 1``, and forget it.

        Returns
        -------
        int
            The position up to which that was; what came after is in the journal.
        """
        batches, self._batches = self._batches, []
        for batch in batches:
            learner.learn_many(batch)
            position += len(batch)
        return position


def _batch_of_labels(labels: Sequence[LabelEvent], features: Features) -> Batch:
    """Turn labels into what `batch_of` makes of them once they are in the journal."""
    return Batch(
        features=features,
        users=[label.user for label in labels],
        groups=[label.group for label in labels],
        values=np.array([label.value for label in labels], np.int8),
        kinds=np.array([_KIND_NUMBER[label.kind] for label in labels], np.int8),
        times=np.array([label.time for label in labels], np.int64),
        # A database does not tell the two zeros apart.
        priors=np.array([label.prior for label in labels], np.float64) + 0.0,
        weights=np.array([label.weight for label in labels], np.float64),
    )


def _batches(
    journal: "Journal", after: int, upto: int | None, on_progress: Callable[[int], None] | None
) -> Iterator[Batch]:
    made = map(batch_of, journal.live(after=after, upto=upto, batch_size=_BATCH))
    # To start a thread takes longer than to learn a few labels.
    first = list(islice(made, 1))
    rest = ahead(made) if first and len(first[0]) == _BATCH else ()
    for batch in chain(first, rest):
        yield batch
        if on_progress is not None:
            on_progress(len(batch))
