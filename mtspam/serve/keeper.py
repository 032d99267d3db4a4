"""The model and its journal as the writer keeps them: labels, folds, snapshots. No sockets."""

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from mtspam.config import Settings
from mtspam.errors import MtspamError, NewerSnapshotError, SnapshotError
from mtspam.fold import batch_of
from mtspam.journal import Appended, Journal, LabelEvent, Withdrawal
from mtspam.mail.views import N_VIEWS
from mtspam.model import Learner
from mtspam.serve.background import Fold, Snapshot
from mtspam.serve.contract import LearnOutcome
from mtspam.serve.live import LiveArea, copy_sparsely
from mtspam.serve.parts import Removal
from mtspam.serve.submissions import Change
from mtspam.snapshot import read_snapshot
from mtspam.spam.state import StateDirectory
from mtspam.spam.upkeep import KeptModel, load_model, write_model
from mtspam.types import LabelKind, UserKey

__all__ = ["ModelKeeper", "load_quickly"]

_log = logging.getLogger(__name__)

_RELEASE_SECONDS = 5.0
_MOST_UNSAVED = 1_000
_LEAST_SNAPSHOT_SECONDS = 10.0
_Entry = Sequence[LabelEvent] | Withdrawal


def load_quickly(directory: StateDirectory, settings: Settings, journal: Journal) -> KeptModel:
    """Load a model to begin with: exact where that is quick, else one that is to be folded soon.

    Raises
    ------
    NewerSnapshotError
        Where the snapshot was written by a newer version.
    JournalError
        Where the journal cannot be read or is damaged.
    """
    try:
        found = read_snapshot(directory.snapshot, verify=False)
        header = found.header
        position = int(header["position"])
        is_ours = (header["settings"], header["n_views"], header["journal"]) == (
            settings.digest(),
            N_VIEWS,
            journal.identity,
        )
        if not is_ours or position > journal.head() or journal.is_intact(position):
            return load_model(directory, settings, journal)
        learner = Learner.from_arrays(settings.model, found.arrays)
    except NewerSnapshotError:
        raise
    except (SnapshotError, KeyError, MtspamError):
        return load_model(directory, settings, journal)
    # Labels that it has learnt were changed or taken back. To fold now would take who knows how
    # long, and nobody could teach meanwhile.
    return KeptModel(learner, position, int(header["n_corrections"]) + 1)


class ModelKeeper:
    """Writes changes into the journal, learns them, folds and saves when it is time.

    Of one process, which holds the state's lock.

    Parameters
    ----------
    directory
        The state.
    settings
        All of them.
    journal
        Open for writing.
    area
        Where the live model is to be.
    wake
        Called from another thread when `tend` has something to do.
    """

    def __init__(
        self,
        directory: StateDirectory,
        settings: Settings,
        journal: Journal,
        area: LiveArea,
        wake: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._journal = journal
        self._area = area
        self._wake = wake
        kept = load_quickly(directory, settings, journal)
        self._position = kept.position
        self._n_corrections = kept.n_corrections
        self._saved_position = kept.position if kept.is_saved else -1
        self._is_fold_due = kept.n_corrections > 0
        # Labels taken back are still in the model: not to be saved as if they were not.
        self._has_removed = self._is_fold_due
        self._learner = area.publish(kept.learner)
        self._fold: Fold | None = None
        self._snapshot: Snapshot | None = None
        self._folded = 0
        # Who was forgotten before may be in what this begins with.
        self._last_forgotten = self._position if self._is_fold_due else 0
        self._no_fold_before = 0.0
        self._last_snapshot = time.monotonic()
        self._release_at = time.monotonic() + _RELEASE_SECONDS
        self._follow()
        area.note_snapshot(max(self._saved_position, 0))

    # Changes.

    def commit(self, changes: Sequence[Change]) -> list[LearnOutcome]:
        """Write changes in one transaction, all or none, and learn them.

        Returns
        -------
        list
            What became of each. Then it is on the disk, and every worker judges by it.

        Raises
        ------
        JournalError
            Where the journal cannot be written to; then it is as it was.
        """
        entries: list[_Entry] = []
        spans: list[tuple[int, int]] = []
        for change in changes:
            first = len(entries)
            entries += _entries(change)
            spans.append((first, len(entries)))
        done = self._journal.commit(entries)
        outcomes = [
            _outcome(change, done[first:last])
            for change, (first, last) in zip(changes, spans, strict=True)
        ]
        has_removed = any(one is LearnOutcome.REMOVED for one in outcomes)
        has_changed = any(one is LearnOutcome.CHANGED for one in outcomes)
        try:
            # What was said and taken back at once was never learnt.
            if (has_removed or has_changed) and not self._journal.is_intact(self._position):
                self._n_corrections += 1
                self._is_fold_due = True
                self._has_removed |= has_removed
            self._follow()
        except MtspamError:
            # The labels are on the disk, which is what was promised; a fold will find them.
            _log.exception("labels were written but not learnt yet")
            self._n_corrections += 1
            self._is_fold_due = True
        return outcomes

    def _follow(self) -> None:
        """Learn what is new in the journal."""
        head = self._journal.head()
        if head > self._position:
            self._position = _learn(self._learner, self._journal, self._position, head)
        self._area.note(self._learner, position=self._position, n_corrections=self._n_corrections)

    # Forgetting.

    @property
    def is_quiet(self) -> bool:
        """Whether no fold reads the journal and no snapshot is being written."""
        return self._fold is None and self._snapshot is None

    @property
    def folded(self) -> int:
        """Place in the journal up to which the model in use was folded from nothing; 0: none."""
        return self._folded

    def forget(self, *users: UserKey) -> tuple[int, int]:
        """Delete all that a user ever said, by all their keys; to be called while `is_quiet`.

        Returns
        -------
        tuple
            How many events were deleted, and the place that `folded` must reach until the model
            in use holds nothing of them.

        Raises
        ------
        JournalError
            Where the journal cannot be written to, or traces stay in its file.
        """
        # Were this process to end after the deletion, the next writer would begin with what the
        # snapshot holds.
        self._directory.drop_snapshot()
        self._saved_position = -1
        self._area.note_snapshot(0)
        head = self._journal.head()
        try:
            n_events = self._journal.forget(*users)
        finally:
            if self._journal.head() > head:
                self._last_forgotten = self._journal.head()
                self._n_corrections += 1
                self._is_fold_due = self._has_removed = True
                self._no_fold_before = 0.0
                self._follow()
        return n_events, self._last_forgotten

    # Upkeep.

    def tend(self) -> None:
        """Do what is due: begin and end folds and snapshots, which run in threads."""
        now = time.monotonic()
        if self._fold is not None and not self._fold.is_running:
            self._end_fold()
        if self._snapshot is not None and not self._snapshot.is_running:
            self._end_snapshot()
        if self._is_fold_due and self._fold is None and now >= self._no_fold_before:
            self._is_fold_due = False
            self._fold = Fold(self._directory, self._settings, self._journal.head(), self._wake)
        if self._is_snapshot_due(now):
            self._last_snapshot = now
            if self._snapshot is None and self._is_worth_saving:
                self._snapshot = Snapshot(
                    self._directory, self._settings, self._kept(), self._wake
                )
        if self._release_at and now >= self._release_at:
            self._release_at = 0.0
            self._area.release()

    def _is_snapshot_due(self, now: float) -> bool:
        age = now - self._last_snapshot
        # Whoever starts again has this much to learn again: a second's work, at most.
        is_behind = self._position - self._saved_position >= _MOST_UNSAVED
        return age >= self._settings.serve.snapshot_seconds or (
            is_behind and age >= _LEAST_SNAPSHOT_SECONDS
        )

    @property
    def _is_worth_saving(self) -> bool:
        return self._position != self._saved_position and not self._has_removed

    def _end_fold(self) -> None:
        fold, self._fold = self._fold, None
        if fold is None:
            return
        now, share = time.monotonic(), self._settings.serve.fold_share
        self._no_fold_before = now + fold.seconds * (1.0 / share - 1.0)
        self._is_fold_due = True  # until this one has taken its place
        if fold.kept is None:
            _log.error("folding failed, the model stays inexact", extra={"error": fold.error})
            self._no_fold_before = now + self._settings.serve.snapshot_seconds
            return
        learner, position = fold.kept.learner, fold.kept.position
        is_intact = self._journal.is_intact(position)
        position = _learn(learner, self._journal, position, self._journal.head())
        self._learner = self._area.publish(learner)
        self._position = position
        self._folded = fold.kept.position
        self._n_corrections = 0 if is_intact else 1
        self._is_fold_due = not is_intact
        self._has_removed &= not is_intact
        self._release_at = now + _RELEASE_SECONDS
        self._area.note_refold()
        self._follow()
        _log.info(
            "folded anew",
            extra={"seconds": round(fold.seconds, 3), "position": position, "exact": is_intact},
        )

    def _end_snapshot(self) -> None:
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is None:
            return
        if snapshot.error:
            _log.error("no snapshot was written", extra={"error": snapshot.error})
            return
        self._saved_position = snapshot.position
        self._area.note_snapshot(snapshot.position)

    def _kept(self) -> KeptModel:
        """Copy the model, so that it can be written while learning goes on."""
        arrays = {}
        for name, array in self._learner.arrays().items():
            source = np.ascontiguousarray(array)
            arrays[name] = np.zeros(array.shape, array.dtype)
            copy_sparsely(source, arrays[name])
        learner = Learner.from_arrays(self._settings.model, arrays)
        return KeptModel(learner, self._position, self._n_corrections)

    def close(self) -> None:
        """Write the last snapshot and let go of the journal.

        Raises
        ------
        SnapshotError
            Where it cannot be written; no label is lost, the journal has them all.
        """
        if self._snapshot is not None:
            self._snapshot.join()
            self._end_snapshot()
        if not self._is_worth_saving or self._journal.head() != self._position:
            self._journal.close()
            return
        identity = self._journal.identity
        # The log goes into the journal's file first: readers take the younger file for the truth.
        self._journal.close()
        kept = KeptModel(self._learner, self._position, self._n_corrections)
        write_model(self._directory.snapshot, self._settings, identity, kept)
        self._area.note_snapshot(self._position)


def _learn(learner: Learner, journal: Journal, after: int, upto: int) -> int:
    """Learn the live labels between two places; return up to where that is done."""
    for events in journal.live(after=after, upto=upto):
        learner.learn_many(batch_of(events))
    return upto


def _entries(change: Change) -> list[_Entry]:
    if isinstance(change, Removal):
        return [Withdrawal(change.user, change.digest, None, change.source)]
    # Ham is the contrary of phishing, too, which is another question.
    return [
        change,
        *(
            Withdrawal(event.user, event.digest, (LabelKind.PHISHING,), event.source)
            for event in change
            if event.kind is LabelKind.SPAM and event.value == 0
        ),
    ]


def _outcome(change: Change, done: Sequence[Appended | int]) -> LearnOutcome:
    if isinstance(change, Removal):
        return LearnOutcome.REMOVED if done[0] else LearnOutcome.UNKNOWN
    first = done[0]
    if isinstance(first, int):
        raise TypeError("labels were answered as a withdrawal")
    if first.n_changed or any(isinstance(one, int) and one for one in done):
        return LearnOutcome.CHANGED
    return LearnOutcome.NEW if first.n_new else LearnOutcome.SAME
