"""The few things that an answer repeats from a message's header; all foreign, all kept apart."""

import re

from mtspam.serve.fields import is_forged

__all__ = ["forged_names", "message_id"]

_MAX_HEAD_BYTES = 65_536
_MAX_ID_CHARACTERS = 256
_ID_FIELD = b"\nmessage-id:"
_OURS = (b"\nx-spam", b"\nx-mtspam-")
_NAME = re.compile(rb"\n(x-(?:spam|mtspam-)[!-9;-~]*)[ \t]*:", re.IGNORECASE)


def _head(raw: bytes) -> bytes:
    """Return the header with a line end before each field."""
    ends = [end for end in (raw.find(b"\n\r\n"), raw.find(b"\n\n")) if end >= 0]
    end = min(ends) + 1 if ends else len(raw)
    return b"\n" + raw[: min(end, _MAX_HEAD_BYTES)]


def message_id(raw: bytes) -> str | None:
    r"""Return a message's own id without brackets, None where it has none that can be shown.

    Examples
    --------
    >>> message_id(b"Subject: a\nMessage-Id: <1@example.org>\n\n")
    '1@example.org'
    """
    head = _head(raw)
    # Searching in small letters is many times as quick as an expression that ignores case.
    at = head.lower().find(_ID_FIELD)
    if at < 0:
        return None
    start = at + len(_ID_FIELD)
    end = head.find(b"\n", start)
    text = head[start : end if end >= 0 else len(head)].strip(b" \t\r<>").decode("latin-1")
    if not text or len(text) > _MAX_ID_CHARACTERS or not text.isascii() or not text.isprintable():
        return None
    return text


def forged_names(raw: bytes) -> list[str]:
    r"""Return the names of fields that only a filter like us may write, each once.

    Examples
    --------
    >>> forged_names(b"X-Spam: no\nSubject: a\nX-Spam-Level: \nX-Spammer: b\n\n")
    ['X-Spam', 'X-Spam-Level']
    """
    head = _head(raw)
    small = head.lower()
    if not any(start in small for start in _OURS):
        return []
    names = (name.decode("latin-1") for name in _NAME.findall(head))
    return [name for name in dict.fromkeys(names) if is_forged(name)]
