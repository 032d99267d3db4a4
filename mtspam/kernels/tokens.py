"""Kernels that lay out header fields as text and turn spans of text into hashed tokens."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["N_TOKEN_VIEWS", "Sink", "lay_headers", "read_tokens", "seal"]

Sink = tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int64], NDArray[np.uint64]]

# Kinds of text spans.
SPAN_TEXT, SPAN_HIDDEN, SPAN_TAGS, SPAN_URL, SPAN_IMAGE, SPAN_MISMATCH = 0, 1, 2, 3, 4, 5
SPAN_FILE, SPAN_SUBJECT, SPAN_WORDS, SPAN_FROM, SPAN_RECEIVED, SPAN_LIST = 6, 7, 8, 9, 10, 11
SPAN_DATE, SPAN_RECIPIENTS, SPAN_ID, SPAN_ADDRESS, SPAN_NAME, SPAN_DEFECT = 12, 13, 14, 15, 16, 17
SPAN_CONTENT = 18

# Columns of `fields`, as in kernels/mime.py (a test holds them equal).
F_PART, F_NAME_HASH, F_NAME, F_NAME_END, F_VALUE, F_VALUE_END, F_PREFIX_HASH = range(7)

N_TOKEN_VIEWS = 3
VIEW_HEADER, VIEW_TEXT, VIEW_IDENTITY = range(N_TOKEN_VIEWS)

# Classes of code points, in the top byte of the fold table.
CLASS_BREAK, CLASS_WORD, CLASS_IDEOGRAPH, CLASS_IGNORED, CLASS_FOREIGN = 0, 1, 2, 3, 4

MAX_WORD = 24  # characters of a word that is kept as it is
MAX_FIELD_WORD = 40
MAX_FIELD_WORDS = 48  # words taken from one header field

NO_FIELD = np.uint64(0)
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
SHIFT = np.uint64(32)
LOW_32 = np.uint64(0xFFFFFFFF)


@kernel
def _emit(view: int, kind: int, h: np.uint64, start: int, end: int, sink: Sink) -> None:
    """Add a token unless its view has it already or is full.

    The set of the sink is open-addressing over (base hash, mark of turn and view); the turn,
    ``counts[N_TOKEN_VIEWS]``, makes old entries void, so that nothing is cleared between messages.
    """
    bases, places, counts, seen = sink
    n = counts[view]
    if n >= bases.shape[1]:
        return
    base = (h ^ (np.uint64(kind) * MIX_2)) * MIX_1
    oldest = np.uint64(counts[N_TOKEN_VIEWS] * 4)
    mark = oldest + np.uint64(view + 1)
    mask = np.uint64(seen.shape[0] - 1)
    slot = (base >> SHIFT) & mask
    while seen[slot, 1] > oldest:
        if seen[slot, 0] == base and seen[slot, 1] == mark:
            return
        slot = (slot + np.uint64(1)) & mask
    seen[slot, 0] = base
    seen[slot, 1] = mark
    bases[view, n] = base
    places[view, n, 0] = kind
    places[view, n, 1] = start
    places[view, n, 2] = end
    counts[view] = n + 1


@kernel
def seal(bases: NDArray[np.uint64], n: int, seed: np.uint64, out: NDArray[np.uint32]) -> None:
    """Turn base hashes into the 32-bit feature hashes of one installation.

    A base hash is public: anybody can compute it. The seed makes the place of a token in the
    tables the installation's own secret.

    Parameters
    ----------
    bases
        Base hashes, shape ``(>= n,)``.
    n
        How many of them count.
    seed
        The installation's secret (or the starter model's public constant).
    out
        Output, shape ``(>= n,)``.
    """
    for i in range(n):
        h = (bases[i] ^ seed) * MIX_1
        h = (h ^ (h >> SHIFT)) * MIX_2
        out[i] = np.uint32((h ^ (h >> SHIFT)) & LOW_32)


@kernel
def lay_headers(
    raw: NDArray[np.uint8],
    fields: NDArray[np.int64],
    n_fields: int,
    rules: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64], int],
    text: NDArray[np.uint8],
    state: NDArray[np.int64],
    spans: NDArray[np.int32],
    window: NDArray[np.uint8],
) -> tuple[int, int]:
    """Copy the fields that count into `text` and `window` and note their spans.

    Parameters
    ----------
    raw, fields, n_fields
        The message and what :func:`mtspam.kernels.mime.split` found in it.
    rules
        Hashes of known field names, rising; the span kind of each (-1: leave the field out); the
        hashes of name prefixes that are left out, rising; the kind of fields not known.
    text
        Output for the values, unfolded; writing starts at ``state[0]``, ends at ``state[1]``.
    state
        ``(text position, end of room in text, number of spans)``, brought up to date.
    spans
        Output, shape ``(max_spans, 4)``: kind, start, end, row in `fields` (``-row - 1`` where
        the value holds an encoded word, whose span the caller may replace).
    window
        Output: the kept fields of the message's own header as received, as far as there is room.

    Returns
    -------
    tuple
        Bytes written to `window`; number of kept fields that hold an encoded word.
    """
    known, kinds, prefixes, other = rules
    o, cap, n_spans = state[0], state[1], state[2]
    w = 0
    n_encoded = 0
    for row in range(n_fields):
        if n_spans >= spans.shape[0]:
            break
        at = np.searchsorted(prefixes, fields[row, F_PREFIX_HASH])
        if at < prefixes.shape[0] and prefixes[at] == fields[row, F_PREFIX_HASH]:
            continue
        kind = other
        name = fields[row, F_NAME_HASH]
        at = np.searchsorted(known, name)
        if at < known.shape[0] and known[at] == name:
            kind = kinds[at]
        if kind < 0:
            continue
        value, end = fields[row, F_VALUE], fields[row, F_VALUE_END]
        if fields[row, F_PART] == 0:
            for k in range(fields[row, F_NAME], end):
                if w >= window.shape[0]:
                    break
                if raw[k] != 13:
                    window[w] = raw[k]
                    w += 1
            if w < window.shape[0]:
                window[w] = 10
                w += 1
        elif kind != SPAN_SUBJECT and kind != SPAN_CONTENT:
            continue
        while value < end and raw[value] <= 32:
            value += 1
        start = o
        encoded = False
        while value < end and o < cap:
            c = raw[value]
            if c == 10 or c == 13 or c == 9:
                c = np.uint8(32)
            elif c == 63 and raw[value - 1] == 61:
                encoded = True
            text[o] = c
            o += 1
            value += 1
        spans[n_spans, 0] = kind
        spans[n_spans, 1] = start
        spans[n_spans, 2] = o
        spans[n_spans, 3] = -row - 1 if encoded else row
        n_encoded += encoded
        n_spans += 1
    state[0] = o
    state[2] = n_spans
    return w, n_encoded


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
def _is_host_byte(c: np.uint8) -> bool:
    return 97 <= (c | 32) <= 122 or 48 <= c <= 57 or c == 45 or c == 46 or c == 95


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
def _emit_host(
    text: NDArray[np.uint8], start: int, end: int, in_header: bool, sink: Sink
) -> None:
    """Emit a host, its registered part and its last label."""
    while end > start and text[end - 1] == 46:
        end -= 1
    if end <= start:
        return
    site = _site(text, start, end)
    label = end
    while label > start and text[label - 1] != 46:
        label -= 1
    whole = _hash(text, start, end, NO_FIELD)
    domain = _hash(text, site, end, NO_FIELD)
    if in_header:
        _emit(VIEW_HEADER, ord("r"), whole, start, end, sink)
        _emit(VIEW_HEADER, ord("R"), domain, site, end, sink)
    else:
        _emit(VIEW_TEXT, ord("u"), whole, start, end, sink)
        _emit(VIEW_TEXT, ord("d"), domain, site, end, sink)
        _emit(VIEW_IDENTITY, ord("d"), domain, site, end, sink)
        _emit(VIEW_TEXT, ord("l"), _hash(text, label, end, NO_FIELD), label, end, sink)


@kernel
def _url(text: NDArray[np.uint8], start: int, end: int, sink: Sink) -> int:
    """Emit the host of the address at `start`; where its path begins."""
    i = start
    while i < end and i < start + 10 and 97 <= (text[i] | 32) <= 122:
        i += 1
    if i + 2 < end and text[i] == 58 and text[i + 1] == 47 and text[i + 2] == 47:
        i += 3
    elif i < end and text[i] == 58:  # mailto:, cid:, data:, javascript:
        _emit(VIEW_TEXT, ord(":"), _hash(text, start, i, NO_FIELD), start, i + 1, sink)
        return i + 1
    else:
        i = start
    stop = i
    host = i
    while stop < end and (_is_host_byte(text[stop]) or text[stop] == 64 or text[stop] == 37):
        if text[stop] == 64:
            host = stop + 1
        stop += 1
    if host > i:  # a user name before the host, to make it look like another
        _emit(VIEW_TEXT, ord("@"), NO_FIELD, i, host, sink)
    is_number = stop > host
    for k in range(host, stop):
        is_number = is_number and (48 <= text[k] <= 57 or text[k] == 46)
    if is_number:  # an address instead of a name
        _emit(VIEW_TEXT, ord("#"), NO_FIELD, host, stop, sink)
    _emit_host(text, host, stop, False, sink)
    return stop


@kernel
def _text(
    text: NDArray[np.uint8],
    start: int,
    end: int,
    kinds: tuple[int, int],
    fold: NDArray[np.uint32],
    sink: Sink,
) -> None:
    """Emit the words of running text, pairs of neighbours, ideographs, and hosts of addresses.

    ``kinds`` are those of words and of pairs; 0: no pairs.
    """
    word_kind, pair_kind = kinds
    previous = np.uint64(0)
    previous_start = -1
    ideograph = -1
    ideograph_start = 0
    i = start
    while i < end:
        kind, cp, after = _folded(text, i, end, fold)
        if kind == CLASS_IDEOGRAPH:
            h = (FNV_OFFSET ^ np.uint64(cp)) * FNV_PRIME
            _emit(VIEW_TEXT, ord("c"), h, i, after, sink)
            if ideograph >= 0:
                h = (h ^ np.uint64(ideograph)) * FNV_PRIME
                _emit(VIEW_TEXT, ord("C"), h, ideograph_start, after, sink)
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
        n = 0
        n_digits = 0
        n_foreign = 0
        n_ascii = 0
        n_ignored = 0
        pending = 0
        word_end = i
        while i < end:
            if kind == CLASS_IGNORED:
                pending += 1
            elif kind == CLASS_WORD or kind == CLASS_FOREIGN:
                h = (h ^ np.uint64(cp)) * FNV_PRIME
                n += 1
                n_digits += 48 <= cp <= 57
                n_foreign += kind == CLASS_FOREIGN
                n_ascii += kind == CLASS_WORD and 97 <= cp <= 122
                n_ignored += pending
                pending = 0
                word_end = after
            else:
                break
            i = after
            if i < end:
                kind, cp, after = _folded(text, i, end, fold)
        ideograph = -1
        is_url = i + 2 < end and n <= 6 and text[i] == 58 and text[i + 1] == 47 and text[i + 2] == 47
        if n == 3 and i < end and text[i] == 46 and text[first] | 32 == 119:
            is_url = is_url or (text[first + 1] | 32 == 119 and text[first + 2] | 32 == 119)
        if is_url:
            i = max(_url(text, first, end, sink), i + 1)
            previous_start = -1
            continue
        if n > MAX_WORD:
            _emit(VIEW_TEXT, ord("L"), np.uint64(min(n // 8, 16)), first, word_end, sink)
            previous_start = -1
            continue
        if n_digits == n and n > 4:
            h = np.uint64(n)
            _emit(VIEW_TEXT, ord("N"), h, first, word_end, sink)
        else:
            _emit(VIEW_TEXT, word_kind, h, first, word_end, sink)
        if (n_foreign > 0 and n_ascii > 0) or n_ignored > 0:
            # Letters of two alphabets, or invisible ones, in one word: somebody hides a word.
            _emit(VIEW_TEXT, ord("x"), NO_FIELD, first, word_end, sink)
        if previous_start >= 0 and pair_kind > 0:
            _emit(VIEW_TEXT, pair_kind, (previous * MIX_1) ^ h, previous_start, word_end, sink)
        previous = h
        previous_start = first


@kernel
def _field_words(
    text: NDArray[np.uint8], start: int, end: int, field: np.uint64, sink: Sink
) -> None:
    """Emit the words of a header field, marked with the field's name."""
    i = start
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
        _emit(VIEW_HEADER, ord("f"), _hash(text, first, stop, field), first, stop, sink)
        n_words += 1


@kernel
def _addresses(
    text: NDArray[np.uint8], start: int, end: int, field: np.uint64, emits: bool, sink: Sink
) -> int:
    """Count the addresses of a field and, if asked, emit them and their domains."""
    n = 0
    i = start
    while i < end:
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
        if emits and n < 8:
            whole = _hash(text, first, stop, field)
            site = _site(text, i + 1, stop)
            domain = _hash(text, site, stop, field)
            for view in (VIEW_HEADER, VIEW_IDENTITY):
                _emit(view, ord("a"), whole, first, stop, sink)
                _emit(view, ord("A"), domain, site, stop, sink)
        n += 1
        i = max(stop, i + 1)
    return n


@kernel
def _received(text: NDArray[np.uint8], start: int, end: int, sink: Sink) -> None:
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
        if letters > 0:
            _emit_host(text, first, i, True, sink)
        elif dots == 3:  # an address of version 4: its networks of 24 and of 16 bits
            stop = i
            for _ in range(2):
                while stop > first and text[stop - 1] != 46:
                    stop -= 1
                stop -= 1
                h = _hash(text, first, stop, NO_FIELD)
                _emit(VIEW_HEADER, ord("4"), h, first, stop, sink)


@kernel
def _subject(text: NDArray[np.uint8], start: int, end: int, sink: Sink) -> None:
    """Emit the subject as a whole, without digits and blanks."""
    h = FNV_OFFSET
    for i in range(start, end):
        c = text[i]
        if c > 32 and not 48 <= c <= 57:
            if 65 <= c <= 90:
                c += np.uint8(32)
            h = (h ^ np.uint64(c)) * FNV_PRIME
    _emit(VIEW_IDENTITY, ord("S"), h, start, end, sink)


@kernel
def _field(
    text: NDArray[np.uint8], kind: int, start: int, end: int, field: np.uint64, sink: Sink
) -> None:
    """Emit what a header field says, by the kind of the field."""
    if kind == SPAN_WORDS or kind == SPAN_CONTENT:
        _field_words(text, start, end, field, sink)
    elif kind == SPAN_FROM:
        _addresses(text, start, end, field, True, sink)
        _field_words(text, start, end, field, sink)
    elif kind == SPAN_ADDRESS:
        _addresses(text, start, end, field, True, sink)
    elif kind == SPAN_LIST:
        h = _hash(text, start, end, field)
        _emit(VIEW_HEADER, ord("i"), h, start, end, sink)
        _emit(VIEW_IDENTITY, ord("i"), h, start, end, sink)
        _field_words(text, start, end, field, sink)
    elif kind == SPAN_RECIPIENTS:
        n = _addresses(text, start, end, field, False, sink)
        h = (FNV_OFFSET ^ field) * FNV_PRIME ^ np.uint64(n if n < 3 else 3 + min(n, 64) // 8)
        _emit(VIEW_HEADER, ord("n"), h, start, end, sink)
    elif kind == SPAN_ID:
        at = start
        while at < end and text[at] != 64:
            at += 1
        stop = at + 1
        while stop < end and _is_host_byte(text[stop]):
            stop += 1
        if at < end:
            h = _hash(text, at + 1, stop, field)
            _emit(VIEW_HEADER, ord("f"), h, at + 1, stop, sink)
    elif kind == SPAN_DATE:  # only the time zone says anything about the sender
        first = end
        while first > start and text[first - 1] != 43 and text[first - 1] != 45:
            first -= 1
        if first > start:
            stop = min(end, first + 4)
            h = _hash(text, first - 1, stop, field)
            _emit(VIEW_HEADER, ord("z"), h, first - 1, stop, sink)
    elif kind == SPAN_RECEIVED:
        _received(text, start, end, sink)


@kernel
def read_tokens(
    text: NDArray[np.uint8],
    spans: NDArray[np.int32],
    n_spans: int,
    fields: NDArray[np.int64],
    fold: NDArray[np.uint32],
    sink: Sink,
) -> None:
    """Turn spans of text into the distinct tokens of the header, text and identity views.

    Parameters
    ----------
    text
        UTF-8, shape ``(room,)``.
    spans
        Shape ``(max_spans, 4)``: kind, start, end, row in `fields`.
    n_spans
        How many of them count.
    fields
        What :func:`mtspam.kernels.mime.split` found.
    fold
        For each code point below its length: class in the top byte, folded code point below.
    sink
        Output. Base hash of each token, shape ``(N_TOKEN_VIEWS, max_tokens)``; kind (a character
        code, see ``mail/views.py``), start and end in `text` of its first occurrence, shape
        ``(N_TOKEN_VIEWS, max_tokens, 3)``; tokens of each view and, last, a turn that the kernel
        advances, shape ``(N_TOKEN_VIEWS + 1,)``; scratch of shape ``(power of two, 2)``, at least
        twice as many rows as all tokens.
    """
    counts = sink[2]
    counts[:N_TOKEN_VIEWS] = 0
    counts[N_TOKEN_VIEWS] += 1
    for s in range(n_spans):
        kind, start, end, row = spans[s, 0], spans[s, 1], spans[s, 2], spans[s, 3]
        if row < 0:
            row = -row - 1
        if kind == SPAN_TEXT:
            _text(text, start, end, (ord("w"), ord("p")), fold, sink)
        elif kind == SPAN_HIDDEN:
            _text(text, start, end, (ord("h"), 0), fold, sink)
        elif kind == SPAN_URL or kind == SPAN_IMAGE:
            if kind == SPAN_IMAGE:
                _emit(VIEW_TEXT, ord("I"), NO_FIELD, start, end, sink)
            after = _url(text, start, end, sink)
            _text(text, after, end, (ord("/"), 0), fold, sink)
        elif kind == SPAN_TAGS:
            i = start
            while i < end:
                first = i
                while i < end and text[i] != 32:
                    i += 1
                _emit(VIEW_TEXT, ord("<"), _hash(text, first, i, NO_FIELD), first, i, sink)
                i += 1
        elif kind == SPAN_MISMATCH:
            _emit(VIEW_TEXT, ord("M"), NO_FIELD, start, end, sink)
        elif kind == SPAN_DEFECT:
            _emit(VIEW_TEXT, ord("!"), _hash(text, start, end, NO_FIELD), start, end, sink)
        elif kind == SPAN_FILE:
            dot = end
            while dot > start and text[dot - 1] != 46:
                dot -= 1
            if dot > start:
                _emit(VIEW_TEXT, ord("."), _hash(text, dot, end, NO_FIELD), dot, end, sink)
            _text(text, start, end, (ord("F"), 0), fold, sink)
        else:
            field = np.uint64(fields[row, F_NAME_HASH])
            if fields[row, F_PART] == 0 and kind != SPAN_SUBJECT:
                _emit(VIEW_HEADER, ord("H"), field, start, end, sink)
            if kind == SPAN_SUBJECT:
                _text(text, start, end, (ord("s"), ord("S")), fold, sink)
                _subject(text, start, end, sink)
            else:
                _field(text, kind, start, end, field, sink)
