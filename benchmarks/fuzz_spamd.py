"""What must hold of the codec of spamd's protocol, whatever the bytes."""

import re
import zlib

from mtspam.serve.spamd.codec import Command, Refusal, Request, RequestReader
from mtspam.serve.spamd.replies import unscored_reply

__all__ = ["SEEDS", "check"]

_LIMIT = 4_096
_PACKED = zlib.compress(b"X-Spam-Flag: NO\n\na\n")
_HEAD = b"Content-length: 5\r\nUser: ana\r\n"

SEEDS = (
    b"CHECK SPAMC/1.5\r\n" + _HEAD + b"\r\na: b\n",
    b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local, remote\r\nRemove: x\r\n\r\na: b\n",
    b"PROCESS SPAMC/1.2\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n" % len(_PACKED) + _PACKED,
    b"HEADERS SPAMC/1.4\n\r\n\r\n",
    b"REPORT_IFSPAM SPAMC/1.0\nx",
    b"PING SPAMC/1.2\r\n",
    b"SKIP SPAMC/1.5\r\n\r\n",
)

_Outcome = Request | Refusal | None


def _read(data: bytes, step: int) -> _Outcome:
    reader = RequestReader(_LIMIT)
    found: _Outcome = None
    for at in range(0, len(data), step):
        found = found or reader.feed(data[at : at + step])
    return found or reader.finish()


def _check_reply(request: Request) -> None:
    if request.command in {Command.TELL, Command.PING, Command.SKIP}:
        return
    head, _, body = (unscored_reply(request, 5.0) or b"").partition(b"\r\n\r\n")
    length = re.search(rb"\AContent-length: (\d+)\r", head.partition(b"\n")[2])
    if length and int(length[1]) != len(body):
        raise ValueError(f"a reply of {len(body)} bytes says {int(length[1])}")


def check(data: bytes) -> None:
    """Read a request in one piece and in small ones.

    Raises
    ------
    ValueError
        Where the two differ, nothing comes out, or more than is allowed.
    """
    step = 1 + (data[0] if data else 0)
    data = data[1:]
    whole = _read(data, len(data) or 1)
    if _read(data, step) != whole:
        raise ValueError(f"another outcome in pieces of {step} bytes")
    if whole is None:
        raise ValueError("no outcome after the end of the input")
    if isinstance(whole, Request):
        if len(whole.message) > _LIMIT:
            raise ValueError(f"a message of {len(whole.message)} bytes")
        _check_reply(whole)
    if isinstance(whole, Refusal) and not (whole.text.isascii() and whole.text.isprintable()):
        raise ValueError(f"a refusal of strange characters: {whole.text!r}")
