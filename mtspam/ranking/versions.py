"""Trained trunks on disk, one folder each, and which of them is asked."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import JournalError, ModelError, StateLockedError
from mtspam.model.trunk import Trunk
from mtspam.snapshot import JSON, read_snapshot, write_snapshot

__all__ = ["Version", "VersionStore"]

_TRUNK = "trunk.snapshot"
_CURRENT = "current"
_LOCK = "train.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A trunk and what was learnt along with it.

    Parameters
    ----------
    name
        Counts the trainings: ``0001`` and so on.
    trunk
        The trees.
    guard
        Arrays of the guard as it came out of training.
    position
        The last event of the journal that was trained on.
    journal
        The journal's name.
    facts
        What is told of it: number of queries, figures.
    """

    name: str
    trunk: Trunk
    guard: Mapping[str, NDArray[np.float64]]
    position: int
    journal: str
    facts: Mapping[str, Any]


class VersionStore:
    """The folder ``rank`` of a state directory.

    Parameters
    ----------
    folder
        It need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_state(cls, state: Path) -> Self:
        """Return the store of a state directory."""
        return cls(state / "rank")

    def names(self) -> list[str]:
        """Name all versions, oldest first."""
        return sorted(path.parent.name for path in self._folder.glob(f"*/{_TRUNK}"))

    def current(self) -> str | None:
        """Name the version that is asked, None without one.

        Raises
        ------
        ModelError
            Where that cannot be read.
        """
        try:
            return (self._folder / _CURRENT).read_text("ascii").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{self._folder / _CURRENT}: cannot be read ({error})") from error

    def differs(self, name: str, value: str) -> bool:
        """Say whether the version that is asked was told another value of a fact in training."""
        current = self.current()
        return current in self.names() and self.facts(str(current)).get(name, value) != value

    def stamp(self) -> tuple[int, int] | None:
        """Return what is another value after `use`: very quick."""
        try:
            found = (self._folder / _CURRENT).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def use(self, name: str) -> None:
        """Ask another version from now on: at once for all who look, and after power loss too.

        Raises
        ------
        ModelError
            Where there is no such version.
        JournalError
            Where the state cannot be written.
        """
        self._insist(name)
        fresh = self._folder / f".{_CURRENT}.{os.getpid()}"
        try:
            with fresh.open("w", encoding="ascii") as file:
                file.write(name + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._folder / _CURRENT)
        except OSError as error:
            raise JournalError(f"{fresh}: cannot be written ({error.strerror})") from error

    @contextmanager
    def training(self) -> Iterator[None]:
        """Be the only one who trains here for as long as the context lasts.

        What a training that was killed left of a version is taken away.

        Raises
        ------
        StateLockedError
            Where another process is training.
        JournalError
            Where the state cannot be written.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise JournalError(f"{self._folder}: cannot be written ({error.strerror})") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateLockedError(
                    f"{self._folder}: another process is training; wait for its version"
                ) from error
            for path in self._folder.glob("*"):
                if path.name.isdigit() and not (path / _TRUNK).exists():
                    shutil.rmtree(path, ignore_errors=True)
            yield
        finally:
            os.close(descriptor)

    def _insist(self, name: str) -> None:
        if name not in self.names():
            known = ", ".join(self.names()) or "none, since nothing was trained yet"
            raise ModelError(f"there is no version {name!r}; there are: {known}")

    def add(
        self, trunk: Trunk, guard: Mapping[str, NDArray[Any]], header: Mapping[str, JSON]
    ) -> str:
        """Write a new version, which is not asked yet, and return its name; while `training`.

        Raises
        ------
        SnapshotError, JournalError
            Where it cannot be written.
        """
        numbers = [int(path.name) for path in self._folder.glob("*") if path.name.isdigit()]
        name = f"{max(numbers, default=0) + 1:04d}"
        folder = self._folder / name
        try:
            folder.mkdir(mode=0o700, parents=True)
            for (task, market), text in trunk.texts.items():
                place = "shared" if market < 0 else f"market-{market}"
                (folder / f"{task}-{place}.txt").write_text(text, "utf-8")
        except OSError as error:
            raise JournalError(f"{folder}: cannot be written ({error.strerror})") from error
        arrays = {**trunk.arrays(), **guard}
        # Last, since a folder without it is no version.
        write_snapshot(folder / _TRUNK, {"trunk": trunk.header(), **header}, arrays)
        return name

    def facts(self, name: str) -> Mapping[str, Any]:
        """Return what is told of a version, without reading its trees.

        Raises
        ------
        ModelError
            Where there is none, or it is damaged.
        """
        return dict(self._header(name).get("facts", {}))

    def columns(self, name: str) -> tuple[str, ...]:
        """Name the features that the trees of a version know, without reading them.

        Raises
        ------
        ModelError
            Where there is no such version, or it is damaged.
        """
        return tuple(self._header(name).get("trunk", {}).get("columns", ()))

    def _header(self, name: str) -> Mapping[str, Any]:
        self._insist(name)
        return read_snapshot(self._folder / name / _TRUNK, verify=False).header

    def load(self, name: str) -> Version:
        """Read a version.

        Raises
        ------
        ModelError
            Where there is none, or it is damaged.
        """
        self._insist(name)
        found = read_snapshot(self._folder / name / _TRUNK, verify=True)
        header = found.header
        try:
            return Version(
                name=name,
                trunk=Trunk.from_arrays(header["trunk"], found.arrays),
                guard={key: found.arrays[key] for key in ("guard weights", "guard squares")},
                position=int(header["position"]),
                journal=str(header["journal"]),
                facts=dict(header.get("facts", {})),
            )
        except KeyError as error:
            raise ModelError(f"version {name} lacks {error}") from error
