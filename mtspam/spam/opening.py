"""Opening a state: who writes has the lock and the journal, who reads has the snapshot."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mtspam.config import Settings
from mtspam.errors import SnapshotError
from mtspam.mail.views import N_VIEWS
from mtspam.model import Learner
from mtspam.spam.state import SECRET_BYTES, StateDirectory
from mtspam.spam.upkeep import KeptModel, load_model

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = ["load_for_reading", "load_for_writing"]

_Opened = tuple["Journal | None", KeptModel, bytes]
_OnProgress = Callable[[int], None] | None


def load_for_writing(
    directory: StateDirectory, settings: Settings, exits: ExitStack, on_progress: _OnProgress
) -> _Opened:
    """Lock the state, open its journal and bring the model up to its head.

    Raises
    ------
    JournalError
        Where the state cannot be read or written, or another process is writing to it.
    SnapshotError
        Where the snapshot was written by a newer version.
    """
    from mtspam.journal import Journal  # noqa: PLC0415 - a database library, which who reads a snapshot does without

    exits.enter_context(directory.writing())
    directory.prepare()
    secret = directory.secret()
    journal = exits.enter_context(Journal.open(directory.journal))
    return journal, load_model(directory, settings, journal, on_progress), secret


def load_for_reading(
    directory: StateDirectory, settings: Settings, exits: ExitStack, on_progress: _OnProgress
) -> _Opened:
    """Take the snapshot; open the journal only if it is younger or the snapshot does not hold.

    Raises
    ------
    JournalError
        Where the state cannot be read.
    SnapshotError
        Where the snapshot was written by a newer version.
    """
    if not directory.exists:
        return None, KeptModel(Learner(settings.model, N_VIEWS)), bytes(SECRET_BYTES)
    secret = directory.secret()
    if directory.is_blank:
        return None, KeptModel(Learner(settings.model, N_VIEWS)), secret
    if not directory.is_journal_newer():
        try:
            return None, load_model(directory, settings, None, on_progress), secret
        except SnapshotError:
            if not directory.journal.exists():
                raise
    from mtspam.journal import Journal  # noqa: PLC0415 - a database library, which who reads a snapshot does without

    # The journal knows what is newer than the snapshot, or stands in for one that does not hold.
    journal = exits.enter_context(Journal.open(directory.journal, read_only=True))
    return journal, load_model(directory, settings, journal, on_progress), secret
