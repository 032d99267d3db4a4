"""Labels taken back: out of the journal, and so out of the next fold."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtspam.errors import DataError
from mtspam.journal import LabelEvent
from mtspam.types import LabelKind, UserKey

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = ["Cleared", "take_back"]

_LEAST_DIGITS = 8
_ALL = (1 << 63) - 1  # SQL's largest number: a newsletter may have more labels than any limit
_SOURCE = "api"


def take_back(journal: "Journal", ids: Iterable[str], user: UserKey | None) -> int:
    """Take back what was said about a message, and return how many labels that were.

    Parameters
    ----------
    journal
        Where the labels are.
    ids
        The message's digest or the first digits of it, in hexadecimal; of several that it may
        have, the first under which there are labels counts.
    user
        Whose labels; None: everybody's.

    Raises
    ------
    DataError
        Where the id is no id, or stands for several messages.
    JournalError
        Where the journal cannot be written to.
    """
    return next(filter(None, (_take_back(journal, one, user) for one in ids)), 0)


def _take_back(journal: "Journal", message_id: str, user: UserKey | None) -> int:
    if len(message_id) < _LEAST_DIGITS:
        raise DataError(
            f"id {message_id!r} is too short; give {_LEAST_DIGITS} digits of it or more"
        )
    found = journal.find(message_id, user=user, limit=_ALL)
    digests = {event.digest for event in found}
    if len(digests) > 1:
        raise DataError(f"id {message_id!r} stands for {len(digests)} messages; give more digits")
    for digest in digests:
        if user is None:
            journal.unlabel_everywhere(digest, source=_SOURCE)
        else:
            journal.unlabel(user, digest, source=_SOURCE)
    return len(found)


class Cleared:
    """Messages that somebody calls ham, who may have called them phishing before."""

    def __init__(self) -> None:
        self._hams: set[tuple[UserKey, bytes]] = set()

    def note(self, events: Iterable[LabelEvent]) -> None:
        """Take in labels in the order in which they were given."""
        for event in events:
            if event.kind is LabelKind.SPAM:
                change = self._hams.discard if event.value else self._hams.add
                change((event.user, event.digest))

    def retract(self, journal: "Journal") -> None:
        """Take back who called one of them phishing: ham is the contrary of that, too.

        Raises
        ------
        JournalError
            Where the journal cannot be written to.
        """
        if journal.counts().labels.get((LabelKind.PHISHING, 1)):
            for user, digest in sorted(self._hams):
                journal.unlabel(user, digest, [LabelKind.PHISHING], source=_SOURCE)
