"""Rows of the journal turned into checked records, and its audit. Nothing here writes."""

import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from mtspam.errors import DataError, JournalError
from mtspam.journal import searchrows
from mtspam.journal.events import (
    DIGEST_BYTES,
    Counts,
    EventBatch,
    EventType,
    StoredEvent,
    UserSummary,
)
from mtspam.journal.packing import unpack_example, unpack_many
from mtspam.journal.schema import CHECKED, LIVE, events, examples, meta, row_check
from mtspam.types import NOBODY, LabelKind, UserKey

__all__ = [
    "audit",
    "batches",
    "count",
    "digests_between",
    "find",
    "head",
    "identity",
    "is_intact",
    "summaries",
]

# An outer join, so that a lost example is noticed and does not take its label along.
_BOTH = events.outerjoin(examples, examples.c.seq == events.c.seq)
_LABEL_ROWS = (
    sa.select(*CHECKED, events.c.row_check, examples.c.packed)
    .select_from(_BOTH)
    .where(events.c.event == EventType.LABEL.value)
)
_ALL_ROWS = (
    sa.select(
        *CHECKED, events.c.row_check, sa.func.coalesce(examples.c.packed, b"").label("packed")
    )
    .select_from(_BOTH)
    .order_by(events.c.seq)
)
_LATER = events.alias("later")
_ASTRAY = (
    sa.select(sa.func.min(events.c.seq))
    .select_from(events.outerjoin(_LATER, _LATER.c.seq == events.c.superseded_by))
    .where(events.c.superseded_by.is_not(None))
    .where(
        sa.or_(
            _LATER.c.seq.is_(None),
            _LATER.c.seq <= events.c.seq,
            _LATER.c.user != events.c.user,
            _LATER.c.digest != events.c.digest,
            _LATER.c.kind != events.c.kind,
        )
    )
)
_ORPHANS = (
    sa.select(sa.func.min(examples.c.seq))
    .select_from(examples.outerjoin(events, examples.c.seq == events.c.seq))
    .where(sa.func.coalesce(events.c.event, "") != EventType.LABEL.value)
)
_N_CHECKED = len(CHECKED)
_KINDS = {kind.value: kind for kind in LabelKind}
_AUDIT_ROWS = 512


def head(connection: sa.Connection) -> int:
    """Return the number of the last event, 0 if there is none."""
    return connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0


def identity(connection: sa.Connection) -> str:
    """Return the name that the journal was given when it was made."""
    found = connection.execute(sa.select(meta.c.value).where(meta.c.name == "journal_id")).scalar()
    if found is None:
        raise JournalError("it is damaged (its name is missing)")
    return str(found)


def is_intact(connection: sa.Connection, position: int) -> bool:
    """Say whether all labels that were live at `position` are live now."""
    was_replaced = sa.and_(events.c.seq <= position, events.c.superseded_by > position)
    was_deleted = sa.and_(
        events.c.seq > position,
        events.c.event == EventType.FORGET.value,
        events.c.value <= position,
    )
    query = sa.select(events.c.seq).where(sa.or_(was_replaced, was_deleted)).limit(1)
    return connection.execute(query).first() is None


def batches(
    connection: sa.Connection, after: int, upto: int, batch_size: int
) -> Iterator[EventBatch]:
    """Yield the labels with ``after < seq <= upto`` that were live at position `upto`."""
    query = (
        _LABEL_ROWS.where(events.c.seq > after, events.c.seq <= upto)
        .where(sa.or_(events.c.superseded_by.is_(None), events.c.superseded_by > upto))
        .order_by(events.c.seq)
    )
    for rows in connection.execute(query).partitions(batch_size):
        yield _batch(rows)


def _batch(rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> EventBatch:
    for row in rows:
        _insist(row)
    seq, _, time, user, group, kind, value, weight, digest, _, prior, _, packed = zip(
        *rows, strict=True
    )
    return EventBatch(
        seq=np.array(seq, dtype=np.int64),
        time=np.array(time, dtype=np.int64),
        user=list(user),
        group=list(group),
        kind=[_KINDS[one] for one in kind],
        value=np.array(value, dtype=np.uint8),
        weight=np.array(weight, dtype=np.float64),
        digest=list(digest),
        prior=np.array(prior, dtype=np.float64),
        packed=list(packed),
    )


def _insist(row: sa.Row[*tuple[Any, ...]]) -> None:
    """Raise `JournalError` unless the row holds what was written into it."""
    try:
        if row_check(row[:_N_CHECKED], row[-1]) == row[_N_CHECKED]:
            return
    except (struct.error, TypeError, ValueError):
        pass  # a damaged value can be of any type
    raise JournalError(f"event {row[0]} is damaged; restore the journal from a backup")


def find(
    connection: sa.Connection, between: tuple[bytes, bytes], user: UserKey | None, limit: int
) -> list[StoredEvent]:
    """Return the live labels (of one user) whose digest lies between two, both included."""
    query = (
        _LABEL_ROWS.where(sa.text(LIVE))
        .where(events.c.digest.between(*between))
        .order_by(events.c.digest, events.c.user, events.c.kind)
        .limit(limit)
    )
    if user is not None:
        query = query.where(events.c.user == user)
    return [_stored_event(row) for row in connection.execute(query)]


def digests_between(prefix: str) -> tuple[bytes, bytes]:
    """Return the lowest and the highest digest that begins so.

    Raises
    ------
    DataError
        If the prefix is not hexadecimal or too long.
    """
    if len(prefix) > 2 * DIGEST_BYTES or not set(prefix) <= set("0123456789abcdefABCDEF"):
        raise DataError(
            f"{prefix!r} is no digest; it must be at most {2 * DIGEST_BYTES} hexadecimal digits"
        )
    low, high = (bytes.fromhex(prefix.ljust(2 * DIGEST_BYTES, digit)) for digit in "0f")
    return low, high


def _stored_event(row: sa.Row[*tuple[Any, ...]]) -> StoredEvent:
    batch = _batch([row])
    return StoredEvent(
        seq=int(batch.seq[0]),
        time=int(batch.time[0]),
        user=batch.user[0],
        group=batch.group[0],
        kind=batch.kind[0],
        value=int(batch.value[0]),
        weight=float(batch.weight[0]),
        digest=batch.digest[0],
        source=row.source,
        prior=float(batch.prior[0]),
        example=unpack_example(batch.packed[0]),
    )


def count(connection: sa.Connection) -> Counts:
    """Return how much the journal holds."""
    n_events = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
    n_users = connection.execute(
        sa.select(sa.func.count(events.c.user.distinct()))
        .where(sa.text(LIVE))
        .where(events.c.user != NOBODY)
    ).scalar_one()
    labels = connection.execute(
        sa.select(events.c.kind, events.c.value, sa.func.count())
        .where(sa.text(LIVE))
        .group_by(events.c.kind, events.c.value)
        .order_by(events.c.kind, events.c.value)
    )
    return Counts(
        n_events=n_events,
        n_users=n_users,
        labels={(LabelKind(kind), value): n for kind, value, n in labels},
    )


def summaries(connection: sa.Connection) -> dict[UserKey, UserSummary]:
    """Return what the journal holds of each user with a live label, by rising key."""
    rows = connection.execute(
        sa.select(
            events.c.user,
            events.c.kind,
            events.c.value,
            sa.func.count(),
            sa.func.min(events.c.time),
            sa.func.max(events.c.time),
        )
        .where(sa.text(LIVE))
        .where(events.c.user != NOBODY)
        .group_by(events.c.user, events.c.kind, events.c.value)
        .order_by(events.c.user, events.c.kind, events.c.value)
    )
    by_user: dict[UserKey, list[Any]] = defaultdict(list)
    for row in rows:
        by_user[UserKey(row[0])].append(row)
    return {
        user: UserSummary(
            labels={(LabelKind(row[1]), row[2]): row[3] for row in parts},
            first_time=min(row[4] for row in parts),
            last_time=max(row[5] for row in parts),
        )
        for user, parts in by_user.items()
    }


def audit(connection: sa.Connection) -> int:
    """Check every event and example, live or not, and return the number of events.

    Raises
    ------
    JournalError
        At the first one that is damaged, lost, or superseded by what could not have done it.
    """
    n_events = 0
    for rows in connection.execute(_ALL_ROWS).partitions(_AUDIT_ROWS):
        n_events += len(rows)
        by_n_views: dict[bytes, dict[int, bytes]] = defaultdict(dict)
        for row in rows:
            _insist(row)
            if row.event == EventType.LABEL.value:
                by_n_views[row.packed[1:2]][row.seq] = row.packed
        for packed in by_n_views.values():
            unpack_many(list(packed.values()), list(packed))
    for query, fault in ((_ASTRAY, "is superseded by no event"), (_ORPHANS, "has no label")):
        found = connection.execute(query).scalar()
        if found is not None:
            raise JournalError(f"event {found} {fault}; restore the journal from a backup")
    return n_events + sum(1 for _ in searchrows.audit(connection))
