"""Plain-Python twin of mtspam.kernels.decode, by regular expressions and the standard library."""

import binascii
import re


def base64(data: bytes) -> bytes:
    """Digits between padding are pieces of their own; all else is skipped."""
    digits = re.sub(rb"[^A-Za-z0-9+/=_-]", b"", data).replace(b"-", b"+").replace(b"_", b"/")
    out = b""
    rest = b""
    for piece in re.split(rb"(=)", digits):
        if piece != b"=":
            rest += piece
        elif len(rest) % 4 != 1:  # padding behind a single digit ends nothing
            out += whole(rest)
            rest = b""
    return out + whole(rest)


def whole(digits: bytes) -> bytes:
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def quoted(data: bytes) -> bytes:
    def replace(found):
        return bytes.fromhex(found[1].decode()) if found[1] else b""

    return re.sub(rb"=(?:[ \t]*(?:\r\n|\n|\r)|([0-9A-Fa-f]{2}))", replace, data)


def uu(data: bytes) -> bytes:
    out = b""
    is_open = False
    for line in data.split(b"\n"):
        if not is_open:
            is_open = line.startswith(b"begin ") and len(line) > 6
            continue
        if line.startswith(b"end"):
            break
        n = (line[0] - 32) % 64 if line else 0
        chars = line[1 : 1 + (n + 2) // 3 * 4]
        if n and len(chars) == (n + 2) // 3 * 4:
            bits = "".join(f"{(c - 32) % 64:06b}" for c in chars)
            out += bytes(int(bits[8 * i : 8 * i + 8], 2) for i in range(n))
    return out


def is_utf8(data: bytes) -> bool:
    """UTF-8 by the shape of its bytes, the last character perhaps cut off."""
    tail = rb"[\x80-\xbf]"
    whole = rb"[\x00-\x7f]|[\xc2-\xdf]%b|[\xe0-\xef]%b{2}|[\xf0-\xf4]%b{3}" % (tail, tail, tail)
    cut = rb"(?:[\xc2-\xdf]|[\xe0-\xef]%b?|[\xf0-\xf4]%b{0,2})?" % (tail, tail)
    return re.fullmatch(rb"(?:%b)*%b" % (whole, cut), data) is not None
