"""Kernel that turns header fields into hashed tokens: addresses, relays, words, presence."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["read_fields"]

# Kinds of spans of text, as in kernels/headers.py (a test holds them equal).
SPAN_SUBJECT, SPAN_WORDS, SPAN_FROM, SPAN_RECEIVED, SPAN_LIST, SPAN_DATE = 7, 8, 9, 10, 11, 12
SPAN_RECIPIENTS, SPAN_ID, SPAN_ADDRESS, SPAN_NAME, SPAN_DEFECT, SPAN_CONTENT = (
    13,
    14,
    15,
    16,
    17,
    18,
)

# Columns of `fields`, as in kernels/mime.py (a test holds them equal).
F_PART, F_NAME_HASH, F_NAME, F_NAME_END = 0, 1, 2, 3

# Views of tokens.
VIEW_FIELDS, VIEW_TEXT, VIEW_IDENTITY = 0, 1, 2

MAX_FIELD_WORD = 40  # bytes of a word that is kept
MAX_FIELD_WORDS = 48  # words taken from one header field
MAX_ADDRESSES = 8  # addresses taken from one header field

NO_FIELD = np.uint64(0)
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
VIEW_SHIFT, KIND_SHIFT, START_SHIFT = np.uint64(62), np.uint64(54), np.uint64(27)


@kernel
def _emit(
    view: int, kind: int, h: np.uint64, place: tuple[int, int], found: NDArray[np.uint64], n: int
) -> int:
    """Add a token to the `n` found so far, if there is room; how many there are now."""
    if n >= found.shape[0]:
        return n
    packed = (np.uint64(view) << VIEW_SHIFT) | (np.uint64(kind) << KIND_SHIFT)
    found[n, 0] = (h ^ (np.uint64(kind) * MIX_2)) * MIX_1
    found[n, 1] = packed | (np.uint64(place[0]) << START_SHIFT) | np.uint64(place[1])
    return n + 1


@kernel
def _hash(text: NDArray[np.uint8], start: int, end: int, field: np.uint64) -> np.uint64:
    h = FNV_OFFSET ^ field
    for i in range(start, end):
        c = text[i]
        if 65 <= c <= 90:
            c += np.uint8(32)
        h = (h ^ np.uint64(c)) * FNV_PRIME
    return h


@kernel
def _is_host_byte(c: np.uint8) -> bool:
    return bool(97 <= (c | 32) <= 122 or 48 <= c <= 57 or c == 45 or c == 46 or c == 95)


@kernel
def _site(text: NDArray[np.uint8], start: int, end: int) -> int:
    """Where the last two labels of a host begin (three where the second is short: co.uk)."""
    dots = 0
    last = end
    i = end
    while i > start:
        i -= 1
        if text[i] == 46:
            dots += 1
            if (dots == 2 and last - i - 1 > 3) or dots == 3:
                return i + 1
            last = i
    return start


@kernel
def _words(
    text: NDArray[np.uint8],
    span: tuple[int, int],
    field: np.uint64,
    found: NDArray[np.uint64],
    n: int,
) -> int:
    """Emit the words of a header field, marked with the field's name."""
    i, end = span
    n_words = 0
    while i < end and n_words < MAX_FIELD_WORDS:
        if not (_is_host_byte(text[i]) or text[i] >= 128):
            i += 1
            continue
        first = i
        while i < end and (_is_host_byte(text[i]) or text[i] == 47 or text[i] >= 128):
            i += 1
        stop = i
        while stop > first and (text[stop - 1] == 46 or text[stop - 1] == 45):
            stop -= 1
        if stop == first or stop - first > MAX_FIELD_WORD:
            continue
        h = _hash(text, first, stop, field)
        n = _emit(VIEW_FIELDS, ord("f"), h, (first, stop), found, n)
        n_words += 1
    return n


@kernel
def _addresses(
    text: NDArray[np.uint8],
    span: tuple[int, int],
    field: np.uint64,
    found: NDArray[np.uint64],
    n: int,
) -> int:
    """Emit the first addresses of a field and their domains."""
    start, end = span
    n_addresses = 0
    i = start
    while i < end and n_addresses < MAX_ADDRESSES:
        if text[i] != 64:
            i += 1
            continue
        first = i
        while first > start and i - first < 64:
            c = text[first - 1]
            if c <= 32 or c == 60 or c == 44 or c == 58 or c == 34:
                break
            first -= 1
        stop = i + 1
        while stop < end and _is_host_byte(text[stop]):
            stop += 1
        site = _site(text, i + 1, stop)
        for view in (VIEW_FIELDS, VIEW_IDENTITY):
            h = _hash(text, first, stop, field)
            n = _emit(view, ord("a"), h, (first, stop), found, n)
            n = _emit(view, ord("A"), _hash(text, site, stop, field), (site, stop), found, n)
        n_addresses += 1
        i = stop
    return n


@kernel
def _recipients(
    text: NDArray[np.uint8],
    span: tuple[int, int],
    field: np.uint64,
    found: NDArray[np.uint64],
    n: int,
) -> int:
    """Emit about how many addresses a field holds, none of them themselves."""
    n_addresses = 0
    i, end = span
    while i < end:
        if text[i] == 64:
            n_addresses += 1
            i += 1
            while i < end and _is_host_byte(text[i]):
                i += 1
        else:
            i += 1
    size = n_addresses if n_addresses < 3 else 3 + min(n_addresses, 64) // 8
    h = (FNV_OFFSET ^ field) * FNV_PRIME ^ np.uint64(size)
    return _emit(VIEW_FIELDS, ord("n"), h, span, found, n)


@kernel
def _received(
    text: NDArray[np.uint8], start: int, end: int, found: NDArray[np.uint64], n: int
) -> int:
    """Emit the hosts and networks of a Received field, up to its date."""
    i = start
    n_words = 0
    while i < end and text[i] != 59 and n_words < MAX_FIELD_WORDS:
        if not _is_host_byte(text[i]):
            i += 1
            continue
        first = i
        dots = 0
        letters = 0
        while i < end and _is_host_byte(text[i]):
            dots += text[i] == 46
            letters += 97 <= (text[i] | 32) <= 122
            i += 1
        if dots == 0 or i - first > 80:
            continue
        n_words += 1
        stop = i
        if letters > 0:
            while stop > first and text[stop - 1] == 46:
                stop -= 1
            if stop > first:
                site = _site(text, first, stop)
                h = _hash(text, first, stop, NO_FIELD)
                n = _emit(VIEW_FIELDS, ord("r"), h, (first, stop), found, n)
                h = _hash(text, site, stop, NO_FIELD)
                n = _emit(VIEW_FIELDS, ord("R"), h, (site, stop), found, n)
        elif dots == 3:  # an address of version 4: its networks of 24 and of 16 bits
            for _ in range(2):
                while stop > first and text[stop - 1] != 46:
                    stop -= 1
                stop -= 1
                h = _hash(text, first, stop, NO_FIELD)
                n = _emit(VIEW_FIELDS, ord("4"), h, (first, stop), found, n)
    return n


@kernel
def _host_of_id(
    text: NDArray[np.uint8],
    span: tuple[int, int],
    field: np.uint64,
    found: NDArray[np.uint64],
    n: int,
) -> int:
    """Emit the host of a message identifier; the rest of it never comes again."""
    at, end = span
    while at < end and text[at] != 64:
        at += 1
    if at == end:
        return n
    stop = at + 1
    while stop < end and _is_host_byte(text[stop]):
        stop += 1
    h = _hash(text, at + 1, stop, field)
    return _emit(VIEW_FIELDS, ord("f"), h, (at + 1, stop), found, n)


@kernel
def _time_zone(
    text: NDArray[np.uint8],
    span: tuple[int, int],
    field: np.uint64,
    found: NDArray[np.uint64],
    n: int,
) -> int:
    """Emit the time zone of a date: nothing else of it says anything about the sender."""
    start, end = span
    first = end
    while first > start and text[first - 1] != 43 and text[first - 1] != 45:
        first -= 1
    if first == start:
        return n
    stop = min(end, first + 4)
    h = _hash(text, first - 1, stop, field)
    return _emit(VIEW_FIELDS, ord("z"), h, (first - 1, stop), found, n)


@kernel
def read_fields(
    text: NDArray[np.uint8],
    spans: NDArray[np.int32],
    n_spans: int,
    fields: NDArray[np.int64],
    found: NDArray[np.uint64],
) -> int:
    """Find the tokens of the spans of header fields, but for the words of the subject.

    Parameters
    ----------
    text
        UTF-8, shape ``(room,)``, less than 2^27 bytes.
    spans
        Shape ``(>= n_spans, 4)``: kind, start, end, row in `fields`; spans of other kinds are
        passed over.
    n_spans
        How many of them count.
    fields
        What :func:`mtspam.kernels.mime.split` found.
    found
        Output. Base hash, and packed: view, kind (a character code, see ``mail/views.py``), start
        and end in `text`; shape ``(room for tokens, 2)``.

    Returns
    -------
    int
        How many tokens there are.
    """
    n = 0
    for s in range(n_spans):
        kind, start, end, row = spans[s, 0], spans[s, 1], spans[s, 2], spans[s, 3]
        if kind < SPAN_WORDS or kind > SPAN_CONTENT or kind == SPAN_DEFECT:
            continue
        field = np.uint64(fields[row, F_NAME_HASH])
        span = (start, end)
        if fields[row, F_PART] == 0:
            n = _emit(VIEW_FIELDS, ord("H"), field, span, found, n)
        if kind == SPAN_RECEIVED:
            n = _received(text, start, end, found, n)
        elif kind == SPAN_RECIPIENTS:
            n = _recipients(text, span, field, found, n)
        elif kind == SPAN_ID:
            n = _host_of_id(text, span, field, found, n)
        elif kind == SPAN_DATE:
            n = _time_zone(text, span, field, found, n)
        elif kind != SPAN_NAME:
            if kind == SPAN_LIST:
                h = _hash(text, start, end, field)
                n = _emit(VIEW_FIELDS, ord("i"), h, span, found, n)
                n = _emit(VIEW_IDENTITY, ord("i"), h, span, found, n)
            if kind == SPAN_FROM or kind == SPAN_ADDRESS:
                n = _addresses(text, span, field, found, n)
            if kind != SPAN_ADDRESS:
                n = _words(text, span, field, found, n)
    return n
