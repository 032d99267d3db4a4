"""The tables of the journal and the check number of a row. Nothing here does I/O."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

__all__ = [
    "APPLICATION_ID",
    "CHECKED",
    "LIVE",
    "SCHEMA_VERSION",
    "events",
    "examples",
    "meta",
    "row_check",
    "search_events",
]

SCHEMA_VERSION = 2
"""1 had no events of searches."""
APPLICATION_ID = 0x6D747370
"""Marks the file as ours ("mtsp"), so that another program's database is refused."""

LIVE = "event = 'label' AND superseded_by IS NULL"
"""Said in the same words by the partial index and by the queries, or SQLite would not use it."""


class _Bytes(sa.LargeBinary):
    """Bytes that the driver takes and gives as they are: a twentieth of the time of learning."""

    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> None:
        """Wrap nothing on the way in."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> None:
        """Copy nothing on the way out."""


_metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

events = sa.Table(
    "events",
    _metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("user", _Bytes, nullable=False),
    sa.Column("group", _Bytes, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.BigInteger, nullable=False),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Column("digest", _Bytes, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("prior", sa.Double, nullable=False),
    sa.Column("row_check", sa.BigInteger, nullable=False),
    sa.Column("superseded_by", sa.BigInteger),
)

# Apart from the events, so that superseding, counting and forgetting touch small rows only.
examples = sa.Table(
    "examples",
    _metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("packed", _Bytes, nullable=False),
)

search_events = sa.Table(
    "search_events",
    _metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("id", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("user", sa.LargeBinary, nullable=False),
    sa.Column("about", sa.LargeBinary, nullable=False),
    sa.Column("packed", sa.LargeBinary, nullable=False),
    sa.Column("row_check", sa.BigInteger, nullable=False),
)

sa.Index(
    "live_labels",
    events.c.digest,
    events.c.user,
    events.c.kind,
    unique=True,
    sqlite_where=sa.text(LIVE),
    postgresql_where=sa.text(LIVE),
)

CHECKED = tuple(column for column in events.c if column.name not in {"row_check", "superseded_by"})
"""The columns that `row_check` covers, in its order."""

_NUMBERS = struct.Struct("<qqqdd")
_PACKED_HEAD = 6


def row_check(row: Sequence[Any], packed: bytes = b"") -> int:
    """Return the check number of an event and of the head of its example.

    Parameters
    ----------
    row
        The values of `CHECKED`.
    packed
        The packed example; its own check number stands in its head and covers the rest of it.

    Raises
    ------
    struct.error, TypeError, ValueError
        If a value is of another type, as in a damaged file.
    """
    seq, event, time, user, group, kind, value, weight, digest, source, prior = row
    numbers = _NUMBERS.pack(seq, time, value, weight, prior)
    words = f"{event} {kind} {source}".encode()
    return zlib.crc32(b"|".join((numbers, user, group, digest, words, packed[:_PACKED_HEAD])))
