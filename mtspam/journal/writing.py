"""What writers do to the tables, each inside a transaction of the caller. Nothing here commits."""

from collections.abc import Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import registry

from mtspam.journal import searchrows
from mtspam.journal.events import Appended, EventType, LabelEvent, Withdrawal
from mtspam.journal.reading import head
from mtspam.journal.schema import CHECKED, LIVE, events, examples, meta, row_check
from mtspam.types import NOBODY, UserKey

__all__ = ["append", "forget", "is_scrub_due", "scrubbed", "standing_query", "unlabel"]

_SCRUB = "scrub"
_KEYS_A_QUERY = 200

_Key = tuple[bytes, bytes, str]
_Row = tuple[Any, ...]
_LABEL = EventType.LABEL.value
_KEY = sa.tuple_(events.c.digest, events.c.user, events.c.kind)


def append(
    connection: sa.Connection, labels: Sequence[LabelEvent], packed: Sequence[bytes]
) -> tuple[Appended, list[int]]:
    """Add the labels that do not stand already; `packed` are their examples.

    Returns
    -------
    tuple
        What became of them, and which of them were added.
    """
    keys: list[_Key] = [(label.digest, label.user, str(label.kind)) for label in labels]
    standing = _standing(connection, keys)
    first = head(connection) + 1
    rows: list[_Row] = []
    blobs: list[tuple[int, bytes]] = []
    added: list[int] = []
    replaced: dict[int, int] = {}
    for place, (label, key, blob) in enumerate(zip(labels, keys, packed, strict=True)):
        seq = first + len(rows)
        old = standing.get(key)
        if old is not None:
            if old[1] == label.value:
                continue
            replaced[old[0]] = seq
        standing[key] = (seq, label.value)
        rows.append(
            _row(
                (
                    seq,
                    _LABEL,
                    int(label.time),
                    bytes(label.user),
                    bytes(label.group),
                    key[2],
                    int(label.value),
                    float(label.weight),
                    bytes(label.digest),
                    label.source,
                    float(label.prior) + 0.0,  # SQLite does not tell the two zeros apart
                ),
                blob,
            )
        )
        blobs.append((seq, blob))
        added.append(place)
    _supersede(connection, {seq: new for seq, new in replaced.items() if seq < first})
    for old_seq, new_seq in replaced.items():
        if old_seq >= first:
            rows[old_seq - first] = (*rows[old_seq - first][:-1], new_seq)
    _insert(connection, events, rows)
    _insert(connection, examples, blobs)
    done = Appended(
        n_new=len(rows) - len(replaced),
        n_same=len(labels) - len(rows),
        n_changed=len(replaced),
        first_seq=first,
        last_seq=first + len(rows) - 1,
    )
    return done, added


def unlabel(connection: sa.Connection, which: Withdrawal, time: int) -> int:
    """Take back the live labels that `which` names, and return their number."""
    query = sa.select(*CHECKED).where(sa.text(LIVE), events.c.digest == which.digest)
    if which.user is not None:
        query = query.where(events.c.user == which.user)
    if which.kinds is not None:
        query = query.where(events.c.kind.in_([kind.value for kind in which.kinds]))
    found = connection.execute(query.order_by(events.c.seq)).all()
    if not found:
        return 0
    first = head(connection) + 1
    rows = [
        _row(
            (
                seq,
                EventType.UNLABEL.value,
                time,
                old.user,
                old.group,
                old.kind,
                0,
                0.0,
                old.digest,
                which.source,
                0.0,
            )
        )
        for seq, old in enumerate(found, first)
    ]
    _supersede(connection, {old.seq: seq for seq, old in enumerate(found, first)})
    _insert(connection, events, rows)
    return len(rows)


def forget(connection: sa.Connection, user: UserKey, time: int) -> int:
    """Delete every event of `user` and return their number; the file still needs scrubbing."""
    n_searched = searchrows.forget(connection, user, time)
    n_labels = _forget_labels(connection, user, time)
    if n_searched + n_labels and not is_scrub_due(connection):
        _insert(connection, meta, [(_SCRUB, "due")])
    return n_searched + n_labels


def _forget_labels(connection: sa.Connection, user: UserKey, time: int) -> int:
    theirs = events.c.user == user
    n_events, lowest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(events.c.seq)).where(theirs)
    ).one()
    if not n_events:
        return 0
    seq = head(connection) + 1
    connection.execute(
        examples.delete().where(examples.c.seq.in_(sa.select(events.c.seq).where(theirs)))
    )
    connection.execute(events.delete().where(theirs))
    # The lowest number deleted says which older models hold something of the user.
    tombstone = (seq, EventType.FORGET.value, time, NOBODY, NOBODY, "", lowest, 0.0, b"", "", 0.0)
    _insert(connection, events, [_row(tombstone)])
    return int(n_events)


def is_scrub_due(connection: sa.Connection) -> bool:
    """Say whether traces of deleted rows may be left in unused parts of the file."""
    return connection.execute(sa.select(meta).where(meta.c.name == _SCRUB)).first() is not None


def scrubbed(connection: sa.Connection) -> None:
    """Note that no such traces are left."""
    connection.execute(meta.delete().where(meta.c.name == _SCRUB))


def standing_query(keys: Sequence[_Key]) -> sa.Select[bytes, bytes, str, int, int]:
    """Return the query for digest, user, kind, number and value of the live labels of `keys`."""
    return (
        sa.select(events.c.digest, events.c.user, events.c.kind, events.c.seq, events.c.value)
        .where(sa.text(LIVE))
        # SQLite looks up a list of digests in the index, but for a list of keys it reads it all.
        .where(events.c.digest.in_([digest for digest, _, _ in keys]))
        .where(_KEY.in_(keys))
    )


def _standing(connection: sa.Connection, keys: Sequence[_Key]) -> dict[_Key, tuple[int, int]]:
    """Return number and value of the live label of each key that has one."""
    standing: dict[_Key, tuple[int, int]] = {}
    rest = iter(dict.fromkeys(keys))
    dialect = connection.dialect.name
    while chunk := list(islice(rest, _KEYS_A_QUERY)):
        # The same key again changes nothing, and few lengths make few statements to prepare.
        n = 1 if len(chunk) == 1 else _KEYS_A_QUERY
        chunk += chunk[-1:] * (n - len(chunk))
        values = (*(digest for digest, _, _ in chunk), *chain.from_iterable(chunk))
        found = connection.exec_driver_sql(_standing_statement(n, dialect), values)
        for digest, user, kind, seq, value in found:
            standing[digest, user, kind] = (seq, value)
    return standing


@cache
def _standing_statement(n: int, dialect: str) -> str:
    """Compile `standing_query` for `n` keys: SQLAlchemy would go through all of them each time."""
    query = standing_query([(b"", b"", "")] * n)
    return str(
        query.compile(dialect=_dialect(dialect), compile_kwargs={"render_postcompile": True})
    )


def _row(values: tuple[Any, ...], packed: bytes = b"") -> _Row:
    return (*values, row_check(values, packed), None)


def _supersede(connection: sa.Connection, replaced: dict[int, int]) -> None:
    if replaced:
        connection.execute(
            events.update()
            .where(events.c.seq == sa.bindparam("old"))
            .values(superseded_by=sa.bindparam("new")),
            [{"old": old, "new": new} for old, new in replaced.items()],
        )


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[_Row]) -> None:
    if rows:
        connection.exec_driver_sql(_insertion(table.name, connection.dialect.name), list(rows))


@cache
def _insertion(table: str, dialect: str) -> str:
    """Compile an insertion of whole rows: tuples take half the time of dictionaries."""
    return str(meta.metadata.tables[table].insert().compile(dialect=_dialect(dialect)))


def _dialect(name: str) -> sa.Dialect:
    made: sa.Dialect = registry.load(name)()
    return made
