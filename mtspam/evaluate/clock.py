"""The clock of messages whose index tells no time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from mtspam.evaluate.index import IndexEntry

__all__ = ["MESSAGES_PER_DAY", "stated_time", "with_times"]

MESSAGES_PER_DAY = 20
"""What an office worker's mailbox gets, about; a user's voice in the shared level is per day."""

_SECONDS_PER_DAY = 86_400


def stated_time(position: int) -> int:
    """Return when a user's message arrives, by its position among theirs, in Unix seconds.

    Parameters
    ----------
    position
        How many messages of that user came before.
    """
    return position * _SECONDS_PER_DAY // MESSAGES_PER_DAY


def with_times(entries: Iterable[IndexEntry]) -> list[IndexEntry]:
    """Give each entry without a time the one of a stated clock: 20 messages a day for each user.

    The clock starts with 1970 and counts, for each user apart, the entries that tell no time; the
    mail of nobody is one user's. Times that the index tells stay as they are.

    Parameters
    ----------
    entries
        In order of arrival.
    """
    seen: Counter[str | None] = Counter()
    timed = []
    for entry in entries:
        if entry.time is None:
            timed.append(replace(entry, time=stated_time(seen[entry.user])))
            seen[entry.user] += 1
        else:
            timed.append(entry)
    return timed
