"""The append-only record of labels: events, their packing, and the store.

The store and the packing are loaded when first asked for: a database library and a compiler are
not for those who only name an event.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mtspam.journal.events import (
    Appended,
    Counts,
    EventBatch,
    EventType,
    LabelEvent,
    StoredEvent,
    UserSummary,
    Withdrawal,
)

if TYPE_CHECKING:
    from mtspam.journal.packing import pack_example, unpack_example, unpack_many
    from mtspam.journal.store import Journal

__all__ = [
    "Appended",
    "Counts",
    "EventBatch",
    "EventType",
    "Journal",
    "LabelEvent",
    "StoredEvent",
    "UserSummary",
    "Withdrawal",
    "pack_example",
    "unpack_example",
    "unpack_many",
]

_LATER = {
    "Journal": "mtspam.journal.store",
    "pack_example": "mtspam.journal.packing",
    "unpack_example": "mtspam.journal.packing",
    "unpack_many": "mtspam.journal.packing",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
