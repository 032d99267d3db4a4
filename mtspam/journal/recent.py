"""The examples judged lately, in a file of fixed size: one writes to it, any process reads it.

Nothing in it is lost with harm, so nothing is synced; whatever is read is checked first, since it
may be of a former run, or be overwritten at that very moment.
"""

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Self

import numpy as np

from mtspam.errors import JournalError
from mtspam.journal.events import DIGEST_BYTES
from mtspam.types import Example

__all__ = ["LEAST_BYTES", "RecentRing"]

LEAST_BYTES = 1 << 20
"""The smallest ring: room for some of the largest examples."""

_MAGIC = b"mtspamR1"
_HEAD = struct.Struct("<8sQQI")  # magic, size of the file, bytes written so far, views
_HEAD_BYTES = 4096
_ENTRY = struct.Struct("<8sQ")  # first bytes of the digest, place of its record
_WAYS = 4
_SET = struct.Struct("<" + "8sQ" * _WAYS)
_BYTES_PER_SET = 16_384  # an example of ordinary size: four entries for each are many
_RECORD = struct.Struct(f"<IIQd{DIGEST_BYTES}s")  # check number, length, place, prior, digest
_CHECKED_FROM = 4


class RecentRing:
    """A ring of examples in a mapped file.

    Parameters
    ----------
    path
        The file.
    memory
        It, mapped.
    n_views
        Views of an example.
    inode
        The file's number.

    Examples
    --------
    >>> import tempfile
    >>> example = Example((np.array([1, 5], np.uint32),))
    >>> with tempfile.TemporaryDirectory() as state:
    ...     ring = RecentRing.make(Path(state) / "recent.0", LEAST_BYTES, n_views=1)
    ...     ring.put(b"d" * 16, example, 0.5)
    ...     found = RecentRing.open(ring.path, n_views=1).get(b"d" * 16)
    >>> found[0].views[0].tolist(), found[1]
    ([1, 5], 0.5)
    """

    def __init__(self, path: Path, memory: mmap.mmap, n_views: int, inode: int) -> None:
        self.path = path
        self._inode = inode
        self._data = memoryview(memory)
        self._n_views = n_views
        size = len(memory)
        self._n_sets = max(1, size // _BYTES_PER_SET)
        self._start = _HEAD_BYTES + -(-self._n_sets * _WAYS * _ENTRY.size // 4096) * 4096
        self._room = size - self._start
        self._lengths = struct.Struct(f"<{n_views}I")

    @classmethod
    def make(cls, path: Path, n_bytes: int, *, n_views: int) -> Self:
        """Open a ring for writing; one of another size or kind is made anew.

        Parameters
        ----------
        path
            The file.
        n_bytes
            Its size, at least `LEAST_BYTES`; all of it is taken from the disk at once.
        n_views
            Views of an example.

        Raises
        ------
        JournalError
            Where it cannot be written, or the disk has no room for it.
        """
        size = max(n_bytes, LEAST_BYTES)
        try:
            descriptor = _fit(path, size, n_views)
            if descriptor < 0:
                descriptor = _fresh(path, size, n_views)
            try:
                memory = mmap.mmap(descriptor, size)
                inode = os.fstat(descriptor).st_ino
            finally:
                os.close(descriptor)
        except OSError as error:
            raise JournalError(
                f"{path}: no room for recent examples ({error.strerror})"
            ) from error
        return cls(path, memory, n_views, inode)

    @classmethod
    def open(cls, path: Path, *, n_views: int) -> Self | None:
        """Open a ring for reading; None where there is none that fits."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            size = os.fstat(descriptor).st_size
            if size < LEAST_BYTES or not _is_fit(descriptor, size, n_views):
                return None
            memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
            return cls(path, memory, n_views, os.fstat(descriptor).st_ino)
        finally:
            os.close(descriptor)

    def is_current(self) -> bool:
        """Tell whether the file is the one that lies there now."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def put(self, digest: bytes, example: Example, prior: float) -> None:
        """Keep an example; the oldest make room. What is larger than a quarter is left out.

        Its views may be in any order: what is asked for, which is little, is sorted then.
        """
        values = np.concatenate(example.views).view(np.uint8)
        length = self._lengths.size + len(values)
        n_bytes = _RECORD.size + length
        if n_bytes > self._room // 4:
            return
        data = self._data
        _, _, written, _ = _HEAD.unpack_from(data)
        offset = written % self._room
        if offset + n_bytes > self._room:  # a record lies in one piece
            written += self._room - offset
            offset = 0
        at = self._start + offset
        _RECORD.pack_into(data, at, 0, length, written, prior, digest)
        end = at + _RECORD.size
        self._lengths.pack_into(data, end, *map(len, example.views))
        end += self._lengths.size
        data[end : end + len(values)] = values.data
        end += len(values)
        struct.pack_into("<I", data, at, zlib.crc32(data[at + _CHECKED_FROM : end]))
        self._note(digest, written)
        _HEAD.pack_into(data, 0, _MAGIC, len(data), written + n_bytes, self._n_views)

    def _note(self, digest: bytes, place: int) -> None:
        """Enter a record into its set of the index, in the place of the oldest there."""
        entries = self._entries(digest)
        mine = [at for at, known, _ in entries if known == digest[:8]]
        at = mine[0] if mine else min(entries, key=lambda entry: entry[2])[0]
        _ENTRY.pack_into(self._data, at, digest[:8], place + 1)  # 0 stands for nothing

    def _entries(self, digest: bytes) -> list[tuple[int, bytes, int]]:
        first = int.from_bytes(digest[:8], "little") % self._n_sets * _WAYS
        at = _HEAD_BYTES + first * _ENTRY.size
        found = _SET.unpack_from(self._data, at)
        return [(at + way * _ENTRY.size, *found[2 * way : 2 * way + 2]) for way in range(_WAYS)]

    def get(self, digest: bytes) -> tuple[Example, float] | None:
        """Return an example and the starter's margin on it, None where it is forgotten."""
        for _, known, place in self._entries(digest):
            if known == digest[:8] and place:
                found = self._read(digest, place - 1)
                if found is not None:
                    return found
        return None

    def _read(self, digest: bytes, place: int) -> tuple[Example, float] | None:
        offset = place % self._room
        at = self._start + offset
        if offset + _RECORD.size > self._room:
            return None
        check, length, where, prior, whose = _RECORD.unpack_from(self._data, at)
        if whose != digest or where != place or offset + _RECORD.size + length > self._room:
            return None
        # Copied before it is checked: it may be overwritten while it is read.
        record = self._data[at : at + _RECORD.size + length].tobytes()
        if zlib.crc32(memoryview(record)[_CHECKED_FROM:]) != check:
            return None
        sizes = self._lengths.unpack_from(record, _RECORD.size)
        values = np.frombuffer(record, np.uint32, offset=_RECORD.size + self._lengths.size)
        if len(values) != sum(sizes):
            return None
        ends = np.cumsum(sizes).tolist()
        return Example(
            tuple(np.sort(values[end - n : end]) for end, n in zip(ends, sizes, strict=True))
        ), prior


def _fit(path: Path, size: int, n_views: int) -> int:
    """Open a ring that is there and fits; -1: there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    if _is_fit(descriptor, size, n_views):
        return descriptor
    os.close(descriptor)
    return -1


def _fresh(path: Path, size: int, n_views: int) -> int:
    """Put an empty ring in the place of another: who has mapped that one must not lose pages."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Room that a disk turns out not to have would end the process when it is used.
        os.posix_fallocate(descriptor, 0, size)
        os.pwrite(descriptor, _HEAD.pack(_MAGIC, size, 0, n_views), 0)
        fresh.replace(path)
    except BaseException:
        os.close(descriptor)
        fresh.unlink(missing_ok=True)
        raise
    return descriptor


def _is_fit(descriptor: int, size: int, n_views: int) -> bool:
    if os.fstat(descriptor).st_size != size:
        return False
    magic, its_size, _, its_views = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))
    return bool(magic == _MAGIC and its_size == size and its_views == n_views)
