"""A few header fields of a raw message, and the id that we gave to it; starts at once."""

import re
from collections.abc import Sequence

__all__ = ["ID_FIELD", "field_values", "head_end", "message_id_in"]

ID_FIELD = "X-Mtspam-Id"

_MAX_HEAD_BYTES = 1 << 20  # further down there is no header that anybody reads
_HEAD_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_ID_FIELD = ID_FIELD.lower().encode()
_ID = re.compile(rb"[0-9a-f]{32}")


def head_end(raw: bytes) -> int:
    """Return where the header ends, its last line end included."""
    if raw.startswith((b"\n", b"\r\n")):
        return 0
    found = _HEAD_END.search(raw, 0, _MAX_HEAD_BYTES)
    return found.start() + 1 if found else min(len(raw), _MAX_HEAD_BYTES)


def field_values(raw: bytes, names: Sequence[str]) -> list[tuple[str, str]]:
    r"""Return the fields of some names in their order: name in small letters, value in one line.

    Parameters
    ----------
    raw
        The message.
    names
        In small letters, without anything that a regular expression would read.

    Examples
    --------
    >>> field_values(b"To: b\nFrom: ana\n <a@example.org>\n\nTo: c", ["from", "to"])
    [('to', 'b'), ('from', 'ana <a@example.org>')]
    """
    wanted = "|".join(names).encode()
    # The module keeps compiled expressions; there are only as many as callers.
    pattern = rb"(?im)^(" + wanted + rb")[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)"
    return [
        (
            found[1].decode("ascii").lower(),
            _FOLD.sub(b" ", found[2]).strip().decode("utf-8", "surrogateescape"),
        )
        for found in re.finditer(pattern, raw[: head_end(raw)])
    ]


def message_id_in(raw: bytes) -> str | None:
    """Return the id that we gave to a message, as its first `ID_FIELD` says; None without one."""
    # Most mail has none, and this finds that out ten times as quickly as the expression does.
    if _ID_FIELD not in raw[: head_end(raw)].lower():
        return None
    for _, value in field_values(raw, [ID_FIELD.lower()]):
        return value if _ID.fullmatch(value.encode("utf-8", "replace")) else None
    return None
