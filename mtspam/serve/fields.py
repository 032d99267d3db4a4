"""Header fields of a raw message: read a few, take forged verdicts out, put our own in front.

Bytes in, bytes out; nothing heavy is imported here, since `mtspam filter` must start at once.
"""

import re
from collections.abc import Iterable

from mtspam.mail.rawfields import ID_FIELD, field_values, head_end, message_id_in

__all__ = [
    "ID_FIELD",
    "ascii_value",
    "field_values",
    "is_forged",
    "message_id_in",
    "with_fields",
    "without_forged",
]

_LEADING = b"X-Mtspam-Leading:"
"""Takes in what would continue our last field: a first line that begins with a blank."""

_FORGED_NAME = rb"(?:x-(?:mtspam|spam)-[^:\s]*|x-spam)"
_FORGED = re.compile(rb"(?i)\A" + _FORGED_NAME + rb"\Z")
_FORGED_FIELD = re.compile(
    rb"(?im)^" + _FORGED_NAME + rb"[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)"
)
# Some readers take a lone carriage return for the end of a line.
_FORGED_BEHIND_CR = re.compile(rb"(?i)\r(?!\n)" + _FORGED_NAME + rb"[ \t]*:[^\r\n]*")
_MAILBOX_LINE = re.compile(rb"From [^\r\n]*\r?\n")
_OUTSIDE_ASCII = re.compile(r"[^\x20-\x7e]")


def is_forged(name: str) -> bool:
    """Tell whether a field that comes in says what only we, or another filter before us, can say.

    Such a field is to be removed before ours are added: ``X-Mtspam-`` and ``X-Spam-`` with
    anything behind, and ``X-Spam``.

    Examples
    --------
    >>> is_forged("X-Spam-Status"), is_forged("x-mtspam-id"), is_forged("X-Spammer")
    (True, True, False)
    """
    return _FORGED.match(name.strip(" \t").encode("utf-8", "replace")) is not None


def without_forged(raw: bytes) -> bytes:
    """Return a message without the fields of which `is_forged` tells; all else as it is."""
    end = head_end(raw)
    head = raw[:end]
    kept = _FORGED_BEHIND_CR.sub(b"", _FORGED_FIELD.sub(b"", head))
    return raw if len(kept) == end else kept + raw[end:]


def with_fields(raw: bytes, fields: Iterable[tuple[str, str]]) -> bytes:
    r"""Return a message with fields in front of its header and without forged ones.

    Lines end as the message's own do. A mailbox's ``From `` line stays first.

    Parameters
    ----------
    raw
        The message.
    fields
        Name and value; what is not printable ASCII is replaced.

    Examples
    --------
    >>> with_fields(b"X-Spam-Flag: NO\r\nSubject: a\r\n\r\nb", [("X-Spam-Flag", "YES")])
    b'X-Spam-Flag: YES\r\nSubject: a\r\n\r\nb'
    """
    raw = without_forged(raw)
    first = raw.find(b"\n")
    line_end = b"\r\n" if first > 0 and raw[first - 1 : first] == b"\r" else b"\n"
    mailbox_line = _MAILBOX_LINE.match(raw)
    at = mailbox_line.end() if mailbox_line else 0
    added = [f"{name}: {ascii_value(value)}".encode() + line_end for name, value in fields]
    if raw[at : at + 1] in {b" ", b"\t"}:
        added.append(_LEADING + line_end)
    if first < 0 and at == 0 and b":" not in raw:
        added.append(line_end)  # there is no header: what stands here is text
    return b"".join((raw[:at], *added, raw[at:]))


def ascii_value(text: str) -> str:
    r"""Return a text that is fit to be a field's value: printable ASCII in one line.

    Examples
    --------
    >>> ascii_value("a\r\nBcc: caf\u00e9")
    'a??Bcc: caf?'
    """
    return _OUTSIDE_ASCII.sub("?", text)
