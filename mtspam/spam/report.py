"""What there is to say about a state as a whole: its users, its health."""

from mtspam.config import Settings
from mtspam.journal import Counts
from mtspam.model import Learner
from mtspam.model.register import MOVED
from mtspam.spam.records import Status, UserInfo
from mtspam.spam.state import StateDirectory
from mtspam.spam.upkeep import KeptModel
from mtspam.types import LabelKind

__all__ = ["list_users", "sum_up"]


def list_users(directory: StateDirectory, learner: Learner) -> list[UserInfo]:
    """List who has labels, most labels first.

    Raises
    ------
    JournalError
        Where the journal cannot be read.
    """
    if not directory.journal.exists():
        return []
    from mtspam.journal import Journal  # noqa: PLC0415 - a database library, which who reads a snapshot does without

    with Journal.open(directory.journal, read_only=True) as journal:
        found = journal.users()
    users = []
    for key, summary in found.items():
        row = learner.users.row(key)
        n_spam = summary.labels.get((LabelKind.SPAM, 1), 0)
        users.append(
            UserInfo(
                key=key.hex(),
                n_labels=n_spam + summary.labels.get((LabelKind.SPAM, 0), 0),
                n_spam=n_spam,
                first_time=summary.first_time,
                last_time=summary.last_time,
                moved=float(learner.users.figures[row, MOVED]) if row >= 0 else 0.0,
            )
        )
    return sorted(users, key=lambda user: (-user.n_labels, user.key))


def sum_up(
    directory: StateDirectory, settings: Settings, kept: KeptModel, *, has_starter: bool
) -> Status:
    """Sum up a state.

    Raises
    ------
    JournalError
        Where the journal cannot be read.
    """
    counts, head = Counts(0, 0, {}), 0
    if directory.journal.exists():
        from mtspam.journal import Journal  # noqa: PLC0415 - a database library, which who reads a snapshot does without

        with Journal.open(directory.journal, read_only=True) as journal:
            counts, head = journal.counts(), journal.head()
    labels: dict[str, int] = {}
    for (kind, value), n in counts.labels.items():
        name = kind.value if value else "ham" if kind is LabelKind.SPAM else f"no {kind.value}"
        labels[name] = n
    return Status(
        state=str(directory.path),
        n_events=counts.n_events,
        labels=labels,
        n_users=counts.n_users,
        position=kept.position,
        head=head,
        is_current=kept.position == head,
        is_exact=kept.n_corrections == 0,
        noise=kept.learner.noise,
        bytes_on_disk=directory.size_bytes() if directory.exists else 0,
        has_starter=has_starter,
        settings_digest=settings.digest(),
    )
