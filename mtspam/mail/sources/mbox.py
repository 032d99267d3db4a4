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
_QUOTED_FROM = re.compile(rb">+From ")
_LINE_BLOCK = 65_536


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


def _without_separator(message: bytearray) -> bytes:
    """Drop the empty line that an mbox puts behind each message."""
    for ending in (b"\r\n", b"\n"):
        if message.endswith(ending + ending):
            return bytes(message[: -len(ending)])
    return bytes(message)


def split_mbox(stream: io.BufferedReader, max_bytes: int) -> Iterator[bytes]:
    """Yield the messages of an mbox, without their ``From`` lines and with ``>From`` unquoted.

    Parameters
    ----------
    stream
        At the first ``From`` line.
    max_bytes
        Bytes of each message that are kept; what is longer is passed over, not held.
    """
    stream.readline(_LINE_BLOCK)
    message = bytearray()
    is_line_start = is_after_empty = True
    while line := stream.readline(_LINE_BLOCK):
        if is_line_start and is_after_empty and line.startswith(b"From ") and is_mbox(line):
            yield _without_separator(message)
            message.clear()
        else:
            is_quoted = is_line_start and _QUOTED_FROM.match(line)
            message += line[1:] if is_quoted else line
            del message[max_bytes:]
        is_after_empty = is_line_start and line in {b"\n", b"\r\n"}
        is_line_start = line.endswith(b"\n")
    yield _without_separator(message)


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
