"""Just enough of mail headers to prepare corpora: not the parser of the filter under test."""

import re
from itertools import pairwise

__all__ = ["STRIPPING_RULE", "list_of", "split_header", "strip_headers"]

STRIPPING_RULE = (
    "of the header only Subject, MIME-Version and Content-* fields are kept, with their folded "
    "lines, in their order and byte for byte; the mbox From line goes too; everything from the "
    "first blank line on is unchanged"
)

_BLANK_LINE = re.compile(rb"\r?\n(?=\r?\n)")
_FIELD_START = re.compile(rb"^(?![ \t])", re.MULTILINE)
_KEPT = re.compile(rb"(subject|mime-version|content-[^:\s]*)[ \t]*:", re.IGNORECASE)
_LIST_ID = re.compile(rb"^list-id:[^<\n]*<([^>\n]+)>", re.IGNORECASE | re.MULTILINE)
_LIST_MARK = re.compile(
    rb"^(list-id|list-unsubscribe|precedence:[ \t]*(list|bulk)\b)", re.IGNORECASE | re.MULTILINE
)
_FROM_DOMAIN = re.compile(rb"^from:[^\n]*@([\w.-]+)", re.IGNORECASE | re.MULTILINE)


def split_header(raw: bytes) -> tuple[bytes, bytes]:
    r"""Split a message after its last header line; the body begins with the blank line.

    Examples
    --------
    >>> split_header(b"Subject: hi\n\nbody")
    (b'Subject: hi\n', b'\nbody')
    """
    blank = _BLANK_LINE.search(raw)
    end = blank.end() if blank else len(raw)
    return raw[:end], raw[end:]


def strip_headers(raw: bytes) -> bytes:
    r"""Keep Subject and MIME fields alone, see `STRIPPING_RULE`.

    Examples
    --------
    >>> strip_headers(b"From: a@example.com\nSubject: hi\n\nbody")
    b'Subject: hi\n\nbody'
    """
    header, body = split_header(raw)
    starts = [match.start() for match in _FIELD_START.finditer(header)] + [len(header)]
    fields = [header[a:b] for a, b in pairwise(starts)]
    return b"".join(part for part in fields if _KEPT.match(part)) + body


def list_of(raw: bytes, *, is_newsletter: bool = False) -> str | None:
    """Name the list or newsletter that a message came through, or None for other mail.

    The name is the List-Id; without one, for mail marked by List-Unsubscribe or Precedence (list,
    bulk) and for known newsletters, the domain in From.
    """
    header, _ = split_header(raw)
    found = _LIST_ID.search(header)
    if found:
        return "list:" + found[1].strip().lower().decode("latin-1")
    if not is_newsletter and not _LIST_MARK.search(header):
        return None
    sender = _FROM_DOMAIN.search(header)
    return "from:" + (sender[1].lower().decode("latin-1") if sender else "")
