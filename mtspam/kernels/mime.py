"""Kernel that finds header fields and MIME parts in raw bytes; it decodes nothing.

One pass, no recursion, fixed tables: the work is linear in the length of the message whatever the
message says about itself. What does not fit is left out and flagged.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = [
    "DEFECT_DEPTH",
    "DEFECT_FIELDS",
    "DEFECT_HEADER_LINE",
    "DEFECT_NO_BOUNDARY",
    "DEFECT_PARTS",
    "DEFECT_UNCLOSED",
    "FIELD_COLUMNS",
    "PART_COLUMNS",
    "split",
]

# Columns of `fields`: part, hash of the lower-cased name, name range, value range, prefix hash.
FIELD_COLUMNS = 7
F_PART, F_NAME_HASH, F_NAME, F_NAME_END, F_VALUE, F_VALUE_END, F_PREFIX_HASH = range(FIELD_COLUMNS)

# Columns of `parts`.
PART_COLUMNS = 14
(
    P_DEPTH,
    P_PARENT,
    P_TYPE,
    P_ENCODING,
    P_BODY,
    P_BODY_END,
    P_CHARSET,
    P_CHARSET_END,
    P_FILE,
    P_FILE_END,
    P_BOUNDARY,
    P_BOUNDARY_END,
    P_ATTACHED,
    P_SUBTYPE_HASH,
) = range(PART_COLUMNS)

TYPE_PLAIN, TYPE_HTML, TYPE_TEXT, TYPE_MULTIPART, TYPE_MESSAGE, TYPE_OTHER = range(6)
ENCODING_NONE, ENCODING_BASE64, ENCODING_QUOTED, ENCODING_UU = range(4)

DEFECT_HEADER_LINE = 1
DEFECT_FIELDS = 2
DEFECT_PARTS = 4
DEFECT_DEPTH = 8
DEFECT_NO_BOUNDARY = 16
DEFECT_UNCLOSED = 32

# FNV-1a with 64 bits; the hash of a field name is what mail/fields.py tabulates.
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)

MAX_BOUNDARY = 250  # RFC 2046 allows 70; hostile mail writes more, and some software accepts it


def fnv64(name: bytes) -> int:
    """Hash `name` as the kernels do, as a signed 64-bit number (FNV-1a of lower-cased bytes)."""
    h = 0xCBF29CE484222325
    for byte in name.lower():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h - (1 << 64) if h >= 1 << 63 else h


H_CONTENT_TYPE = np.int64(fnv64(b"content-type"))
H_ENCODING = np.int64(fnv64(b"content-transfer-encoding"))
H_DISPOSITION = np.int64(fnv64(b"content-disposition"))
H_BOUNDARY = np.int64(fnv64(b"boundary"))
H_CHARSET = np.int64(fnv64(b"charset"))
H_NAME = np.int64(fnv64(b"name"))
H_FILENAME = np.int64(fnv64(b"filename"))
H_TEXT = np.int64(fnv64(b"text"))
H_MULTIPART = np.int64(fnv64(b"multipart"))
H_MESSAGE = np.int64(fnv64(b"message"))
H_PLAIN = np.int64(fnv64(b"plain"))
H_HTML = np.int64(fnv64(b"html"))
H_RFC822 = np.int64(fnv64(b"rfc822"))
H_GLOBAL = np.int64(fnv64(b"global"))


@kernel
def _word_hash(raw: NDArray[np.uint8], start: int, end: int) -> np.int64:
    h = FNV_OFFSET
    for i in range(start, end):
        c = raw[i]
        if 65 <= c <= 90:
            c += np.uint8(32)
        h = (h ^ np.uint64(c)) * FNV_PRIME
    return np.int64(h)


@kernel
def _skip_blank(raw: NDArray[np.uint8], i: int, end: int) -> int:
    while i < end and (raw[i] == 32 or raw[i] == 9 or raw[i] == 10 or raw[i] == 13):
        i += 1
    return i


@kernel
def _parameters(raw: NDArray[np.uint8], i: int, end: int, part: NDArray[np.int32]) -> None:
    """Read `; name=value` pairs in one pass and keep the ranges of the four that matter."""
    while i < end:
        while i < end and raw[i] != 59:
            i += 1
        i = _skip_blank(raw, i + 1, end)
        name = i
        while i < end and raw[i] != 61 and raw[i] != 59 and raw[i] != 42 and raw[i] > 32:
            i += 1
        name_end = i
        while i < end and raw[i] != 61 and raw[i] != 59:
            i += 1
        if i >= end or raw[i] == 59:
            continue
        i = _skip_blank(raw, i + 1, end)
        value = i
        if i < end and raw[i] == 34:
            value = i + 1
            i += 1
            while i < end and raw[i] != 34:
                i += 1
            value_end = i
            i += 1
        else:
            while i < end and raw[i] != 59 and raw[i] > 32:
                i += 1
            value_end = i
        h = _word_hash(raw, name, name_end)
        if h == H_BOUNDARY:
            part[P_BOUNDARY] = value
            part[P_BOUNDARY_END] = min(value_end, value + MAX_BOUNDARY)
        elif h == H_CHARSET:
            part[P_CHARSET] = value
            part[P_CHARSET_END] = min(value_end, value + 40)
        elif (h == H_NAME or h == H_FILENAME) and part[P_FILE_END] <= part[P_FILE]:
            part[P_FILE] = value
            part[P_FILE_END] = min(value_end, value + 200)


@kernel
def _content_field(
    raw: NDArray[np.uint8], h: np.int64, value: int, end: int, part: NDArray[np.int32]
) -> None:
    """Note what a Content-* field says about its part."""
    i = _skip_blank(raw, value, end)
    word = i
    while i < end and raw[i] != 47 and raw[i] != 59 and raw[i] > 32:
        i += 1
    first = _word_hash(raw, word, i)
    if h == H_CONTENT_TYPE:
        sub = i + 1 if i < end and raw[i] == 47 else i
        i = sub
        while i < end and raw[i] != 59 and raw[i] > 32:
            i += 1
        second = _word_hash(raw, sub, i)
        part[P_SUBTYPE_HASH] = np.int32(second & 0x7FFFFFFF)
        if first == H_MULTIPART:
            part[P_TYPE] = TYPE_MULTIPART
        elif first == H_TEXT:
            part[P_TYPE] = TYPE_PLAIN if second == H_PLAIN else TYPE_TEXT
            if second == H_HTML:
                part[P_TYPE] = TYPE_HTML
        elif first == H_MESSAGE and (second == H_RFC822 or second == H_GLOBAL):
            part[P_TYPE] = TYPE_MESSAGE
        elif i > word or sub > word:
            part[P_TYPE] = TYPE_OTHER
        _parameters(raw, i, end, part)
    elif h == H_ENCODING and word < end:
        c = raw[word] | 32
        if c == 98:
            part[P_ENCODING] = ENCODING_BASE64
        elif c == 113:
            part[P_ENCODING] = ENCODING_QUOTED
        elif c == 120 and word + 2 < end and raw[word + 2] | 32 == 117:
            part[P_ENCODING] = ENCODING_UU
        else:
            part[P_ENCODING] = ENCODING_NONE
    elif h == H_DISPOSITION:
        if word < end and raw[word] | 32 == 97:
            part[P_ATTACHED] = 1
        _parameters(raw, i, end, part)


@kernel
def _is_delimiter(raw: NDArray[np.uint8], i: int, end: int, part: NDArray[np.int32]) -> bool:
    """Tell whether the bytes at `i`, behind two dashes, are the boundary of `part`."""
    n = part[P_BOUNDARY_END] - part[P_BOUNDARY]
    if n == 0 or i + n > end:
        return False
    at = part[P_BOUNDARY]
    for k in range(n):
        if raw[i + k] != raw[at + k]:
            return False
    return True


@kernel
def split(
    raw: NDArray[np.uint8],
    size: int,
    fields: NDArray[np.int64],
    parts: NDArray[np.int32],
    limits: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Find the fields and parts of ``raw[:size]``.

    Parameters
    ----------
    raw
        The message as received, shape ``(>= size,)``.
    size
        How many bytes of it count.
    fields
        Output, shape ``(max_fields, FIELD_COLUMNS)``.
    parts
        Output, shape ``(max_parts, PART_COLUMNS)``; part 0 is the message itself. Ranges are
        half-open positions in `raw`.
    limits
        ``(max_header_bytes a part, max_depth)``.

    Returns
    -------
    tuple
        Number of fields, number of parts, defect bits.
    """
    max_header, max_depth = limits[0], limits[1]
    open_parts = np.zeros(64, np.int32)  # the multiparts around this line, outermost first
    n_open = 0
    n_fields = 0
    n_parts = 0
    defects = 0
    i = 0
    # An mbox separator may stand before the header.
    if size >= 5 and raw[0] == 70 and raw[1] == 114 and raw[2] == 111 and raw[3] == 109:
        if raw[4] == 32:
            while i < size and raw[i] != 10:
                i += 1
            i += 1
    current = -1
    parent = -1
    depth = 0
    in_header = True
    starting = True
    header_start = i
    while True:
        if starting:
            starting = False
            in_header = True
            header_start = i
            if n_parts < parts.shape[0]:
                current = n_parts
                n_parts += 1
                parts[current, :] = 0
                parts[current, P_DEPTH] = depth
                parts[current, P_PARENT] = parent
                parts[current, P_BODY] = size
                parts[current, P_BODY_END] = size
            else:
                defects |= DEFECT_PARTS
                break
        if i >= size:
            break
        line = i
        stop = line
        while stop < size and raw[stop] != 10:
            stop += 1
        after = min(stop + 1, size)
        bare = stop
        if bare > line and raw[bare - 1] == 13:
            bare -= 1
        # A delimiter of any multipart around ends what is open below it, header or body.
        level = -1
        closing = False
        if n_open > 0 and bare - line > 2 and raw[line] == 45 and raw[line + 1] == 45:
            for k in range(n_open - 1, -1, -1):
                owner = parts[open_parts[k]]
                if _is_delimiter(raw, line + 2, bare, owner):
                    tail = line + 2 + owner[P_BOUNDARY_END] - owner[P_BOUNDARY]
                    closing = tail + 2 <= bare and raw[tail] == 45 and raw[tail + 1] == 45
                    level = k
                    break
        if level >= 0:
            if current >= 0:
                end = line
                if in_header:
                    parts[current, P_BODY] = line
                elif end > parts[current, P_BODY] and raw[end - 1] == 10:
                    end -= 1
                    if end > parts[current, P_BODY] and raw[end - 1] == 13:
                        end -= 1
                parts[current, P_BODY_END] = end
            i = after
            if closing:
                n_open = level
                current = -1
                in_header = False
            else:
                n_open = level + 1
                parent = open_parts[level]
                depth = parts[parent, P_DEPTH] + 1
                starting = True
            continue
        if not in_header:
            i = after
            continue
        if bare == line:  # the blank line: the header ends
            i = after
            in_header = False
            parts[current, P_BODY] = i
            kind = parts[current, P_TYPE]
            if kind == TYPE_MULTIPART:
                if parts[current, P_BOUNDARY_END] <= parts[current, P_BOUNDARY]:
                    defects |= DEFECT_NO_BOUNDARY
                    parts[current, P_TYPE] = TYPE_PLAIN
                elif n_open >= max_depth or n_open >= open_parts.shape[0]:
                    defects |= DEFECT_DEPTH
                else:
                    open_parts[n_open] = current
                    n_open += 1
            elif kind == TYPE_MESSAGE and parts[current, P_ENCODING] == ENCODING_NONE:
                if parts[current, P_DEPTH] >= max_depth:
                    defects |= DEFECT_DEPTH
                    parts[current, P_TYPE] = TYPE_TEXT
                else:
                    parent = current
                    depth = parts[current, P_DEPTH] + 1
                    starting = True
            continue
        # A field: name, colon, value over all folded lines.
        colon = line
        while colon < bare and raw[colon] > 32 and raw[colon] != 58 and raw[colon] != 127:
            colon += 1
        name_end = colon
        while colon < bare and (raw[colon] == 32 or raw[colon] == 9):
            colon += 1
        if name_end == line or colon >= bare or raw[colon] != 58:
            defects |= DEFECT_HEADER_LINE
            if i == header_start and (raw[line] == 62 or raw[line] == 32 or raw[line] == 9):
                i = after  # a quoted mbox line or a stray fold at the very top
                header_start = i
                continue
            # No field: the body starts here without its blank line.
            in_header = False
            parts[current, P_BODY] = line
            if parts[current, P_TYPE] == TYPE_MULTIPART:
                if (
                    parts[current, P_BOUNDARY_END] > parts[current, P_BOUNDARY]
                    and n_open < max_depth
                ):
                    open_parts[n_open] = current
                    n_open += 1
                else:
                    parts[current, P_TYPE] = TYPE_PLAIN
            continue
        while after < size and (raw[after] == 32 or raw[after] == 9):
            stop = after
            while stop < size and raw[stop] != 10:
                stop += 1
            after = min(stop + 1, size)
        value_end = stop
        if value_end > colon + 1 and raw[value_end - 1] == 13:
            value_end -= 1
        i = after
        if n_fields >= fields.shape[0] or value_end - header_start > max_header:
            defects |= DEFECT_FIELDS
            continue
        h = FNV_OFFSET
        prefix = FNV_OFFSET
        dashes = 0
        for k in range(line, name_end):
            c = raw[k]
            if 65 <= c <= 90:
                c += np.uint8(32)
            h = (h ^ np.uint64(c)) * FNV_PRIME
            if c == 45:
                dashes += 1
                if dashes == 2:
                    prefix = h
        fields[n_fields, F_PART] = current
        fields[n_fields, F_NAME_HASH] = np.int64(h)
        fields[n_fields, F_NAME] = line
        fields[n_fields, F_NAME_END] = name_end
        fields[n_fields, F_VALUE] = colon + 1
        fields[n_fields, F_VALUE_END] = value_end
        fields[n_fields, F_PREFIX_HASH] = np.int64(prefix)
        n_fields += 1
        name = np.int64(h)
        if name == H_CONTENT_TYPE or name == H_ENCODING or name == H_DISPOSITION:
            _content_field(raw, name, colon + 1, value_end, parts[current])
    if n_open > 0:
        defects |= DEFECT_UNCLOSED
    if current >= 0 and in_header:
        parts[current, P_BODY] = size
    return n_fields, n_parts, defects
