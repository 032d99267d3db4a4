"""The learner on disk: taken from the snapshot if it holds, else folded from the journal."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtspam.config import Settings
from mtspam.errors import ModelError, NewerSnapshotError, SnapshotError
from mtspam.fold import catch_up, fold_journal
from mtspam.mail.views import N_VIEWS
from mtspam.model import Learner
from mtspam.snapshot import JSON, read_snapshot, write_snapshot
from mtspam.spam.records import FoldCheck, FoldReport
from mtspam.spam.state import StateDirectory

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = ["KeptModel", "check_model", "fold_model", "load_model", "save_model", "write_model"]


@dataclass(slots=True)
class KeptModel:
    """A learner and where in the journal it stands.

    Parameters
    ----------
    learner
        The model.
    position
        Place in the journal up to which it has learnt.
    n_corrections
        How often learnt labels were taken back or changed since the last fold from nothing: 0
        means that the model is the journal's fold to the last bit.
    is_saved
        Whether the snapshot says the same.
    fold_seconds
        How long it took to fold it from nothing; None where it was not, or has learnt since, or
        was told already.
    """

    learner: Learner
    position: int = 0
    n_corrections: int = 0
    is_saved: bool = False
    fold_seconds: float | None = None

    def told_fold(self) -> FoldReport:
        """Return what is to be told of the fold, once: who asks again has it done again."""
        seconds, self.fold_seconds = self.fold_seconds or 0.0, None
        return FoldReport(self.learner.n_events, self.position, seconds)


def load_model(
    directory: StateDirectory,
    settings: Settings,
    journal: "Journal | None",
    on_progress: Callable[[int], None] | None = None,
) -> KeptModel:
    """Bring the model up to the head of the journal in the cheapest way that is right.

    Parameters
    ----------
    directory
        Where the snapshot is.
    settings
        The model's.
    journal
        Open; None trusts the snapshot, as a reader does that saw no newer journal.
    on_progress
        Called with the number of labels just learnt, if the journal has to be folded.

    Raises
    ------
    NewerSnapshotError
        Where the snapshot was written by a newer version.
    SnapshotError
        Without a journal to rebuild it from, if the snapshot does not hold.
    JournalError
        Where the journal cannot be read or is damaged.
    """
    try:
        kept = _from_snapshot(directory, settings, journal)
    except NewerSnapshotError:
        raise
    except SnapshotError:
        if journal is None:
            raise
        kept = None
    if kept is None:
        if journal is None:
            raise SnapshotError(
                f"snapshot {directory.snapshot}: it was made with other settings; rebuild it with "
                "`mtspam fold`"
            )
        return fold_model(journal, settings, on_progress=on_progress)
    if journal is not None and journal.head() > kept.position:
        catch_up(kept.learner, journal, kept.position)
        kept.position = journal.head()
        kept.is_saved = False
    return kept


def fold_model(
    journal: "Journal",
    settings: Settings,
    *,
    upto: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> KeptModel:
    """Fold the journal from nothing."""
    began = time.perf_counter()
    position = journal.head() if upto is None else upto
    learner = fold_journal(
        journal, settings.model, N_VIEWS, upto=position, on_progress=on_progress
    )
    return KeptModel(learner, position, fold_seconds=time.perf_counter() - began)


def _from_snapshot(
    directory: StateDirectory, settings: Settings, journal: "Journal | None"
) -> KeptModel | None:
    """Read the snapshot; None where it is of other settings, another journal or overtaken."""
    if not directory.snapshot.exists() and journal is not None:
        return None
    found = read_snapshot(directory.snapshot, verify=False)
    header = found.header
    # A snapshot made for something else may lack a field or an array.
    if header.get("settings") != settings.digest() or header.get("n_views") != N_VIEWS:
        return None
    position = int(header["position"])
    if journal is not None and (
        header["journal"] != journal.identity
        or position > journal.head()
        or not journal.is_intact(position)
    ):
        return None
    try:
        learner = Learner.from_arrays(settings.model, found.arrays)
    except ModelError:
        return None
    return KeptModel(learner, position, int(header["n_corrections"]), is_saved=True)


def save_model(
    directory: StateDirectory, settings: Settings, journal_id: str, kept: KeptModel
) -> None:
    """Write the snapshot, whole or not at all.

    Raises
    ------
    SnapshotError
        Where it cannot be written; the old one stays.
    """
    try:
        write_model(directory.snapshot, settings, journal_id, kept)
    except SnapshotError as error:
        raise SnapshotError(f"{error}; the journal has every label") from error
    kept.is_saved = True


def write_model(path: Path, settings: Settings, journal_id: str, kept: KeptModel) -> None:
    """Write a model as a snapshot to any place, whole or not at all.

    Raises
    ------
    SnapshotError
        Where it cannot be written; what was there stays.
    """
    header: dict[str, JSON] = {
        "settings": settings.digest(),
        "n_views": N_VIEWS,
        "position": kept.position,
        "journal": journal_id,
        "n_corrections": kept.n_corrections,
    }
    write_snapshot(path, header, kept.learner.arrays())


def check_model(
    directory: StateDirectory,
    settings: Settings,
    on_progress: Callable[[int], None] | None = None,
) -> FoldCheck:
    """Fold the journal up to the snapshot's place and compare every bit with the snapshot.

    Raises
    ------
    SnapshotError
        Where the snapshot is missing, torn or damaged.
    JournalError
        Where the journal is missing or damaged.
    """
    from mtspam.journal import Journal  # noqa: PLC0415 - a database library, which who reads a snapshot does without

    with Journal.open(directory.journal, read_only=True) as journal:
        return _compared(directory, settings, journal, on_progress)


def _compared(
    directory: StateDirectory,
    settings: Settings,
    journal: "Journal",
    on_progress: Callable[[int], None] | None,
) -> FoldCheck:
    n_events = journal.check()
    found = read_snapshot(directory.snapshot, verify=True)
    position, head = int(found.header.get("position", -1)), journal.head()
    here = {"settings": settings.digest(), "journal": journal.identity}
    differences = [name for name, value in here.items() if found.header.get(name) != value]
    if not 0 <= position <= head:
        differences.append("position")
    fresh = fold_model(journal, settings, upto=position, on_progress=on_progress).learner.arrays()
    differences += [
        name
        for name in sorted(fresh.keys() | found.arrays.keys())
        if name not in fresh
        or name not in found.arrays
        or not _is_same(fresh[name], found.arrays[name])
    ]
    return FoldCheck(
        not differences,
        n_events,
        tuple(differences),
        position,
        head,
        int(found.header.get("n_corrections", 0)),
    )


def _is_same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Compare bits: for numbers, two zeros are equal, and what is not a number never is."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return np.array_equal(_bits(one), _bits(other))


def _bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
