"""What the writer lets threads do meanwhile: fold the journal, write a snapshot."""

import threading
import time
from collections.abc import Callable

from mtspam.config import Settings
from mtspam.errors import MtspamError
from mtspam.journal import Journal
from mtspam.spam.state import StateDirectory
from mtspam.spam.upkeep import KeptModel, fold_model, write_model

__all__ = ["Fold", "Snapshot"]


class _Work(threading.Thread):
    """Something long, in a thread of its own that does not hold up the end of the process."""

    def __init__(self, name: str, wake: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._call = wake
        self.error = ""
        self.is_running = True
        self.seconds = 0.0

    def run(self) -> None:
        began = time.monotonic()
        try:
            self.work()
        except MtspamError as error:
            self.error = str(error)
        except Exception as error:  # noqa: BLE001 - whatever ends the thread, the writer goes on
            self.error = repr(error)
        finally:
            self.seconds = time.monotonic() - began
            self.is_running = False
            self._call()

    def work(self) -> None:
        raise NotImplementedError


class Fold(_Work):
    """Folds the journal as it was when this began."""

    def __init__(
        self,
        directory: StateDirectory,
        settings: Settings,
        upto: int,
        wake: Callable[[], None],
    ) -> None:
        super().__init__("fold", wake)
        self._path = directory.journal
        self._settings = settings
        self._upto = upto
        self.kept: KeptModel | None = None
        self.start()

    def work(self) -> None:
        """Fold."""
        with Journal.open(self._path, read_only=True) as journal:
            self.kept = fold_model(journal, self._settings, upto=self._upto)


class Snapshot(_Work):
    """Writes a copy of the model."""

    def __init__(
        self,
        directory: StateDirectory,
        settings: Settings,
        kept: KeptModel,
        wake: Callable[[], None],
    ) -> None:
        super().__init__("snapshot", wake)
        self._directory = directory
        self._settings = settings
        self._kept = kept
        self.position = kept.position
        self.start()

    def work(self) -> None:
        """Write."""
        with Journal.open(self._directory.journal, read_only=True) as journal:
            identity = journal.identity
        write_model(self._directory.snapshot, self._settings, identity, self._kept)
