"""The records that go into the journal and come out of it. Nothing here does I/O."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.types import Example, GroupKey, LabelKind, UserKey

__all__ = [
    "DIGEST_BYTES",
    "KEY_BYTES",
    "Appended",
    "Counts",
    "EventBatch",
    "EventType",
    "LabelEvent",
    "StoredEvent",
    "UserSummary",
    "Withdrawal",
]

KEY_BYTES = 16
DIGEST_BYTES = 16
_MAX_SOURCE = 255
_TIME_LIMIT = 1 << 62


class EventType(StrEnum):
    """What an event of the journal does."""

    LABEL = "label"
    UNLABEL = "unlabel"
    FORGET = "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEvent:
    """Somebody's answer to one question about one message.

    Parameters
    ----------
    time
        When it was said, in seconds since 1970.
    user, group
        Keyed hashes of 16 bytes, or ``b""`` for nobody and for no group.
    kind
        The question.
    value
        The answer: 1 for yes, 0 for no.
    weight
        How much it counts, above 0.
    digest
        16 bytes that stand for the message.
    source
        Where the label came from, at most 255 characters: ``"cli"``, ``"imap"``.
    example
        What is learned.
    prior
        What the starter model said of the message (its features are not stored), 0 without one.

    Raises
    ------
    DataError
        If a field is outside its range.
    """

    time: int
    user: UserKey
    group: GroupKey
    kind: LabelKind
    value: int
    weight: float
    digest: bytes
    source: str
    example: Example
    prior: float = 0.0

    def __post_init__(self) -> None:
        for name in ("user", "group"):
            if len(getattr(self, name)) not in (0, KEY_BYTES):
                raise DataError(
                    f"a label's {name} key has {len(getattr(self, name))} bytes; "
                    f"it must have {KEY_BYTES} or none"
                )
        if len(self.digest) != DIGEST_BYTES:
            raise DataError(
                f"a label's digest has {len(self.digest)} bytes; it must have {DIGEST_BYTES}"
            )
        if self.value not in (0, 1):
            raise DataError(f"a label's value is {self.value}; it must be 0 or 1")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise DataError(f"a label's weight is {self.weight}; it must be finite and above 0")
        if not math.isfinite(self.prior):
            raise DataError(f"a label's prior is {self.prior}; it must be finite")
        if not -_TIME_LIMIT < self.time < _TIME_LIMIT:
            raise DataError(f"a label's time is {self.time}; it must be seconds since 1970")
        if len(self.source) > _MAX_SOURCE or not self.source.isprintable():
            raise DataError(
                f"a label's source {self.source[:40]!r} must be at most {_MAX_SOURCE} printable "
                "characters"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent(LabelEvent):
    """A label with its place in the journal.

    Parameters
    ----------
    seq
        Counts the events from 1 on; a number is never used twice.
    """

    seq: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Somebody takes back what was said about a message.

    Parameters
    ----------
    user
        Whose labels; None: everybody's.
    digest
        The message.
    kinds
        The questions whose answers to take back; None: all.
    source
        Where this came from.
    """

    user: UserKey | None
    digest: bytes
    kinds: tuple[LabelKind, ...] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the labels given to `Journal.append`.

    Parameters
    ----------
    n_new
        Labels of a message that this user had not labelled so.
    n_same
        Labels that stood in the journal already; they add no event.
    n_changed
        Labels that replace the contrary answer of the same user.
    first_seq, last_seq
        The events added, both ends included; ``last_seq`` is less than ``first_seq`` when none
        was.
    """

    n_new: int
    n_same: int
    n_changed: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Live labels in the order of the journal, a column for each field, all of length ``n``.

    Parameters
    ----------
    seq, time
        Shape ``(n,)``.
    user, group, kind, digest
        As in `LabelEvent`.
    value
        0 or 1, shape ``(n,)``.
    weight, prior
        Shape ``(n,)``.
    packed
        The examples, packed; `unpack_many` opens them.
    """

    seq: NDArray[np.int64]
    time: NDArray[np.int64]
    user: list[UserKey]
    group: list[GroupKey]
    kind: list[LabelKind]
    value: NDArray[np.uint8]
    weight: NDArray[np.float64]
    digest: list[bytes]
    prior: NDArray[np.float64]
    packed: list[bytes]

    def __len__(self) -> int:
        return len(self.packed)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the journal holds.

    Parameters
    ----------
    n_events
        Events of every type, superseded ones included.
    n_users
        Users with a live label; nobody counts as none.
    labels
        The number of live labels for each kind and value that occurs.
    """

    n_events: int
    n_users: int
    labels: Mapping[tuple[LabelKind, int], int]

    @property
    def n_live(self) -> int:
        """The number of live labels."""
        return sum(self.labels.values())


@dataclass(frozen=True, slots=True)
class UserSummary:
    """What the journal holds of one user.

    Parameters
    ----------
    labels
        The number of their live labels for each kind and value that occurs.
    first_time, last_time
        When the earliest and the latest of these was given, in seconds since 1970.
    """

    labels: Mapping[tuple[LabelKind, int], int]
    first_time: int
    last_time: int

    @property
    def n_live(self) -> int:
        """The number of their live labels."""
        return sum(self.labels.values())
