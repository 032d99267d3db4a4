"""Messages out of a byte stream: a single one, or an mbox of them in constant memory."""

import io
import re
from collections.abc import Iterator

from mtspam.mail.sources.opening import read_limited

__all__ = ["is_mbox", "read_stream", "split_mbox"]

# "From sender date": the separator of RFC 4155, appendix A, with the dates met in practice. Asking
# for a time and a year keeps prose that begins with "From " in one piece.
_FROM_LINE = re.compile(rb"From \S+ .*\d\d?:\d\d(?::\d\d)?\b.* (?:19|20)\d\d\b")
_MAX_FROM_LINE = 500
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
# What a pipe is waited for: with more, messages would be held back that are there already.
_BLOCK = io.DEFAULT_BUFFER_SIZE
_EMPTY_LINE = b"\n\n"


def is_mbox(head: bytes) -> bool:
    r"""Tell whether a stream with this beginning is an mbox.

    Examples
    --------
    >>> is_mbox(b"From ana@example.org Mon Jan  6 10:00:00 2025\n")
    True
    >>> is_mbox(b"From here to there at 10:00\n")
    False
    """
    return _FROM_LINE.match(head[:_MAX_FROM_LINE].partition(b"\n")[0]) is not None


def _finished(message: bytes, max_bytes: int) -> bytes:
    """Drop the empty line that an mbox puts behind each message, and unquote."""
    for ending in (b"\r\n", b"\n"):
        if message.endswith(ending + ending):
            message = message[: -len(ending)]
            break
    if b">From " in message:
        message = _QUOTED_FROM.sub(rb"\1", message)
    return message[:max_bytes]


def _find_separator(data: bytes, start: int) -> tuple[int, int] | None:
    """Return the range of the first ``From`` line behind an empty line, from `start` on."""
    at = start
    while (at := data.find(b"\nFrom ", at)) >= 0:
        end = data.find(b"\n", at + 1, at + 1 + _MAX_FROM_LINE)
        is_after_empty = data.endswith((b"\n\n", b"\n\r\n"), start, at + 1)
        if end >= 0 and is_after_empty and is_mbox(data[at + 1 : end + 1]):
            return at + 1, end + 1
        at += 1
    return None


def split_mbox(stream: io.BufferedReader, max_bytes: int) -> Iterator[bytes]:
    """Yield the messages of an mbox, without their ``From`` lines and with ``>From`` unquoted.

    Parameters
    ----------
    stream
        At the first ``From`` line.
    max_bytes
        Bytes of each message that are kept; what is longer is passed over, not held.
    """
    stream.readline(_BLOCK)
    n_virtual = len(_EMPTY_LINE)
    message = bytearray()
    # A message's first line counts as standing behind an empty one.
    pending = _EMPTY_LINE
    while True:
        block = stream.read1(_BLOCK)
        pending += block if block else b"\n"  # so that a last line without an end is one
        while (found := _find_separator(pending, 0)) is not None:
            message += pending[: found[0]]
            yield _finished(bytes(message[n_virtual:]), max_bytes)
            message.clear()
            pending = _EMPTY_LINE + pending[found[1] :]
        if not block:
            message += pending[:-1]
            yield _finished(bytes(message[n_virtual:]), max_bytes)
            return
        # The end may be half of a separator: it waits for the next block.
        sure = max(len(pending) - _MAX_FROM_LINE - 4, 0)
        message += pending[:sure]
        # Two bytes more than are kept, since an empty line at the end is dropped.
        del message[max_bytes + n_virtual + 2 :]
        pending = pending[sure:]


def read_stream(
    stream: io.BufferedReader, name: str, max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Yield the names and messages of a stream that holds an mbox, one message or nothing.

    A ``From`` line at the top of a single message makes it an mbox of one, which keeps its plain
    name; the messages of a longer one are numbered from 1.

    Parameters
    ----------
    stream
        At its beginning.
    name
        What the stream is called.
    max_bytes
        Bytes of each message that are kept.
    """
    if not is_mbox(stream.peek(_MAX_FROM_LINE)):
        if raw := read_limited(stream, max_bytes):
            yield name, raw
        return
    messages = split_mbox(stream, max_bytes)
    first, second = next(messages, b""), next(messages, None)
    if second is None:
        yield name, first
        return
    yield f"{name}:1", first
    yield f"{name}:2", second
    for number, raw in enumerate(messages, 3):
        yield f"{name}:{number}", raw
