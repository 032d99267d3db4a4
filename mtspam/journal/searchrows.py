"""What is done to the table of search events, each inside a transaction of the caller."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from mtspam.errors import JournalError
from mtspam.journal.schema import search_events
from mtspam.types import NOBODY, UserKey

__all__ = [
    "Placed",
    "Row",
    "append",
    "audit",
    "counts",
    "forget",
    "forgotten_since",
    "head",
    "latest_rankings",
    "latest_time",
    "order",
    "rows",
]

FORGET = "forget"
_IDS_A_QUERY = 500
_AUDIT_ROWS = 2_000
_NUMBERS = struct.Struct("<qq")
_NAMES = ("seq", "kind", "time", "id", "user", "about", "packed")
_COLUMNS = [search_events.c[name] for name in _NAMES]

_SHOWN = search_events.alias("shown")
_IS_EARLY = sa.or_(
    _SHOWN.c.time > search_events.c.time,
    sa.and_(_SHOWN.c.time == search_events.c.time, _SHOWN.c.seq > search_events.c.seq),
)
_MOMENT = (
    sa.case((_IS_EARLY, _SHOWN.c.time), else_=search_events.c.time),
    sa.case((_IS_EARLY, _SHOWN.c.seq), else_=search_events.c.seq),
    sa.case((_IS_EARLY, 1), else_=0),
    search_events.c.time,
    search_events.c.seq,
)
"""By what events are folded: an interaction before its ranking has the ranking's place."""


class Placed(NamedTuple):
    """Where an event stands in the order of folding.

    Parameters
    ----------
    seq, kind
        Its number and kind.
    moment
        When it counts: its own time, or that of its ranking if it came before it.
    about
        The ranking's id, of it or in which it was done; empty without one.
    is_orphan
        Whether that ranking is not in the journal.
    """

    seq: int
    kind: str
    moment: int
    about: str
    is_orphan: bool


Row = tuple[int, str, int, bytes, bytes, bytes, bytes]
"""Number, kind, time, id, user, ranking, packed event."""


def head(connection: sa.Connection) -> int:
    """Return the number of the last event, 0 if there is none."""
    if not _is_there(connection):
        return 0
    return connection.execute(sa.select(sa.func.max(search_events.c.seq))).scalar() or 0


def append(connection: sa.Connection, given: Sequence[Row]) -> int:
    """Add the events whose ids are new, numbered anew, and return how many were."""
    known = _known(connection, [row[3] for row in given])
    seq = head(connection)
    fresh: list[dict[str, Any]] = []
    for row in given:
        if row[3] in known:
            continue
        known.add(row[3])
        seq += 1
        values = (seq, *row[1:])
        fresh.append({**dict(zip(_NAMES, values, strict=True)), "row_check": _check(values)})
    if fresh:
        connection.execute(search_events.insert(), fresh)
    return len(fresh)


def _known(connection: sa.Connection, ids: Sequence[bytes]) -> set[bytes]:
    known: set[bytes] = set()
    rest = iter(ids)
    while chunk := list(islice(rest, _IDS_A_QUERY)):
        query = sa.select(search_events.c.id).where(search_events.c.id.in_(chunk))
        known.update(connection.execute(query).scalars())
    return known


def rows(
    connection: sa.Connection, after: int, upto: int | None, batch_size: int, *, by_time: bool
) -> Iterator[list[Row]]:
    """Yield the events with ``after < seq <= upto``, by number or in the order of folding.

    That is the order of `mtspam.search.ordering.in_order`.
    """
    if not _is_there(connection):
        return
    table = search_events.c
    query = sa.select(*_COLUMNS, table.row_check).where(table.seq > after)
    if upto is not None:
        query = query.where(table.seq <= upto)
    query = query.where(table.kind != FORGET)
    if by_time:
        both = search_events.outerjoin(
            _SHOWN, sa.and_(_SHOWN.c.id == table.about, table.kind == "interaction")
        )
        query = query.select_from(both).order_by(*_MOMENT)
    else:
        query = query.order_by(table.seq)
    for found in connection.execute(query).partitions(batch_size):
        yield [_insisted(row) for row in found]


def order(connection: sa.Connection, after: int, upto: int) -> list[Placed]:
    """Return the places of the events with ``after < seq <= upto``, in the order of folding."""
    if not _is_there(connection):
        return []
    table = search_events.c
    both = search_events.outerjoin(
        _SHOWN, sa.and_(_SHOWN.c.id == table.about, table.kind == "interaction")
    )
    query = (
        sa.select(table.seq, table.kind, _MOMENT[0], table.about, _SHOWN.c.seq.is_(None))
        .select_from(both)
        .where(table.seq > after, table.seq <= upto, table.kind != FORGET)
        .order_by(*_MOMENT)
    )
    return [
        Placed(seq, kind, moment, about.hex(), kind == "interaction" and bool(about) and is_alone)
        for seq, kind, moment, about, is_alone in connection.execute(query)
    ]


def latest_rankings(connection: sa.Connection, n: int, upto: int) -> list[bytes]:
    """Return the ids of the `n` latest rankings by time, earliest first."""
    if not _is_there(connection):
        return []
    table = search_events.c
    query = (
        sa.select(table.id)
        .where(table.kind == "ranking", table.seq <= upto)
        .order_by(table.time.desc(), table.seq.desc())
        .limit(n)
    )
    return list(connection.execute(query).scalars())[::-1]


def counts(connection: sa.Connection) -> tuple[dict[str, int], int]:
    """Return how many events of each kind there are, and of how many users."""
    if not _is_there(connection):
        return {}, 0
    table = search_events.c
    kinds = sa.select(table.kind, sa.func.count()).where(table.kind != FORGET)
    by_kind = connection.execute(kinds.group_by(table.kind).order_by(table.kind)).all()
    users = sa.select(sa.func.count(table.user.distinct())).where(table.user != NOBODY)
    n_by_kind = {str(kind): int(n) for kind, n in by_kind}
    return n_by_kind, connection.execute(users).scalar_one()


def latest_time(connection: sa.Connection) -> int | None:
    """Return the time of the latest event in milliseconds, None without one."""
    if not _is_there(connection):
        return None
    query = sa.select(sa.func.max(search_events.c.time)).where(search_events.c.kind != FORGET)
    return connection.execute(query).scalar()


def forget(connection: sa.Connection, user: UserKey, time: int) -> int:
    """Delete a user's events, and others' that name their rankings; return how many."""
    table = search_events.c
    theirs = sa.select(table.id).where(table.user == user, table.kind == "ranking")
    which = sa.or_(table.user == user, table.about.in_(theirs))
    n_events, lowest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(table.seq)).where(which)
    ).one()
    if not n_events:
        return 0
    seq = head(connection) + 1
    doomed = connection.execute(sa.select(table.seq).where(which)).scalars().all()
    connection.execute(
        search_events.delete().where(table.seq == sa.bindparam("doomed")),
        [{"doomed": one} for one in doomed],
    )
    # The lowest number deleted says which older models hold something of the user.
    values = (seq, FORGET, time * 1000, b"forget %d" % seq, NOBODY, b"", b"%d" % lowest)
    stone = {**dict(zip(_NAMES, values, strict=True)), "row_check": _check(values)}
    connection.execute(search_events.insert(), [stone])
    return int(n_events)


def forgotten_since(connection: sa.Connection, position: int) -> bool:
    """Say whether an event up to `position` was deleted after it."""
    if not _is_there(connection):
        return False
    query = sa.select(search_events.c.packed).where(
        search_events.c.kind == FORGET, search_events.c.seq > position
    )
    return any(int(lowest) <= position for lowest in connection.execute(query).scalars())


def audit(connection: sa.Connection) -> Iterator[Row]:
    """Yield every event that is not a forgetting, checked.

    Raises
    ------
    JournalError
        At the first one that is damaged.
    """
    for batch in rows(connection, 0, None, _AUDIT_ROWS, by_time=False):
        yield from batch


def _is_there(connection: sa.Connection) -> bool:
    """Say whether the table is there: who only reads does not bring an older file up to date."""
    return sa.inspect(connection).has_table(search_events.name)


def _check(values: Sequence[Any]) -> int:
    seq, kind, time, own, user, about, packed = values
    parts = (_NUMBERS.pack(seq, time), kind.encode(), own, user, about, packed)
    return zlib.crc32(b"|".join(parts))


def _insisted(row: sa.Row[*tuple[Any, ...]]) -> Row:
    values: Row = tuple(row[:-1])
    try:
        if _check(values) == row[-1]:
            return values
    except (struct.error, TypeError, AttributeError):
        pass  # a damaged value can be of any type
    raise JournalError(f"search event {row[0]} is damaged; restore the journal from a backup")
