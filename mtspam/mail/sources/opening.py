"""Opening files that may be anything: refused devices, unpacking, errors that name their file."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zlib
from typing import Protocol

from mtspam.errors import DataError

__all__ = [
    "Readable",
    "check_regular",
    "naming_errors",
    "open_regular",
    "peekable",
    "printable",
    "read_limited",
    "unpacked",
]

_BLOCK = 65_536
_SMALL = 262_144
_ZSTD = b"\x28\xb5\x2f\xfd"


def printable(name: str) -> str:
    r"""Write a name so that it can stand in a line of text.

    Examples
    --------
    >>> printable("odd\nname \udcff")
    'odd\\nname \\udcff'
    """
    if name.isprintable():  # nearly every name; letter by letter it would cost as much as reading
        return name
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )


class naming_errors:  # noqa: N801 - used as a function; as a generator it would cost twice as much
    """Turn what reading and unpacking raise into a `DataError` that names what was read.

    Parameters
    ----------
    name
        What the error calls it.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise what is to be raised instead."""
        if isinstance(error, OSError):
            raise DataError(f"{self._name}: {error.strerror or error}") from error
        if isinstance(error, (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError)):
            raise DataError(f"{self._name}: damaged or cut off: {error}") from error


def check_regular(name: str, mode: int) -> None:
    """Refuse all but regular files: reading a pipe or a device may never end.

    Parameters
    ----------
    name
        What the error calls it.
    mode
        The mode that `os.stat` gives.

    Raises
    ------
    DataError
        If it is no regular file.
    """
    if not stat.S_ISREG(mode):
        raise DataError(f"{name}: neither a file nor a directory; pipes are read as '-'")


def open_regular(path: str) -> io.BufferedReader:
    """Open a regular file without ever waiting for another process.

    Raises
    ------
    DataError
        If there is no such file, it cannot be opened or it is no regular file.
    """
    name = printable(path)
    with naming_errors(name):
        # A file that was replaced by a pipe since it was looked at would block without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        check_regular(name, status.st_mode)
        if status.st_size <= _SMALL:
            return _read_at_once(descriptor, status.st_size, name)
    except DataError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _read_at_once(descriptor: int, size: int, name: str) -> io.BufferedReader:
    """Read a small file whole and close it: a buffered reader asks the system twice as often."""
    data, most = b"", max(size + 1, io.DEFAULT_BUFFER_SIZE)
    with naming_errors(name):
        # Where all is there that the system told of, its end need not be asked for.
        while (len(data) != size or not size) and (block := os.read(descriptor, most)):
            data += block
    os.close(descriptor)
    return io.BufferedReader(io.BytesIO(data))


class Readable(Protocol):
    """Anything that gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Give up to `size` bytes, fewer at the end alone."""


class _Borrowed(io.RawIOBase):
    """Another one's stream: read in full blocks, left open."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase may give None and takes any buffer; BufferedReader passes this one
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)


def peekable(stream: Readable) -> io.BufferedReader:
    """Wrap a stream so that a peek sees its whole beginning, however slowly a pipe brings it."""
    return io.BufferedReader(_Borrowed(stream))


def read_limited(stream: Readable, max_bytes: int) -> bytes:
    """Read up to a limit, block by block: a single read would reserve the whole limit at once."""
    blocks = []
    while max_bytes > 0 and (block := stream.read(min(max_bytes, _BLOCK))):
        blocks.append(block)
        max_bytes -= len(block)
    return b"".join(blocks)


def unpacked(stream: io.BufferedReader, name: str) -> io.BufferedReader:
    """Unpack a gzip, bzip2 or xz stream on the fly; give any other stream back as it is.

    Raises
    ------
    DataError
        If the stream is packed with zstd.
    """
    head = stream.peek(6)
    if head.startswith(b"\x1f\x8b"):
        return peekable(gzip.GzipFile(fileobj=stream))
    if head.startswith(b"BZh"):
        return peekable(bz2.BZ2File(stream))
    if head.startswith(b"\xfd7zXZ\0"):
        return peekable(lzma.LZMAFile(stream))
    if head.startswith(_ZSTD):
        raise DataError(
            f"{name}: zstd is not read here; unpack it and pass it on: zstd -dc … | … -"
        )
    return stream
