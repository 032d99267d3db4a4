"""What there is to say about the searches of a state as a whole."""

from dataclasses import dataclass
from pathlib import Path

from mtspam.journal.search import SearchJournal
from mtspam.ranking.versions import VersionStore
from mtspam.state import StateDirectory

__all__ = ["RankingStatus", "sum_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingStatus:
    """What a state knows of searches.

    Parameters
    ----------
    events
        How many there are of each kind.
    n_users
        Who searched or clicked.
    version
        Of the trees that are asked, empty without one.
    versions
        All that were trained, oldest first.
    """

    events: dict[str, int]
    n_users: int
    version: str
    versions: tuple[str, ...]


def sum_up(state: Path) -> RankingStatus:
    """Sum up what a state directory knows of searches.

    Raises
    ------
    JournalError, ModelError
        Where the state cannot be read.
    """
    directory, store = StateDirectory(state), VersionStore.of_state(state)
    events: dict[str, int] = {}
    n_users = 0
    if directory.journal.exists():
        with SearchJournal.open(directory.journal, directory.secret(), read_only=True) as journal:
            events, n_users = journal.counts()
    return RankingStatus(
        events=events,
        n_users=n_users,
        version=store.current() or "",
        versions=tuple(store.names()),
    )
