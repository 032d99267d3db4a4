"""How the journal's SQLite file is made, opened, cleaned and complained of.

What another database would do differently is here; the statements elsewhere are neutral.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from mtspam.errors import JournalError
from mtspam.journal.schema import APPLICATION_ID, SCHEMA_VERSION, meta

__all__ = [
    "WRITING",
    "checkpoint",
    "complaints",
    "create",
    "integrity",
    "open_engine",
    "path_of",
    "vacuum",
]

WRITING = "mtspam_writing"
"""Execution option of a connection that writes: it takes the write lock when it begins."""

# Examples are about 13 kB. Of 4 to 64 kB this size wastes the least space (7 %) and writes the
# least for a single label (0.24 ms with 4 kB, 1.24 ms with 64 kB); reading is equally quick.
_PAGE_BYTES = 4096
_WAL_PAGES = 4096
_BUSY_SECONDS = 10.0

_REASONS = {
    "SQLITE_FULL": "the disk is full; nothing was changed",
    "SQLITE_BUSY": f"another process has kept it locked for {_BUSY_SECONDS:.0f} seconds",
    "SQLITE_LOCKED": "another process has it locked",
    "SQLITE_READONLY": "it or its directory cannot be written to",
    "SQLITE_CANTOPEN": "it or its directory cannot be opened for this",
    "SQLITE_PERM": "permission denied",
    "SQLITE_NOTADB": "it is torn, or no journal of mtspam",
    "SQLITE_CORRUPT": "it is torn or damaged; restore it from a backup",
    "SQLITE_IOERR": "reading or writing it failed; the disk may be full or at fault",
}


@contextmanager
def complaints(path: Path) -> Iterator[None]:
    """Turn every failure inside into a `JournalError` of one line that begins with `path`."""
    try:
        yield
    except JournalError as error:
        raise JournalError(f"journal {path}: {error}") from error
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise JournalError(f"journal {path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    name = getattr(cause, "sqlite_errorname", "")
    for start, reason in _REASONS.items():
        if name.startswith(start):
            return reason
    if isinstance(cause, (sqlite3.OperationalError, UnicodeDecodeError)):
        return f"it is damaged ({' '.join(str(cause).split())})"
    return " ".join(str(cause).split())


def path_of(path_or_url: str | Path) -> Path:
    """Return the file that a path or a URL names.

    Raises
    ------
    JournalError
        Where it names another database.
    """
    text = str(path_or_url)
    if "://" not in text:
        return Path(path_or_url)
    scheme, _, rest = text.partition(":///")
    if scheme != "sqlite" or not rest:
        raise JournalError(f"journal {text}: only files and sqlite:///FILE are known")
    return Path(rest)


def create(path: Path) -> None:
    """Put an empty journal at `path` unless a file is there: whole or not at all.

    Raises
    ------
    OSError, sqlite3.Error
        If the directory is missing or cannot be written to, or the disk is full.
    """
    blank = _blank()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(blank)
            file.flush()
            os.fsync(descriptor)
        # Unlike a rename, a link never replaces what another process has put there meanwhile.
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _blank() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        with engine.begin() as connection:
            meta.metadata.create_all(connection)
            connection.execute(
                meta.insert(),
                [
                    {"name": "schema_version", "value": str(SCHEMA_VERSION)},
                    {"name": "journal_id", "value": secrets.token_hex(16)},
                ],
            )
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        image = raw.serialize()
    # Bytes 18 and 19 of the file format say "write-ahead log". Switching it on in the finished
    # file would need the file for oneself, and fail when two processes open it at once.
    return image[:18] + b"\2\2" + image[20:]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_engine(path: Path, *, read_only: bool) -> sa.Engine:
    """Return an engine for the journal at `path`, which must exist.

    Raises
    ------
    JournalError, OSError, SQLAlchemyError
        If the file is missing, no journal, torn, of a newer schema, or cannot be used so.
    """
    if path.stat().st_size == 0:
        raise JournalError("it is torn: the file is empty")
    if not read_only and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise JournalError(_REASONS["SQLITE_READONLY"])
    try:
        engine = _inspected(_engine(path, "mode=ro" if read_only else "mode=rw"))
        return engine if read_only else _brought_up_to_date(engine)
    except SQLAlchemyError:
        if not read_only or not _is_sealed(path):
            raise
    # SQLite cannot make its -shm file in a directory where nobody can write.
    return _inspected(_engine(path, "immutable=1"))


def _is_sealed(path: Path) -> bool:
    wal = path.with_name(path.name + "-wal")
    return not wal.exists() and not os.access(path.parent, os.W_OK)


def _engine(path: Path, mode: str) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{mode}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if mode == "mode=rw":
                # The log is synced at each commit: an answered label survives power loss. Deleted
                # rows are overwritten.
                raw.execute("PRAGMA synchronous = full")
                raw.execute("PRAGMA secure_delete = on")
                raw.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        except BaseException:
            raw.close()
            raise
        return raw

    engine = sa.create_engine(
        "sqlite://", creator=connect, poolclass=sa.QueuePool, max_overflow=-1
    )

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get(WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _inspected(engine: sa.Engine) -> sa.Engine:
    try:
        with engine.connect() as connection:
            _insist_on_ours(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _insist_on_ours(connection: sa.Connection) -> None:
    ours = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if ours != APPLICATION_ID:
        raise JournalError("it is a database, but no journal of mtspam")
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"it was written by a newer mtspam (schema {version}, this program knows "
            f"{SCHEMA_VERSION}); upgrade mtspam"
        )
    connection.execute(sa.select(meta)).all()


def _brought_up_to_date(engine: sa.Engine) -> sa.Engine:
    """Add the tables that an older schema lacks: whole or not at all, whoever comes first."""
    try:
        with engine.connect() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version < SCHEMA_VERSION:
            writing = engine.execution_options(**{WRITING: True})
            with writing.begin() as connection:
                meta.metadata.create_all(connection)
                newer = meta.update().where(meta.c.name == "schema_version")
                connection.execute(newer.values(value=str(SCHEMA_VERSION)))
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        engine.dispose()
        raise
    return engine


def checkpoint(engine: sa.Engine) -> bool:
    """Move the write-ahead log into the file and empty it; say whether that was possible."""
    busy, _, _ = _outside_transaction(engine, "PRAGMA wal_checkpoint(TRUNCATE)")[0]
    return not busy


def vacuum(engine: sa.Engine) -> None:
    """Write the file anew, without the copies that moved rows leave in unused space."""
    _outside_transaction(engine, "VACUUM")


def _outside_transaction(engine: sa.Engine, statement: str) -> list[tuple[int, ...]]:
    with closing(engine.raw_connection()) as pooled:
        connection: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]  # of any driver, for SQLAlchemy
        return connection.execute(statement).fetchall()


def integrity(connection: sa.Connection) -> str:
    """Return the first fault in the structure of the file, or ``""``."""
    found = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one())
    return "" if found == "ok" else " ".join(found.split())
