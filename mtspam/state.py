"""The state directory: where things lie, the secret, and who may write."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtspam.errors import JournalError, StateLockedError

__all__ = ["SECRET_BYTES", "StateDirectory"]

SECRET_BYTES = 32


class StateDirectory:
    """A directory that holds all that an installation has learnt.

    Parameters
    ----------
    path
        The directory; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.sqlite"
        self.snapshot = path / "model.snapshot"
        self._secret = path / "secret"
        self._lock = path / "writer.lock"

    @property
    def exists(self) -> bool:
        """Whether something was ever learnt here.

        Raises
        ------
        JournalError
            Where that cannot be told.
        """
        return any(self._is_there(path) for path in (self._secret, self.journal, self.snapshot))

    @property
    def is_blank(self) -> bool:
        """Whether there is a secret at most, as when the first writer was stopped early."""
        return not (self._is_there(self.journal) or self._is_there(self.snapshot))

    def _is_there(self, path: Path) -> bool:
        try:
            path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise JournalError(
                f"state {self.path}: it cannot be read ({error.strerror})"
            ) from error
        return True

    def secret(self) -> bytes:
        """Return the installation's secret.

        Raises
        ------
        JournalError
            Where it is missing, cannot be read or is damaged.
        """
        try:
            secret = self._secret.read_bytes()
        except FileNotFoundError:
            raise JournalError(
                f"{self._secret}: missing beside what was learnt with it; restore it from a backup"
            ) from None
        except OSError as error:
            raise JournalError(
                f"{self._secret}: the secret cannot be read ({error.strerror})"
            ) from error
        if len(secret) != SECRET_BYTES:
            raise JournalError(
                f"{self._secret}: the secret has {len(secret)} bytes, not {SECRET_BYTES}; restore "
                "it from a backup, without it no user is known again"
            )
        return secret

    def prepare(self) -> None:
        """Make the secret of a new state. Only the writer may: two secrets would undo each other.

        Raises
        ------
        JournalError
            Where it cannot be written, or an old state has lost its journal.
        """
        if self.exists:
            self.insist_on_journal()
            return
        try:
            self._write_secret()
        except OSError as error:
            raise self._unwritable(error) from error

    def insist_on_journal(self) -> None:
        """Refuse to begin a new journal beside a model that an older one has taught.

        Raises
        ------
        JournalError
            Where the journal is lost: all that was learnt would be, silently, with the next label.
        """
        is_lost = self._is_there(self.snapshot) and not self._is_there(self.journal)
        if is_lost and self._is_there(self._secret):
            raise JournalError(
                f"journal {self.journal}: missing beside the model that it taught; restore it "
                f"from a backup, or remove {self.snapshot.name} to begin anew"
            )

    def _write_secret(self) -> None:
        """Write the secret whole or not at all."""
        fresh = self._secret.with_name("secret.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(SECRET_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self._secret)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the directory and be its only writer for as long as the context lasts.

        Raises
        ------
        JournalError
            Where another process is writing, or the directory cannot be written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._take(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"state {self.path}: another process is writing to it"
            raise StateLockedError(text) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(f"state {self.path}: it cannot be written ({error.strerror})")

    def drop_snapshot(self) -> None:
        """Take all snapshots off the disk, with what a stopped writer may have left of one.

        Those of the ranking's fold, too; the versions of its trees stay.

        Raises
        ------
        JournalError
            Where that is not possible.
        """
        try:
            ranking = (self.path / "rank" / name for name in ("fold.snapshot", "history.snapshot"))
            for path in (self.snapshot, *ranking):
                path.unlink(missing_ok=True)
                path.with_name(path.name + ".new").unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def is_journal_newer(self) -> bool:
        """Tell whether the journal was written to after the snapshot, as far as clocks tell.

        A quick look for readers that would rather not open a database.
        """
        try:
            snapshot = self.snapshot.stat().st_mtime_ns
        except OSError:
            return self.journal.exists()
        log = self.journal.with_name(self.journal.name + "-wal")
        for path in (self.journal, log):
            try:
                found = path.stat()
            except OSError:
                continue
            # Clocks of files tick slowly: of the same tick, the journal may be the newer one.
            if found.st_size and found.st_mtime_ns >= snapshot:
                return True
        return False

    def size_bytes(self) -> int:
        """Return how much room the state takes on the disk."""
        return sum(path.stat().st_blocks * 512 for path in self.path.glob("*") if path.is_file())
