"""Kernel that finds header fields and MIME parts in raw bytes; it decodes nothing.

One pass, no recursion, fixed tables: the work is linear in the length of the message whatever the
message says about itself. What does not fit is left out and flagged.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["FIELD_COLUMNS", "PART_COLUMNS", "fnv64", "split"]

# Columns of `fields`: part, hash of the lower-cased name, name range, value range, prefix hash.
FIELD_COLUMNS = 7
F_PART, F_NAME_HASH, F_NAME, F_NAME_END, F_VALUE, F_VALUE_END, F_PREFIX_HASH = range(FIELD_COLUMNS)

# Columns of `parts`. The end of a part that holds parts is not kept.
PART_COLUMNS = 14
P_DEPTH, P_PARENT, P_TYPE, P_ENCODING, P_BODY, P_BODY_END, P_CHARSET, P_CHARSET_END = range(8)
P_FILE, P_FILE_END, P_BOUNDARY, P_BOUNDARY_END, P_CHILDREN, P_SEEN = range(8, PART_COLUMNS)

TYPE_PLAIN, TYPE_HTML, TYPE_TEXT, TYPE_MULTIPART, TYPE_MESSAGE, TYPE_OTHER = range(6)
ENCODING_NONE, ENCODING_BASE64, ENCODING_QUOTED, ENCODING_UU = range(4)
SEEN_TYPE, SEEN_ENCODING = 1, 2

DEFECT_HEADER_LINE = 1
DEFECT_FIELDS = 2
DEFECT_PARTS = 4
DEFECT_DEPTH = 8
DEFECT_NO_BOUNDARY = 16
DEFECT_UNCLOSED = 32
DEFECT_REPEATED = 64

# FNV-1a with 64 bits; the hash of a field name is what mail/fields.py tabulates.
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)

MAX_BOUNDARY = 250  # RFC 2046 allows 70; hostile mail writes more, and some software accepts it
MAX_OPEN = 64


def fnv64(name: bytes) -> int:
    """Hash `name` as the kernels do, as a signed 64-bit number (FNV-1a of lower-cased bytes)."""
    h = 0xCBF29CE484222325
    for byte in name.lower():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h - (1 << 64) if h >= 1 << 63 else h


def _hashes(names: bytes) -> tuple[np.int64, ...]:
    return tuple(np.int64(fnv64(name)) for name in names.split())


H_CONTENT_TYPE, H_ENCODING, H_DISPOSITION = _hashes(
    b"content-type content-transfer-encoding content-disposition"
)
H_BOUNDARY, H_CHARSET, H_NAME, H_FILENAME = _hashes(b"boundary charset name filename")
H_TEXT, H_MULTIPART, H_MESSAGE = _hashes(b"text multipart message")
H_PLAIN, H_HTML, H_RFC822, H_GLOBAL = _hashes(b"plain html rfc822 global")
FROM_LINE = np.frombuffer(b"From ", np.uint8).copy()


@kernel
def _lower_hash(raw: NDArray[np.uint8], start: int, end: int) -> tuple[np.int64, np.int64]:
    """Hash a name, and the part of it up to its second dash."""
    h = FNV_OFFSET
    prefix = FNV_OFFSET
    dashes = 0
    for i in range(start, end):
        c = raw[i]
        if 65 <= c <= 90:
            c += np.uint8(32)
        h = (h ^ np.uint64(c)) * FNV_PRIME
        if c == 45:
            dashes += 1
            if dashes == 2:
                prefix = h
    return np.int64(h), np.int64(prefix)


@kernel
def _skip_blank(raw: NDArray[np.uint8], i: int, end: int) -> int:
    while i < end and (raw[i] == 32 or raw[i] == 9 or raw[i] == 10 or raw[i] == 13):
        i += 1
    return i


@kernel
def _line_end(raw: NDArray[np.uint8], i: int, size: int, eol: np.uint8) -> int:
    while i < size and raw[i] != eol:
        i += 1
    return i


@kernel
def _parameters(raw: NDArray[np.uint8], i: int, end: int, part: NDArray[np.int32]) -> None:
    """Read `; name=value` pairs in one pass and keep the first ranges of those that matter.

    Of a value in pieces (``name*0=``, RFC 2231) that is the first piece: enough to find
    boundaries, which are compared from their beginning.
    """
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
            i += 1
            value = i
            while i < end and raw[i] != 34:
                i += 2 if raw[i] == 92 else 1
        else:
            while i < end and raw[i] != 59 and raw[i] > 32:
                i += 1
        value_end = i = min(i, end)
        h = _lower_hash(raw, name, name_end)[0]
        if h == H_BOUNDARY and part[P_BOUNDARY_END] == 0:
            part[P_BOUNDARY] = value
            part[P_BOUNDARY_END] = min(value_end, value + MAX_BOUNDARY)
        elif h == H_CHARSET and part[P_CHARSET_END] == 0:
            part[P_CHARSET] = value
            part[P_CHARSET_END] = min(value_end, value + 40)
        elif (h == H_NAME or h == H_FILENAME) and part[P_FILE_END] <= part[P_FILE]:
            part[P_FILE] = value
            part[P_FILE_END] = min(value_end, value + 200)


@kernel
def _content_field(
    raw: NDArray[np.uint8], h: np.int64, value: int, end: int, part: NDArray[np.int32]
) -> int:
    """Note what the first Content-* field of each name says about its part; a defect or 0."""
    i = _skip_blank(raw, value, end)
    word = i
    while i < end and raw[i] != 47 and raw[i] != 59 and raw[i] > 32:
        i += 1
    if h == H_CONTENT_TYPE:
        if part[P_SEEN] & SEEN_TYPE:
            return DEFECT_REPEATED
        part[P_SEEN] |= SEEN_TYPE
        if i < end and raw[i] == 47:  # without a slash it names no type, and so means plain text
            first = _lower_hash(raw, word, i)[0]
            word = i + 1
            i = word
            while i < end and raw[i] != 59 and raw[i] > 32:
                i += 1
            second = _lower_hash(raw, word, i)[0]
            if first == H_MULTIPART:
                part[P_TYPE] = TYPE_MULTIPART
            elif first == H_TEXT:
                part[P_TYPE] = TYPE_PLAIN if second == H_PLAIN else TYPE_TEXT
                if second == H_HTML:
                    part[P_TYPE] = TYPE_HTML
            elif first == H_MESSAGE:  # the others, such as delivery reports, are read as text
                whole = second == H_RFC822 or second == H_GLOBAL
                part[P_TYPE] = TYPE_MESSAGE if whole else TYPE_TEXT
            else:
                part[P_TYPE] = TYPE_OTHER
        _parameters(raw, i, end, part)
    elif h == H_DISPOSITION:
        _parameters(raw, i, end, part)
    elif part[P_SEEN] & SEEN_ENCODING:
        return DEFECT_REPEATED
    else:
        part[P_SEEN] |= SEEN_ENCODING
        c = raw[word] | 32 if word + 2 < end else 0
        if c == 98 and raw[word + 1] | 32 == 97:  # base64, not binary
            part[P_ENCODING] = ENCODING_BASE64
        elif c == 113:
            part[P_ENCODING] = ENCODING_QUOTED
        elif c == 117 or (c == 120 and raw[word + 2] | 32 == 117):  # uuencode, x-uuencode
            part[P_ENCODING] = ENCODING_UU
    return 0


@kernel
def _find_delimiter(
    raw: NDArray[np.uint8],
    span: tuple[int, int],
    parts: NDArray[np.int32],
    opened: NDArray[np.int64],
    n_open: int,
    beginnings: NDArray[np.int64],
) -> int:
    """Which open multipart has its boundary at ``raw[span]``, behind two dashes; -1: none.

    RFC 2046 compares from the beginning only; where one boundary begins another, the one that
    fills the line counts. Hashes of the line's beginnings keep this linear however many
    boundaries are open and however alike they are.
    """
    start, bare = span
    n = min(bare - start, MAX_BOUNDARY)
    h = FNV_OFFSET
    for k in range(n):
        h = (h ^ np.uint64(raw[start + k])) * FNV_PRIME
        beginnings[k + 1] = np.int64(h)
    found = -1
    for level in range(n_open - 1, -1, -1):
        length = parts[opened[0, level], P_BOUNDARY_END] - parts[opened[0, level], P_BOUNDARY]
        if length > n or beginnings[length] != opened[1, level]:
            continue
        tail = start + length
        if tail + 1 < bare and raw[tail] == 45 and raw[tail + 1] == 45:
            tail += 2
        if tail >= bare or raw[tail] <= 32:
            return level
        if found < 0:
            found = level
    return found


@kernel
def _enter(
    raw: NDArray[np.uint8],
    parts: NDArray[np.int32],
    current: int,
    opened: NDArray[np.int64],
    state: tuple[int, int],
) -> tuple[int, int]:
    """Open the part whose header has just ended: (number of open multiparts, defect)."""
    n_open, max_depth = state
    kind = parts[current, P_TYPE]
    start, end = parts[current, P_BOUNDARY], parts[current, P_BOUNDARY_END]
    if kind == TYPE_MULTIPART:
        if end <= start:  # read as text, in the end, for want of children
            return n_open, DEFECT_NO_BOUNDARY
        if parts[current, P_DEPTH] < max_depth and n_open < MAX_OPEN:
            h = FNV_OFFSET
            for k in range(start, end):
                h = (h ^ np.uint64(raw[k])) * FNV_PRIME
            opened[0, n_open] = current
            opened[1, n_open] = np.int64(h)
            return n_open + 1, 0
    elif kind != TYPE_MESSAGE:
        return n_open, 0
    elif parts[current, P_ENCODING] != ENCODING_NONE:  # not allowed, so its inside stays text
        parts[current, P_TYPE] = TYPE_TEXT
        return n_open, 0
    elif parts[current, P_DEPTH] < max_depth:
        return n_open, 0  # the caller begins the message within
    parts[current, P_TYPE] = TYPE_TEXT
    return n_open, DEFECT_DEPTH


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
        How many bytes of it count, less than 2^31.
    fields
        Output, shape ``(max_fields, FIELD_COLUMNS)``.
    parts
        Output, shape ``(max_parts, PART_COLUMNS)``, at least one; part 0 is the message itself.
        Ranges are half-open positions in `raw`.
    limits
        ``(max_header_bytes a part, max_depth)``; what a part says about its own type and encoding
        is read beyond the first limit too, or a long header would hide the text.

    Returns
    -------
    tuple
        Number of fields, number of parts, defect bits.
    """
    max_header, max_depth = limits[0], limits[1]
    # The multiparts around this line, outermost first, and hashes of their boundaries.
    opened = np.zeros((2, MAX_OPEN), np.int64)
    beginnings = np.zeros(MAX_BOUNDARY + 1, np.int64)
    n_open = n_fields = n_parts = defects = depth = 0
    i = _line_end(raw, 0, size, np.uint8(10))
    # Where there is no line feed at all, lines may end as on old Macs.
    eol = np.uint8(13) if i == size else np.uint8(10)
    i = 0
    if size >= 5 and np.all(raw[:5] == FROM_LINE):  # an mbox separator
        i = min(_line_end(raw, 0, size, eol) + 1, size)
    current = parent = -1
    in_header = starting = True
    header_start = i
    while True:
        if starting:
            starting = False
            in_header = True
            header_start = i
            if n_parts == parts.shape[0]:
                defects |= DEFECT_PARTS
                break
            current = n_parts
            n_parts += 1
            parts[current, :] = 0
            parts[current, P_DEPTH] = depth
            parts[current, P_PARENT] = parent
            parts[current, P_BODY] = size
            parts[current, P_BODY_END] = size
            if parent >= 0:
                parts[parent, P_CHILDREN] += 1
        if i >= size:
            break
        line = i
        stop = _line_end(raw, line, size, eol)
        after = min(stop + 1, size)
        bare = stop - 1 if stop > line and raw[stop - 1] == 13 else stop
        # A delimiter of any multipart around ends what is open below it, header or body.
        level = -1
        if n_open > 0 and bare - line > 2 and raw[line] == 45 and raw[line + 1] == 45:
            level = _find_delimiter(raw, (line + 2, bare), parts, opened, n_open, beginnings)
        if level >= 0:
            if current >= 0:
                end = line
                if in_header:
                    parts[current, P_BODY] = line
                elif end > parts[current, P_BODY]:  # the line end before it belongs to it
                    end -= 1
                    if end > parts[current, P_BODY] and raw[end] == 10 and raw[end - 1] == 13:
                        end -= 1
                parts[current, P_BODY_END] = end
            parent = opened[0, level]
            tail = line + 2 + parts[parent, P_BOUNDARY_END] - parts[parent, P_BOUNDARY]
            i = after
            if tail + 2 <= bare and raw[tail] == 45 and raw[tail + 1] == 45:
                n_open = level
                current = -1
                in_header = False
            else:
                n_open = level + 1
                depth = parts[parent, P_DEPTH] + 1
                starting = True
            continue
        if not in_header:
            i = after
            continue
        # A field: name, colon, value over all folded lines.
        colon = line
        while colon < bare and raw[colon] > 32 and raw[colon] != 58 and raw[colon] != 127:
            colon += 1
        name_end = colon
        while colon < bare and (raw[colon] == 32 or raw[colon] == 9):
            colon += 1
        if name_end == line or colon >= bare or raw[colon] != 58:
            i = after if bare == line else line  # the header ends, with its blank line or without
            if bare > line:
                defects |= DEFECT_HEADER_LINE
                if line == header_start and (raw[line] == 62 or raw[line] == 32 or raw[line] == 9):
                    i = header_start = after  # a quoted mbox line or a fold at the very top
                    continue
            in_header = False
            parts[current, P_BODY] = i
            n_open, defect = _enter(raw, parts, current, opened, (n_open, max_depth))
            defects |= defect
            if parts[current, P_TYPE] == TYPE_MESSAGE:
                parent = current
                depth = parts[current, P_DEPTH] + 1
                starting = True
            continue
        while after < size and (raw[after] == 32 or raw[after] == 9):
            stop = _line_end(raw, after, size, eol)
            after = min(stop + 1, size)
        end = stop - 1 if stop > colon + 1 and raw[stop - 1] == 13 else stop
        i = after
        h, prefix = _lower_hash(raw, line, name_end)
        if h == H_CONTENT_TYPE or h == H_ENCODING or h == H_DISPOSITION:
            defects |= _content_field(raw, h, colon + 1, end, parts[current])
        if n_fields >= fields.shape[0] or end - header_start > max_header:
            defects |= DEFECT_FIELDS
            continue
        fields[n_fields, F_PART] = current
        fields[n_fields, F_NAME_HASH] = h
        fields[n_fields, F_NAME] = line
        fields[n_fields, F_NAME_END] = name_end
        fields[n_fields, F_VALUE] = colon + 1
        fields[n_fields, F_VALUE_END] = end
        fields[n_fields, F_PREFIX_HASH] = prefix
        n_fields += 1
    for k in range(n_parts):
        if parts[k, P_TYPE] == TYPE_MULTIPART and parts[k, P_CHILDREN] == 0:
            parts[k, P_TYPE] = TYPE_PLAIN  # its boundary never came: a reader sees its text
            defects |= DEFECT_NO_BOUNDARY
    if n_open > 0 and not defects & DEFECT_PARTS:
        defects |= DEFECT_UNCLOSED
    return n_fields, n_parts, defects
