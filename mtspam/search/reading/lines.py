"""Files of lines, packed or not, with errors that name file and line."""

import bz2
import errno
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mtspam.errors import DataError

__all__ = ["STDIN", "content", "naming_errors", "numbered_lines", "plain_suffix"]

STDIN = "-"
_LONGEST_LINE = 64 << 20
_PACKED: dict[str, type[gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


class _Lines(Protocol):
    def readline(self, size: int, /) -> bytes: ...

    def read(self, size: int = -1, /) -> bytes: ...


def plain_suffix(path: str) -> str:
    """Return the ending that says what a file is, whatever packs it, in small letters.

    Examples
    --------
    >>> plain_suffix("clicks.JSONL.gz"), plain_suffix("rank")
    ('.jsonl', '')
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def naming_errors(name: str) -> Iterator[None]:
    """Turn what reading and unpacking raise into a `DataError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:  # whose own text may name the file again
        raise DataError(f"{name}: {os.strerror(errno.ENOENT)}") from error
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from error
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name}: damaged or cut off: {error}") from error


def numbered_lines(path: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a file that are not blank, each with its place, ``file:line``.

    Parameters
    ----------
    path
        Plain, or packed by gzip, bzip2 or xz as its name says; ``-`` is standard input.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, no UTF-8, or has a line of more than 64 MiB.
    """
    with naming_errors(path), _opened(path) as stream:
        number = 0
        while line := stream.readline(_LONGEST_LINE + 1):
            number += 1
            place = f"{path}:{number}"
            if len(line) > _LONGEST_LINE:
                raise DataError(f"{place}: a line of more than {_LONGEST_LINE} bytes")
            try:
                text = line.decode().strip()
            except UnicodeDecodeError as error:
                raise DataError(f"{place}: not UTF-8 at byte {error.start}") from None
            if text:
                yield place, text


def content(path: str) -> bytes:
    """Return all of a file, unpacked if its name says that it is packed.

    Raises
    ------
    DataError
        If it cannot be read or is damaged.
    """
    with naming_errors(path), _opened(path) as stream:
        return stream.read()


@contextmanager
def _opened(path: str) -> Iterator[_Lines]:
    packed = _PACKED.get(Path(path).suffix.lower())
    if path == STDIN:
        yield sys.stdin.buffer
    elif packed is None:
        with Path(path).open("rb") as stream:
            yield stream
    else:
        with packed(path) as unpacked:
            yield unpacked
