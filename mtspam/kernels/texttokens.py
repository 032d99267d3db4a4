"""Kernel that turns spans of shown text, links, tags and file names into hashed tokens."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["read_text"]

# Kinds of spans of text, as in kernels/headers.py (a test holds them equal).
SPAN_TEXT, SPAN_HIDDEN, SPAN_TAGS, SPAN_URL, SPAN_IMAGE, SPAN_MISMATCH = 0, 1, 2, 3, 4, 5
SPAN_FILE, SPAN_SUBJECT, SPAN_DEFECT = 6, 7, 17

# Views of tokens, as in kernels/fieldtokens.py (a test holds them equal).
VIEW_TEXT, VIEW_IDENTITY = 1, 2

# Classes of code points, in the top byte of the fold table.
CLASS_BREAK, CLASS_WORD, CLASS_IDEOGRAPH, CLASS_IGNORED, CLASS_FOREIGN = 0, 1, 2, 3, 4

MAX_WORD = 24  # characters of a word that is kept as it is

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
def _folded(
    text: NDArray[np.uint8], i: int, end: int, fold: NDArray[np.uint32]
) -> tuple[int, int, int]:
    """Read one character of UTF-8 at `i`: (class, folded code point, next position)."""
    c = int(text[i])
    if c < 0x80:
        entry = int(fold[c])
        return entry >> 24, entry & 0xFFFFFF, i + 1
    n = 1 if 0xC2 <= c < 0xE0 else 2 if 0xE0 <= c < 0xF0 else 3 if 0xF0 <= c < 0xF5 else 0
    if n == 0 or i + n >= end:
        return CLASS_FOREIGN, c, i + 1
    cp = c & (0x3F >> n)
    for k in range(1, n + 1):
        d = int(text[i + k])
        if d & 0xC0 != 0x80:
            return CLASS_FOREIGN, c, i + 1
        cp = (cp << 6) | (d & 63)
    i += n + 1
    if cp < fold.shape[0]:
        entry = int(fold[cp])
        return entry >> 24, entry & 0xFFFFFF, i
    if 0x3040 <= cp < 0xA000 or 0xAC00 <= cp < 0xD7B0 or 0xF900 <= cp < 0xFB00:
        return CLASS_IDEOGRAPH, cp, i
    if 0xFF01 <= cp < 0xFF5F:  # full-width forms of ASCII
        entry = int(fold[cp - 0xFEE0])
        kind = entry >> 24
        return CLASS_FOREIGN if kind == CLASS_WORD else kind, entry & 0xFFFFFF, i
    if 0x1D400 <= cp < 0x1D6A4:  # mathematical letters: 26 capitals and 26 small ones a style
        return CLASS_FOREIGN, 97 + (cp - 0x1D400) % 26, i
    if 0xFE00 <= cp < 0xFE10 or cp == 0xFEFF:  # variation selectors, byte order mark
        return CLASS_IGNORED, cp, i
    if 0xA000 <= cp < 0xAC00 or 0xFB00 <= cp < 0xFE00 or 0xFE70 <= cp < 0xFEFF:
        return CLASS_WORD, cp, i
    if 0x1F000 <= cp < 0x1FB00 or cp >= 0x20000:  # pictures count like ideographs, one by one
        return CLASS_IDEOGRAPH, cp, i
    return CLASS_BREAK, cp, i


@kernel
def _host(text: NDArray[np.uint8], start: int, end: int, found: NDArray[np.uint64], n: int) -> int:
    """Emit a host, its registered part and its last label."""
    while end > start and text[end - 1] == 46:
        end -= 1
    if end <= start:
        return n
    site = _site(text, start, end)
    label = end
    while label > start and text[label - 1] != 46:
        label -= 1
    domain = _hash(text, site, end, NO_FIELD)
    n = _emit(VIEW_TEXT, ord("u"), _hash(text, start, end, NO_FIELD), (start, end), found, n)
    n = _emit(VIEW_TEXT, ord("d"), domain, (site, end), found, n)
    n = _emit(VIEW_IDENTITY, ord("d"), domain, (site, end), found, n)
    return _emit(VIEW_TEXT, ord("l"), _hash(text, label, end, NO_FIELD), (label, end), found, n)


@kernel
def _url(
    text: NDArray[np.uint8], start: int, end: int, found: NDArray[np.uint64], n: int
) -> tuple[int, int]:
    """Emit the host of the address at `start`: (where its path begins, tokens found)."""
    i = start
    while i < end and i < start + 10 and 97 <= (text[i] | 32) <= 122:
        i += 1
    if i + 2 < end and text[i] == 58 and text[i + 1] == 47 and text[i + 2] == 47:
        i += 3
    elif i < end and text[i] == 58:  # mailto:, cid:, data:, javascript:
        h = _hash(text, start, i, NO_FIELD)
        return i + 1, _emit(VIEW_TEXT, ord(":"), h, (start, i + 1), found, n)
    else:
        i = start
    stop = i
    host = i
    while stop < end and (_is_host_byte(text[stop]) or text[stop] == 64 or text[stop] == 37):
        if text[stop] == 64:
            host = stop + 1
        stop += 1
    if host > i:  # a user name before the host, to make it look like another
        n = _emit(VIEW_TEXT, ord("@"), NO_FIELD, (i, host), found, n)
    is_number = stop > host
    for k in range(host, stop):
        is_number = is_number and (48 <= text[k] <= 57 or text[k] == 46)
    if is_number:  # an address instead of a name
        n = _emit(VIEW_TEXT, ord("#"), NO_FIELD, (host, stop), found, n)
    return stop, _host(text, host, stop, found, n)


@kernel
def _text(
    text: NDArray[np.uint8],
    span: tuple[int, int],
    kinds: tuple[int, int],
    fold: NDArray[np.uint32],
    found: NDArray[np.uint64],
    n: int,
) -> int:
    """Emit the words of running text, pairs of neighbours, ideographs, and hosts of addresses.

    ``kinds`` are those of words and of pairs; 0: no pairs.
    """
    word_kind, pair_kind = kinds
    i, end = span
    previous = np.uint64(0)
    previous_start = -1
    ideograph = -1
    ideograph_start = 0
    while i < end:
        if text[i] < 128 and fold[text[i]] >> 24 == CLASS_BREAK:
            ideograph = -1
            i += 1
            continue
        kind, cp, after = _folded(text, i, end, fold)
        if kind == CLASS_IDEOGRAPH:
            h = (FNV_OFFSET ^ np.uint64(cp)) * FNV_PRIME
            n = _emit(VIEW_TEXT, ord("c"), h, (i, after), found, n)
            if ideograph >= 0:
                h = (h ^ np.uint64(ideograph)) * FNV_PRIME
                n = _emit(VIEW_TEXT, ord("C"), h, (ideograph_start, after), found, n)
            ideograph = cp
            ideograph_start = i
            previous_start = -1
            i = after
            continue
        if kind == CLASS_BREAK or kind == CLASS_IGNORED:
            if kind == CLASS_BREAK:
                ideograph = -1
            i = after
            continue
        # A word: letters and digits, invisible characters left out.
        first = i
        h = FNV_OFFSET
        n_digits = n_foreign = n_ascii = n_ignored = pending = 0
        # ASCII first, nearly all of mail, without calls.
        while i < end and text[i] < 128 and fold[text[i]] >> 24 == CLASS_WORD:
            cp = int(fold[text[i]] & 0xFFFFFF)
            h = (h ^ np.uint64(cp)) * FNV_PRIME
            n_ascii += cp >= 97
            n_digits += 48 <= cp <= 57
            i += 1
        length = i - first
        word_end = i
        while i < end and (text[i] >= 128 or fold[text[i]] >> 24 != CLASS_BREAK):
            kind, cp, after = _folded(text, i, end, fold)
            if kind == CLASS_IGNORED:
                pending += 1
            elif kind == CLASS_WORD or kind == CLASS_FOREIGN:
                h = (h ^ np.uint64(cp)) * FNV_PRIME
                length += 1
                n_digits += 48 <= cp <= 57
                n_foreign += kind == CLASS_FOREIGN
                n_ascii += kind == CLASS_WORD and 97 <= cp <= 122
                n_ignored += pending
                pending = 0
                word_end = after
            else:
                break
            i = after
        ideograph = -1
        if i + 2 < end and length <= 6:
            is_url = text[i] == 58 and text[i + 1] == 47 and text[i + 2] == 47
            if length == 3 and text[i] == 46 and text[first] | 32 == 119:
                is_url = text[first + 1] | 32 == 119 and text[first + 2] | 32 == 119
            if is_url:
                after, n = _url(text, first, end, found, n)
                i = max(after, i + 1)
                previous_start = -1
                continue
        if length > MAX_WORD:
            h = np.uint64(min(length // 8, 16))
            n = _emit(VIEW_TEXT, ord("L"), h, (first, word_end), found, n)
            previous_start = -1
            continue
        if n_digits == length and length > 4:
            h = np.uint64(length)
            n = _emit(VIEW_TEXT, ord("N"), h, (first, word_end), found, n)
        else:
            n = _emit(VIEW_TEXT, word_kind, h, (first, word_end), found, n)
        if (n_foreign > 0 and n_ascii > 0) or n_ignored > 0:
            # Letters of two alphabets, or invisible ones, in one word: somebody hides a word.
            n = _emit(VIEW_TEXT, ord("x"), NO_FIELD, (first, word_end), found, n)
        if previous_start >= 0 and pair_kind > 0:
            pair = (previous * MIX_1) ^ h
            n = _emit(VIEW_TEXT, pair_kind, pair, (previous_start, word_end), found, n)
        previous = h
        previous_start = first
    return n


@kernel
def _whole_subject(
    text: NDArray[np.uint8], start: int, end: int, found: NDArray[np.uint64], n: int
) -> int:
    """Emit the subject as a whole, without digits and blanks."""
    h = FNV_OFFSET
    for i in range(start, end):
        c = text[i]
        if c > 32 and not 48 <= c <= 57:
            if 65 <= c <= 90:
                c += np.uint8(32)
            h = (h ^ np.uint64(c)) * FNV_PRIME
    return _emit(VIEW_IDENTITY, ord("S"), h, (start, end), found, n)


@kernel
def _tags(text: NDArray[np.uint8], start: int, end: int, found: NDArray[np.uint64], n: int) -> int:
    """Emit names that blanks part."""
    i = start
    while i < end:
        first = i
        while i < end and text[i] != 32:
            i += 1
        h = _hash(text, first, i, NO_FIELD)
        n = _emit(VIEW_TEXT, ord("<"), h, (first, i), found, n)
        i += 1
    return n


@kernel
def read_text(
    text: NDArray[np.uint8],
    spans: NDArray[np.int32],
    n_spans: int,
    fold: NDArray[np.uint32],
    found: NDArray[np.uint64],
    n_found: int,
) -> int:
    """Find the tokens of all spans but those of header fields; of those, the subject's.

    Parameters
    ----------
    text
        UTF-8, shape ``(room,)``, less than 2^27 bytes.
    spans
        Shape ``(>= n_spans, 4)``: kind, start, end, row of the header field.
    n_spans
        How many of them count.
    fold
        For each code point below its length: class in the top byte, folded code point below.
    found
        Output. Base hash, and packed: view, kind (a character code, see ``mail/views.py``), start
        and end in `text`; shape ``(room for tokens, 2)``.
    n_found
        How many there are already.

    Returns
    -------
    int
        How many there are now.
    """
    n = n_found
    for s in range(n_spans):
        kind, start, end = spans[s, 0], spans[s, 1], spans[s, 2]
        if kind == SPAN_TEXT:
            n = _text(text, (start, end), (ord("w"), ord("p")), fold, found, n)
        elif kind == SPAN_SUBJECT:
            n = _text(text, (start, end), (ord("s"), ord("P")), fold, found, n)
            n = _whole_subject(text, start, end, found, n)
        elif kind == SPAN_HIDDEN:
            n = _text(text, (start, end), (ord("h"), 0), fold, found, n)
        elif kind == SPAN_URL or kind == SPAN_IMAGE:
            if kind == SPAN_IMAGE:
                n = _emit(VIEW_TEXT, ord("I"), NO_FIELD, (start, end), found, n)
            path, n = _url(text, start, end, found, n)
            n = _text(text, (path, end), (ord("/"), 0), fold, found, n)
        elif kind == SPAN_TAGS:
            n = _tags(text, start, end, found, n)
        elif kind == SPAN_MISMATCH:
            n = _emit(VIEW_TEXT, ord("M"), NO_FIELD, (start, end), found, n)
        elif kind == SPAN_DEFECT:
            h = _hash(text, start, end, NO_FIELD)
            n = _emit(VIEW_TEXT, ord("!"), h, (start, end), found, n)
        elif kind == SPAN_FILE:
            dot = end
            while dot > start and text[dot - 1] != 46:
                dot -= 1
            if dot > start:
                h = _hash(text, dot, end, NO_FIELD)
                n = _emit(VIEW_TEXT, ord("."), h, (dot, end), found, n)
            n = _text(text, (start, end), (ord("F"), 0), fold, found, n)
    return n
