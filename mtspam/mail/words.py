"""Encoded words of RFC 2047, as found in subjects and names."""

import base64
import binascii

from mtspam.mail.charsets import find_charset

__all__ = ["decode_words"]

MAX_WORDS = 64  # a subject has a handful; each costs a call of a codec
MAX_BYTES = 8192


def decode_words(value: bytes) -> bytes:
    """Return `value` as UTF-8 with its encoded words read, in linear time.

    What is not well formed stays as it is; neighbouring words are joined without the blank between
    them, and their bytes are joined before decoding where charset and encoding agree, as senders
    cut characters in half.

    Parameters
    ----------
    value
        The value of a header field; all but its first bytes is left out.

    Examples
    --------
    >>> decode_words(b"=?utf-8?q?caf=C3=A9?= =?utf-8?b?IQ==?= now").decode()
    'café! now'
    """
    value = value[:MAX_BYTES]
    out: list[bytes] = []
    pending = b""
    pending_charset = b""
    at = 0
    for _ in range(MAX_WORDS):
        start = value.find(b"=?", at)
        if start < 0:
            break
        word = _parse(value, start)
        between = value[at:start]
        if word is None:
            out += [_flush(pending, pending_charset), value[at : start + 2]]
            pending = b""
            at = start + 2
            continue
        charset, data, at = word
        if pending and (between.strip() or charset != pending_charset):
            out.append(_flush(pending, pending_charset))
            pending = b""
        if between.strip() or not out:
            out.append(between)
        pending += data
        pending_charset = charset
    out += [_flush(pending, pending_charset), value[at:]]
    return b"".join(out)


def _parse(value: bytes, start: int) -> tuple[bytes, bytes, int] | None:
    """Read the encoded word at `start`: its charset, its bytes and where it ends."""
    first = value.find(b"?", start + 2, start + 50)
    if first < 0 or value[first + 2 : first + 3] != b"?":
        return None
    end = value.find(b"?=", first + 3)
    if end < 0:
        return None
    text = value[first + 3 : end]
    kind = value[first + 1 : first + 2].lower()
    charset = value[start + 2 : first].split(b"*")[0].lower()
    if kind == b"q":
        return charset, binascii.a2b_qp(text, header=True), end + 2
    if kind != b"b":
        return None
    try:
        return charset, base64.b64decode(text + b"=" * (-len(text) % 4)), end + 2
    except binascii.Error:
        return None


def _flush(data: bytes, name: bytes) -> bytes:
    charset = find_charset(name)
    if charset is None or not data:
        return data
    return data.decode(charset.codec, "replace").encode("utf-8", "replace")
