"""Which message a label is about, and what is learnt of it: what was judged, if that is known."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtspam.errors import JournalError
from mtspam.mail.rawfields import message_id_in
from mtspam.mail.views import N_VIEWS, View
from mtspam.spam.keys import message_digest
from mtspam.types import Example

if TYPE_CHECKING:
    from mtspam.journal import Journal
    from mtspam.journal.recent import RecentRing

__all__ = ["Recalled", "StateMemory", "digests_of", "labelled_example", "settled"]

_LEAST_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Recalled:
    """An example judged lately and the starter's margin on it."""

    example: Example
    prior: float


def settled(
    raw: bytes, said: Recalled, recall: Callable[[bytes], Recalled | None], secret: bytes
) -> tuple[bytes, Recalled]:
    """Return the digest under which a label on a message stands, and what is to be learnt.

    A message with our id that was judged lately is learnt as it was judged then, whatever fields
    were added since. If it was forgotten it is learnt as it is, under that id, so that a mind
    changed later finds the label. An id that was put into another message counts for nothing.

    Parameters
    ----------
    raw
        The message.
    said
        The message as it is now.
    recall
        Finds what is known of a digest.
    secret
        The installation's.
    """
    message_id = message_id_in(raw)
    if message_id is None:
        return message_digest(raw, secret), said
    digest = bytes.fromhex(message_id)
    recalled = recall(digest)
    if recalled is None:
        return digest, said
    if not _are_alike(said.example, recalled.example):
        return message_digest(raw, secret), said
    # A starter that was not asked when the message was judged said nothing: 0.
    return digest, Recalled(recalled.example, recalled.prior or said.prior)


def digests_of(raw: bytes, secret: bytes) -> tuple[bytes, ...]:
    """Return the digests under which a label on a message may stand.

    That of the id comes last: if it is another message's, the label is under the other one.
    """
    own = message_digest(raw, secret)
    message_id = message_id_in(raw)
    return (own,) if message_id is None else (own, bytes.fromhex(message_id))


def _are_alike(one: Example, other: Example) -> bool:
    """Tell whether two examples can be of one message, to which fields were added since."""
    n_common = n_all = 0
    for view in (View.BODY, View.TEXT):
        mine, theirs = one.views[view], other.views[view]
        common = len(np.intersect1d(mine, theirs, assume_unique=True))
        n_common += common
        n_all += len(mine) + len(theirs) - common
    return n_common >= n_all * _LEAST_ALIKE


def labelled_example(journal: "Journal", digest: bytes) -> Recalled | None:
    """Return the example that the journal has of a message, None where nobody labelled it."""
    try:
        found = journal.find(digest.hex(), limit=1)
    except JournalError:
        return None  # it is only a memory; what cannot be read is forgotten
    return Recalled(found[0].example, found[0].prior) if found else None


class StateMemory:
    """What is known of messages in a state directory: what a service judged there, and labels.

    Parameters
    ----------
    state
        The directory.
    journal
        Its journal.
    secret
        The installation's.
    """

    def __init__(self, state: Path, journal: "Journal", secret: bytes) -> None:
        self._state = state
        self._journal = journal
        self._secret = secret
        self._rings: list[RecentRing] | None = None

    def settle(self, raw: bytes, said: Recalled) -> tuple[bytes, Recalled]:
        """Return the digest under which a label stands, and what is learnt; see `settled`."""
        return settled(raw, said, self.recall, self._secret)

    def recall(self, digest: bytes) -> Recalled | None:
        """Return an example, None where it is forgotten and nobody has labelled it."""
        if self._rings is None:
            self._rings = self._open_rings()
        for ring in self._rings:
            found = ring.get(digest)
            if found is not None:
                return Recalled(*found)
        return labelled_example(self._journal, digest)

    def _open_rings(self) -> "list[RecentRing]":
        from mtspam.journal.recent import RecentRing  # noqa: PLC0415 - for mail with our id alone

        paths = sorted(self._state.glob("recent.*"))
        found = (RecentRing.open(path, n_views=N_VIEWS) for path in paths)
        return [ring for ring in found if ring is not None]
