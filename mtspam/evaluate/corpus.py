"""The messages of an index, read from a folder or an archive in the index's order."""

import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Protocol, Self

from mtspam.errors import DataError
from mtspam.evaluate.index import IndexEntry

__all__ = ["Corpus", "IndexedMessage"]

_SPOOL_BYTES = 256 << 20
"""An unpacked archive up to this size stays in memory, a larger one goes to a temporary file."""

_BROKEN_ARCHIVE = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError)


@dataclass(frozen=True, slots=True)
class IndexedMessage:
    """A message together with its line in the index.

    Parameters
    ----------
    entry
        The line.
    raw
        The message's bytes.
    """

    entry: IndexEntry
    raw: bytes


class _Store(Protocol):
    def __contains__(self, path: object) -> bool: ...

    def read(self, path: str) -> bytes: ...

    def close(self) -> None: ...


class Corpus:
    """The messages of an index, in its order, in memory that does not grow with them.

    An archive is read once from front to back, whatever the order of the index; what the index
    does not name is skipped. In an archive leading ``./`` and ``../`` of a path are ignored, and
    the folder that holds everything may be missing from it, so that ``../data/1`` finds
    ``corpus/data/1``.

    Parameters
    ----------
    index
        The index file, for error texts.
    entries
        Its lines, from `mtspam.evaluate.index.read_index`.
    root
        A folder, or a tar archive (plain, gzip, bzip2 or xz); None is the folder of the index.

    Raises
    ------
    DataError
        If the root cannot be read or lacks a message; the text names the path and index line.
    """

    def __init__(
        self, index: Path, entries: Iterable[IndexEntry], root: Path | None = None
    ) -> None:
        self.index = index
        self.entries = tuple(entries)
        self.root = index.parent if root is None else root
        self._store = self._open()
        for entry in self.entries:
            if entry.path not in self._store:
                self.close()
                raise DataError(f"{index}:{entry.line}: no message {entry.path!r} in {self.root}")

    def _open(self) -> _Store:
        if self.root.is_dir():
            return _Folder(self.root)
        if not self.root.exists():
            raise DataError(f"{self.root}: no such folder or archive")
        return _Archive(self.root, {entry.path for entry in self.entries})

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[IndexedMessage]:
        for entry in self.entries:
            try:
                raw = self._store.read(entry.path)
            except OSError as error:
                raise DataError(
                    f"{self.index}:{entry.line}: {entry.path!r} in {self.root} cannot be"
                    f" read: {error.strerror or error}"
                ) from error
            yield IndexedMessage(entry, raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the archive holds open."""
        self._store.close()


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and os.path.isfile(self._root / path)  # noqa: PTH113 - three times as quick as Path.is_file, and called for every line

    def read(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def close(self) -> None:
        pass


class _Archive:
    def __init__(self, root: Path, paths: set[str]) -> None:
        self._names = {path: _member_name(path) for path in paths}
        self._spans: dict[str, tuple[int, int]] = {}
        wanted = set(self._names.values())
        try:
            self._file = self._open_plain(root, wanted) or self._open_packed(root, wanted)
        except _BROKEN_ARCHIVE as error:
            raise DataError(f"{root}: cannot be read as a tar archive: {error}") from error

    def _open_plain(self, root: Path, wanted: set[str]) -> IO[bytes] | None:
        """Note where the members lie; the archive itself is the store."""
        try:
            with tarfile.open(root, "r:") as tar:
                for member in tar:
                    self._note(member, wanted, member.offset_data)
        except tarfile.ReadError:
            if self._spans:
                raise
            return None
        end = max((start + size for start, size in self._spans.values()), default=0)
        if end > root.stat().st_size:
            raise EOFError("unexpected end of data")
        return root.open("rb")

    def _open_packed(self, root: Path, wanted: set[str]) -> IO[bytes]:
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed by close()
        try:
            with tarfile.open(root, "r|*") as tar:
                for member in tar:
                    if self._note(member, wanted, spool.tell()):
                        content = tar.extractfile(member)
                        spool.write(content.read() if content else b"")
        except BaseException:
            spool.close()
            raise
        return spool

    def _note(self, member: tarfile.TarInfo, wanted: set[str], start: int) -> bool:
        """Remember where a wanted member starts; tell whether it was wanted."""
        if not member.isreg():
            return False
        exact = _member_name(member.name)
        inner = exact.partition("/")[2]
        if exact in wanted:
            self._spans[exact] = (start, member.size)
        elif inner in wanted and inner not in self._spans:
            self._spans[inner] = (start, member.size)
        else:
            return False
        return True

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._names.get(path) in self._spans

    def read(self, path: str) -> bytes:
        start, size = self._spans[self._names[path]]
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


def _member_name(path: str) -> str:
    parts = list(PurePosixPath(path).parts)
    while parts and parts[0] in {"/", "..", "."}:
        del parts[0]
    return "/".join(parts)
