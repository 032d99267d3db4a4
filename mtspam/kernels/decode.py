"""Kernels that undo transfer encodings and one-byte charsets."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["decode_body", "is_utf8", "table_to_utf8"]

# As in kernels/mime.py (a test holds them equal).
ENCODING_NONE, ENCODING_BASE64, ENCODING_QUOTED, ENCODING_UU = range(4)


@kernel
def _base64_digit(c: np.uint8) -> int:
    if 65 <= c <= 90:
        return int(c) - 65
    if 97 <= c <= 122:
        return int(c) - 71
    if 48 <= c <= 57:
        return int(c) + 4
    if c == 43 or c == 45:
        return 62
    if c == 47 or c == 95:
        return 63
    return -1


@kernel
def _hex_digit(c: np.uint8) -> int:
    if 48 <= c <= 57:
        return int(c) - 48
    if 65 <= c <= 70:
        return int(c) - 55
    if 97 <= c <= 102:
        return int(c) - 87
    return -1


BEGIN = np.frombuffer(b"begin ", np.uint8).copy()
END = np.frombuffer(b"end", np.uint8).copy()


@kernel
def _starts(raw: NDArray[np.uint8], i: int, word: NDArray[np.uint8]) -> bool:
    for k in range(word.shape[0]):
        if raw[i + k] != word[k]:
            return False
    return True


@kernel
def decode_body(
    raw: NDArray[np.uint8],
    span: tuple[int, int],
    encoding: int,
    out: NDArray[np.uint8],
    room: tuple[int, int],
) -> tuple[int, int, int]:
    """Decode ``raw[span]`` into ``out[room]`` as far as there is room.

    Leniently, as mail programs do: base64 skips what is no digit and begins anew behind padding
    (pieces encoded one by one are often joined), quoted-printable keeps a stray ``=`` and drops
    soft line breaks, uuencode takes the lines between ``begin`` and ``end`` that are as long as
    they say.

    Parameters
    ----------
    raw, span
        The encoded bytes and their half-open range.
    encoding
        0 none, 1 base64, 2 quoted-printable, 3 uuencode.
    out, room
        Output and the half-open range that may be written.

    Returns
    -------
    tuple
        End of what was written; how many of the bytes written are above 127; where reading ended.
    """
    i, end = span
    o, cap = room
    high = 0
    if encoding == ENCODING_BASE64:
        bits = 0
        n_bits = 0
        while i < end and o < cap:
            d = _base64_digit(raw[i])
            i += 1
            if d < 0:
                if raw[i - 1] == 61 and n_bits < 6:
                    n_bits = 0
                continue
            bits = ((bits << 6) | d) & 0xFFFFFF
            n_bits += 6
            if n_bits >= 8:
                n_bits -= 8
                c = (bits >> n_bits) & 255
                high += c >> 7
                out[o] = c
                o += 1
        while i < end and _base64_digit(raw[i]) < 0:  # padding and line ends are no more to read
            i += 1
    elif encoding == ENCODING_QUOTED:
        while i < end and o < cap:
            c = int(raw[i])
            i += 1
            if c == 61:
                k = i
                while k < end and (raw[k] == 32 or raw[k] == 9):
                    k += 1
                is_soft = k < end and (raw[k] == 10 or raw[k] == 13)
                if is_soft:
                    i = k + 2 if raw[k] == 13 and k + 1 < end and raw[k + 1] == 10 else k + 1
                    continue
                if i + 1 < end:
                    a = _hex_digit(raw[i])
                    b = _hex_digit(raw[i + 1])
                    if a >= 0 and b >= 0:
                        c = a * 16 + b
                        i += 2
            high += c >> 7
            out[o] = c
            o += 1
    elif encoding == ENCODING_UU:
        is_open = False
        while i < end and o < cap:
            stop = i
            while stop < end and raw[stop] != 10:
                stop += 1
            n = (int(raw[i]) - 32) & 63
            if not is_open:
                is_open = stop - i > 6 and _starts(raw, i, BEGIN)
                n = 0
            elif stop - i >= 3 and _starts(raw, i, END):
                i = end
                break
            elif stop - i <= (n + 2) // 3 * 4:  # cut short, or no such line
                n = 0
            k = i + 1
            while n > 0 and o + 3 <= cap:
                word = 0
                for _ in range(4):
                    word = (word << 6) | ((int(raw[k]) - 32) & 63)
                    k += 1
                for shift in range(16, 16 - 8 * min(n, 3), -8):
                    c = (word >> shift) & 255
                    high += c >> 7
                    out[o] = c
                    o += 1
                n -= 3
            i = stop + 1
    else:
        while i < end and o < cap:
            c = int(raw[i])
            high += c >> 7
            out[o] = c
            o += 1
            i += 1
    return o, high, i


@kernel
def is_utf8(data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Tell whether ``data[start:end]`` is UTF-8; a character cut off at the end is forgiven."""
    i = start
    while i < end:
        c = data[i]
        i += 1
        if c < 128:
            continue
        n = 1 if 0xC2 <= c < 0xE0 else 2 if 0xE0 <= c < 0xF0 else 3 if 0xF0 <= c < 0xF5 else 0
        if n == 0:
            return False
        for _ in range(n):
            if i >= end:
                return True
            if data[i] & 0xC0 != 0x80:
                return False
            i += 1
    return True


@kernel
def table_to_utf8(
    data: NDArray[np.uint8],
    span: tuple[int, int],
    table: NDArray[np.uint32],
    out: NDArray[np.uint8],
    room: tuple[int, int],
) -> int:
    """Write ``data[span]``, in a charset of one byte a character, as UTF-8 into ``out[room]``.

    Parameters
    ----------
    data, span
        The bytes and their half-open range.
    table
        Code point of each byte value, shape ``(256,)``, all below 65,536.
    out, room
        Output and the half-open range that may be written.

    Returns
    -------
    int
        End of what was written.
    """
    o, cap = room
    for i in range(span[0], span[1]):
        cp = table[data[i]]
        if o + 3 > cap:
            break
        if cp < 0x80:
            out[o] = cp
            o += 1
        elif cp < 0x800:
            out[o] = 0xC0 | (cp >> 6)
            out[o + 1] = 0x80 | (cp & 63)
            o += 2
        else:
            out[o] = 0xE0 | (cp >> 12)
            out[o + 1] = 0x80 | ((cp >> 6) & 63)
            out[o + 2] = 0x80 | (cp & 63)
            o += 3
    return o
