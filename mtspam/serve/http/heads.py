"""The few things that an answer repeats from a message's header; all foreign, all kept apart."""

import re

from mtspam.serve.fields import is_forged

__all__ = ["Head"]

_MAX_HEAD_BYTES = 65_536
_MAX_ID_CHARACTERS = 256
_ID_FIELD = b"\nmessage-id:"
_HEAD_END = re.compile(rb"\n\r?\n")
_OURS = re.compile(rb"\nx-(?:spam|mtspam-)")
_NAME = re.compile(rb"\n(x-(?:spam|mtspam-)[!-9;-~]*)[ \t]*:", re.IGNORECASE)


class Head:
    r"""The header of a message, as far as answers need it.

    Parameters
    ----------
    raw
        The message.

    Examples
    --------
    >>> head = Head(b"X-Spam: no\nMessage-Id: <1@example.org>\nX-Spammer: b\n\nX-Spam-Level: *")
    >>> head.message_id(), head.forged_names()
    ('1@example.org', ['X-Spam'])
    """

    def __init__(self, raw: bytes) -> None:
        first = raw[:_MAX_HEAD_BYTES]
        end = _HEAD_END.search(first)
        # With a line end before each field; searching in small letters is many times as quick as
        # an expression that ignores case.
        self._text = b"\n" + (first if end is None else first[: end.start() + 1])
        self._small = self._text.lower()

    def message_id(self) -> str | None:
        """Return the message's own id without brackets, None where it has none fit to be shown."""
        at = self._small.find(_ID_FIELD)
        if at < 0:
            return None
        start = at + len(_ID_FIELD)
        end = self._text.find(b"\n", start)
        line = self._text[start : end if end >= 0 else len(self._text)]
        text = line.strip(b" \t\r<>").decode("latin-1")
        if len(text) > _MAX_ID_CHARACTERS or not text.isascii() or not text.isprintable():
            return None
        return text or None

    def forged_names(self) -> list[str]:
        """Return the names of fields that only a filter like us may write, each once."""
        if _OURS.search(self._small) is None:
            return []
        names = (name.decode("latin-1") for name in _NAME.findall(self._text))
        return [name for name in dict.fromkeys(names) if is_forged(name)]
