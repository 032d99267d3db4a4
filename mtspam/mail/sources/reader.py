"""The one way in: what each path is, by content where that can be trusted, and its messages."""

import io
import stat
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mtspam.errors import DataError
from mtspam.mail.sources.archive import is_tar, read_tar
from mtspam.mail.sources.folders import open_in_maildir, walk
from mtspam.mail.sources.mbox import is_mbox, read_stream
from mtspam.mail.sources.opening import (
    check_regular,
    naming_errors,
    open_regular,
    peekable,
    printable,
    read_limited,
    unpacked,
)
from mtspam.mail.sources.parquet import is_parquet, n_parquet_rows, read_parquet
from mtspam.mail.sources.records import SourceMessage, SourceOptions
from mtspam.mail.sources.rows import read_csv, read_ndjson

__all__ = ["count_hint", "read_messages"]

_STDIN = "-"
_PACKED = frozenset({"gz", "bz2", "xz", "zst"})
_ALIASES = {
    ".pq": ".parquet",
    ".jsonl": ".ndjson",
    ".tgz": ".tar",
    ".tbz2": ".tar",
    ".txz": ".tar",
}
# Enough to see the magic of a tar archive and a whole "From " line.
_N_HEAD = 512
# No field of a header begins so, but every line of NDJSON does.
_OBJECT = b"{"
_KINDS = frozenset({".parquet", ".csv", ".tsv", ".ndjson", ".tar"})


class _Name(NamedTuple):
    """What a path tells of a file: how to print it, its kind (empty for mail), whether packed."""

    text: str
    kind: str
    is_packed: bool


def _name_of(path: str) -> _Name:
    stem, dot, last = path.lower().rpartition(".")
    is_packed = bool(dot) and last in _PACKED
    suffix = f".{stem.rpartition('.')[2] if is_packed else last}"
    kind = _ALIASES.get(suffix, suffix)
    return _Name(printable(path), kind if kind in _KINDS else "", is_packed)


def _read_packed(
    packed: io.BufferedReader, file: _Name, options: SourceOptions, *, is_named: bool
) -> Iterator[SourceMessage]:
    name, kind, is_packed = file
    # A sender decides what a file in a folder of messages contains, but not what it is called: by
    # its content alone such a file is a message or an mbox, never something to be unpacked.
    stream = unpacked(packed, name) if is_named or kind or is_packed else packed
    found: Iterator[tuple[str, bytes]]
    if kind == ".csv":
        yield from read_csv(stream, name, options)
    elif kind == ".tsv":
        yield from read_csv(stream, name, options, "\t")
    elif kind == ".ndjson":
        yield from read_ndjson(stream, name, options)
    else:
        has_members = kind == ".tar" or (is_named and is_tar(stream.peek(_N_HEAD)))
        read = read_tar if has_members else read_stream
        found = read(stream, name, options.max_message_bytes)
        for message_name, raw in found:
            yield SourceMessage(message_name, raw)


def _read_file(path: str, options: SourceOptions, *, is_named: bool) -> Iterator[SourceMessage]:
    name = _name_of(path)
    with naming_errors(name.text), open_regular(path) as stream:
        if name.kind == ".parquet" or (is_named and is_parquet(stream.peek(_N_HEAD))):
            yield from read_parquet(path, options)
        else:
            yield from _read_packed(stream, name, options, is_named=is_named)


def _read_maildir_file(path: str, options: SourceOptions) -> Iterator[SourceMessage]:
    stream = open_in_maildir(path)
    if stream is not None:
        with naming_errors(printable(path)), stream:
            if raw := read_limited(stream, options.max_message_bytes):
                yield SourceMessage(printable(path), raw)


def _read_stdin(options: SourceOptions) -> Iterator[SourceMessage]:
    if sys.stdin is None:
        raise DataError(f"{_STDIN}: there is no standard input")
    with naming_errors(_STDIN):
        stream = peekable(sys.stdin.buffer)
        if is_parquet(stream.peek(_N_HEAD)):
            raise DataError(f"{_STDIN}: a Parquet table is read from a file, not from a pipe")
        opened = unpacked(stream, _STDIN)
        if opened.peek(1).startswith(_OBJECT):
            yield from read_ndjson(opened, _STDIN, options)
        else:
            yield from _read_packed(opened, _name_of(_STDIN), options, is_named=True)


def _read_path(path: str, options: SourceOptions) -> Iterator[SourceMessage]:
    if path == _STDIN:
        yield from _read_stdin(options)
    elif not _is_directory(path):
        yield from _read_file(path, options, is_named=True)
    else:
        for found in walk(path):
            if found.is_in_maildir:
                yield from _read_maildir_file(found.path, options)
            else:
                yield from _read_file(found.path, options, is_named=False)


def _is_directory(path: str) -> bool:
    name = printable(path)
    if not path or "\0" in path:
        raise DataError(f"{name!r} is no path")
    with naming_errors(name):
        mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        return True
    check_regular(name, mode)
    return False


def read_messages(
    paths: Sequence[str], *, options: SourceOptions | None = None
) -> Iterator[SourceMessage]:
    r"""Yield the messages that paths lead to, one after another, in constant memory.

    A path is a file of one message, an mbox, a directory of such files (entered recursively, in
    sorted order), a Maildir, a tar archive of messages, a table (Parquet, CSV, TSV, NDJSON) with a
    column of raw messages, or ``-``, the standard input: one message, an mbox, an archive or
    NDJSON. Other tables are known by their names, all else by its content; gzip, bzip2 and xz are
    unpacked on the way. An empty file holds no message.

    Parameters
    ----------
    paths
        In the order to be read. That all exist is checked at once, before the first is read.
    options
        Which columns of a table are read and how much of a message; None for the defaults.

    Raises
    ------
    DataError
        If a path is missing, unreadable, damaged, or no file and no directory; the text names it
        and the row, line or member within. While reading, the messages before it were given.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "mail.csv")
    ...     _ = path.write_text("user,message\nana,Subject: Lunch?\n")
    ...     [message] = read_messages([str(path)])
    >>> message.user, message.raw
    ('ana', b'Subject: Lunch?')
    """
    chosen = options or SourceOptions()
    if list(paths).count(_STDIN) > 1:
        raise DataError(f"{_STDIN}: the standard input can be read once only")
    for path in paths:
        if path != _STDIN:
            _is_directory(path)
    return chain.from_iterable(_read_path(path, chosen) for path in paths)


def _count(path: str) -> int | None:
    if path == _STDIN:
        return None
    if _is_directory(path):
        kinds = [_name_of(found.path).kind for found in walk(path)]
        return len(kinds) if not any(kinds) else None
    name = _name_of(path)
    with naming_errors(name.text), open_regular(path) as stream:
        head = stream.peek(_N_HEAD)
        if name.kind == ".parquet" or is_parquet(head):
            return n_parquet_rows(path)
        is_one = not (name.kind or is_mbox(head) or is_tar(head))
        return min(len(head), 1) if is_one and unpacked(stream, path) is stream else None


def count_hint(paths: Sequence[str]) -> int | None:
    """Guess how many messages paths lead to, without reading them: a hint for a progress bar.

    Parameters
    ----------
    paths
        As for `read_messages`.

    Returns
    -------
    The number of files and of Parquet rows; None where only reading would tell, and where reading
    would fail.
    """
    total = 0
    try:
        for path in paths:
            if (count := _count(path)) is None:
                return None
            total += count
    except DataError:
        return None
    return total
