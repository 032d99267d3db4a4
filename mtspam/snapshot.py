"""The model on disk: named arrays and a header in one file that is mapped, not read.

A snapshot is a cache: whatever is wrong with it, it is refused and rebuilt from the journal.
"""

import fcntl
import json
import math
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import NewerSnapshotError, SnapshotError

__all__ = ["FORMAT_VERSION", "JSON", "Snapshot", "read_snapshot", "write_snapshot"]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

FORMAT_VERSION = 1

_MAGIC = b"mtspam\r\n"
_START = struct.Struct("<8sII")  # magic, version, check number of the rest of the head
_SIZES = struct.Struct("<QQ")  # length of the text behind, size of the file
_BLOCK_BYTES = 4096
"""Arrays begin on a page of memory; blocks of this size that are all zero take no disk space."""
_KINDS = "biuf"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `read_snapshot` found.

    Parameters
    ----------
    header
        As it was given to `write_snapshot`.
    arrays
        Views of the mapped file by name. Writing to one changes this process's copy of the page
        and never the file, so that a learner can go on from it. They stay valid when the file
        is replaced.
    """

    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def write_snapshot(
    path: str | Path, header: Mapping[str, JSON], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Replace the snapshot at `path`, whole or not at all; when this returns it is on the disk.

    Equal input gives equal bytes. A second process that writes the same snapshot at the same time
    is refused.

    Parameters
    ----------
    path
        The file; a file of the same name and ``.new`` is used on the way.
    header
        What the reader must know about the arrays.
    arrays
        Boolean, integer or floating-point arrays of any shape.

    Raises
    ------
    SnapshotError
        If the directory is missing or cannot be written to, the disk is full, or another process
        is writing it. The old snapshot stays.
    ValueError, TypeError
        If the header is no JSON, or an array of another type.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as state:
    ...     write_snapshot(f"{state}/model", {"position": 7}, {"bias": np.zeros(3)})
    ...     snapshot = read_snapshot(f"{state}/model", verify=True)
    >>> snapshot.header["position"], snapshot.arrays["bias"].tolist()
    (7, [0.0, 0.0, 0.0])
    """
    path = Path(path)
    plain = {name: _plain(name, arrays[name]) for name in sorted(arrays)}
    head, places, size = _layout(header, plain)
    try:
        with _replacing(path) as descriptor:
            os.ftruncate(descriptor, size)
            _write_at(descriptor, memoryview(head), 0)
            for name, array in plain.items():
                _write_sparse(descriptor, _bytes_of(array), places[name])
    except BlockingIOError as error:
        raise SnapshotError(
            f"snapshot {path}: another process is writing it; the old one stays"
        ) from error
    except OSError as error:
        raise SnapshotError(
            f"snapshot {path}: it cannot be written ({error.strerror}); the old one stays"
        ) from error


def read_snapshot(path: str | Path, *, verify: bool) -> Snapshot:
    """Map the snapshot at `path` for reading.

    Parameters
    ----------
    path
        The file.
    verify
        Also read all arrays and compare their check numbers. Without it the cost does not depend
        on the size: torn, foreign and newer files are refused, but not a changed bit in an array.

    Raises
    ------
    NewerSnapshotError
        If the file is of a newer format.
    SnapshotError
        If it is missing, torn, damaged or no snapshot.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise SnapshotError(f"snapshot {path}: it cannot be read ({error.strerror})") from error
    except ValueError:  # an empty file cannot be mapped
        raise _refusal(path, "it is torn: the file is empty") from None
    data = np.frombuffer(mapped, dtype=np.uint8)
    try:
        header, table, start = _parse(data.data)
        arrays = {name: _view(data, start, entry) for name, entry in table.items()}
        if verify:
            for name, array in arrays.items():
                if zlib.crc32(_bytes_of(array)) != table[name]["crc32"]:
                    raise _UnfitError(f"its array {name!r} is damaged")  # noqa: TRY301  # one way out
    except _NewerError as error:
        raise NewerSnapshotError(
            f"snapshot {path}: it was written by a newer mtspam (format {error}, this program "
            f"knows {FORMAT_VERSION}); upgrade mtspam"
        ) from None
    except _UnfitError as error:
        raise _refusal(path, str(error)) from None
    return Snapshot(header=header, arrays=arrays)


class _UnfitError(Exception):
    """What is wrong with a file, without its name."""


class _NewerError(Exception):
    """The format of a file that this program does not know yet."""


def _refusal(path: Path, fault: str) -> SnapshotError:
    return SnapshotError(f"snapshot {path}: {fault}; rebuild it with `mtspam fold`")


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in _KINDS:
        raise TypeError(f"array {name!r} is of {array.dtype}; only numbers can be stored")
    little = array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, dtype=little).reshape(array.shape)


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _rounded(size: int) -> int:
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES


def _layout(
    header: Mapping[str, JSON], arrays: Mapping[str, NDArray[Any]]
) -> tuple[bytes, dict[str, int], int]:
    """Return the head of the file, where each array begins, and the size of the file."""
    table: dict[str, dict[str, JSON]] = {}
    begins: dict[str, int] = {}
    length = 0
    for name, array in arrays.items():
        begins[name] = length
        table[name] = {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "start": length,
            "crc32": zlib.crc32(_bytes_of(array)),
        }
        length = _rounded(length + array.nbytes)
    text = json.dumps(
        {"header": header, "arrays": table}, allow_nan=False, sort_keys=True
    ).encode()
    start = _rounded(_START.size + _SIZES.size + len(text))
    rest = _SIZES.pack(len(text), start + length) + text
    head = _START.pack(_MAGIC, FORMAT_VERSION, zlib.crc32(rest)) + rest
    return head, {name: start + begin for name, begin in begins.items()}, start + length


def _parse(content: memoryview) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Return the header, the table of arrays, and where the first array begins."""
    fixed = _START.size + _SIZES.size
    if len(content) < fixed:
        raise _UnfitError("it is torn, or no snapshot of mtspam")
    magic, version, check = _START.unpack_from(content)
    if magic != _MAGIC or version == 0:
        raise _UnfitError("it is no snapshot of mtspam")
    if version > FORMAT_VERSION:
        raise _NewerError(version)
    length, size = _SIZES.unpack_from(content, _START.size)
    if size != len(content):
        raise _UnfitError(f"it is torn: the file has {len(content)} bytes, not {size}")
    if zlib.crc32(content[_START.size : fixed + length]) != check:
        raise _UnfitError("its header is damaged")
    found = json.loads(content[fixed : fixed + length].tobytes())
    return found["header"], found["arrays"], _rounded(fixed + length)


def _view(data: NDArray[np.uint8], start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(entry["dtype"])
    start += entry["start"]
    size = dtype.itemsize * math.prod(entry["shape"])
    array: NDArray[Any] = data[start : start + size].view(dtype).reshape(entry["shape"])
    return array


@contextmanager
def _replacing(path: Path) -> Iterator[int]:
    """Give the descriptor of an empty file that takes the place of `path` if all goes well."""
    fresh = path.with_name(path.name + ".new")
    descriptor = _open_alone(fresh)
    try:
        try:
            os.ftruncate(descriptor, 0)
            yield descriptor
            os.fsync(descriptor)
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    finally:
        os.close(descriptor)


def _open_alone(fresh: Path) -> int:
    """Open a file, left over or new, that no other process is writing."""
    while True:
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between the two calls another process may have renamed the file.
            if os.path.samestat(os.fstat(descriptor), fresh.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_sparse(descriptor: int, content: memoryview, at: int) -> None:
    """Write at an offset of a file of zeros, leaving out the blocks that are all zero."""
    n_whole = len(content) // _BLOCK_BYTES
    words = np.frombuffer(content, dtype=np.uint64, count=n_whole * _BLOCK_BYTES // 8)
    is_written = words.reshape(n_whole, _BLOCK_BYTES // 8).any(axis=1)
    # A last part of a block is always written.
    has_rest = len(content) > n_whole * _BLOCK_BYTES
    framed = np.concatenate(([False], is_written, [has_rest, False]))
    edges = np.flatnonzero(framed[1:] != framed[:-1]) * _BLOCK_BYTES
    for start, end in edges.reshape(-1, 2).tolist():
        _write_at(descriptor, content[start:end], at + start)


def _write_at(descriptor: int, content: memoryview, at: int) -> None:
    while content:
        n_written = os.pwrite(descriptor, content, at)
        content = content[n_written:]
        at += n_written
