"""Kernel that reads HTML as a mail program shows it: visible text, hidden text, links, tags.

A scanner, not a tree: every byte is looked at a bounded number of times, so that unclosed tags,
comments and quotes cost no more than closed ones.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["SPAN_COLUMNS", "read_html"]

SPAN_COLUMNS = 4  # kind, start, end, row of the header field
# Kinds of text spans, as in kernels/headers.py (a test holds them equal).
SPAN_TEXT, SPAN_HIDDEN, SPAN_TAGS, SPAN_URL, SPAN_IMAGE, SPAN_SHOWN = 0, 1, 2, 3, 4, 19

MAX_TAG = 4096  # bytes of one tag that are read; the rest up to the next '<' counts as text
MAX_TAGS = 512  # tag names noted
MAX_LINKS = 128
MAX_URL = 256  # bytes of an address that are kept
MAX_SHOWN = 200  # bytes of the text of a link that may be an address

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)


def _fnv64(name: bytes) -> np.int64:
    h = 0xCBF29CE484222325
    for byte in name:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return np.int64(h - (1 << 64) if h >= 1 << 63 else h)


def _hashes(words: bytes) -> NDArray[np.int64]:
    return np.array([_fnv64(word) for word in words.split()], np.int64)


# Tags that do not end a word: "V<b></b>iagra" is shown as one.
INLINE = _hashes(
    b"a abbr acronym b bdo big cite code del dfn em font i ins kbd mark q s samp small span "
    b"strike strong sub sup tt u var wbr"
)
VOID = _hashes(b"area base br col embed frame hr img input link meta param source wbr")
# Tags whose element ends where the next of its kind begins, so that many are never closed.
IMPLIED = _hashes(b"p li td th tr dd dt option")
TAG_A, TAG_IMG, TAG_SCRIPT, TAG_STYLE = (_fnv64(b) for b in (b"a", b"img", b"script", b"style"))
ATTR_HREF, ATTR_SRC, ATTR_ACTION = _fnv64(b"href"), _fnv64(b"src"), _fnv64(b"action")
ATTR_BACKGROUND, ATTR_STYLE, ATTR_HIDDEN = map(_fnv64, (b"background", b"style", b"hidden"))


@kernel
def _lower(c: np.uint8) -> np.uint8:
    return c + np.uint8(32) if 65 <= c <= 90 else c


@kernel
def _has(values: NDArray[np.int64], x: np.int64) -> bool:
    for v in values:
        if v == x:
            return True
    return False


@kernel
def _find(src: NDArray[np.uint8], i: int, end: int, needle: NDArray[np.uint8]) -> int:
    """First position of the lower-case `needle` at or behind `i`, or -1."""
    n = needle.shape[0]
    while i + n <= end:
        k = 0
        while k < n and _lower(src[i + k]) == needle[k]:
            k += 1
        if k == n:
            return i
        i += max(k, 1)  # no needle begins again within itself
    return -1


@kernel
def _comment_end(src: NDArray[np.uint8], i: int, end: int) -> int:
    """Behind the end of the comment whose first dash is at `i`, or -1.

    As browsers do it, ``<!-->`` is a whole comment, and ``--!>`` ends one too.
    """
    while i + 2 < end:
        if src[i] == 45 and src[i + 1] == 45:
            if src[i + 2] == 62:
                return i + 3
            if i + 3 < end and src[i + 2] == 33 and src[i + 3] == 62:
                return i + 4
        i += 1
    return -1


@kernel
def _hides(src: NDArray[np.uint8], i: int, end: int, needles: NDArray[np.uint8]) -> bool:
    """Tell whether a style says that its element is not shown; blanks do not count.

    `needles` are rows of lower-case declarations that end with a zero.
    """
    for start in range(i, end):
        if src[start] <= 32 or (start > i and src[start - 1] != 59 and src[start - 1] > 32):
            continue
        for row in range(needles.shape[0]):
            at = start
            k = 0
            while needles[row, k] != 0:
                while at < end and src[at] <= 32:
                    at += 1
                if at >= end or _lower(src[at]) != needles[row, k]:
                    break
                at += 1
                k += 1
            # "font-size:0" must not match "font-size:0.9em".
            ends = at >= end or not (src[at] == 46 or 48 <= src[at] <= 57)
            if ends and needles[row, k] == 0:
                return True
    return False


STYLES = b"display:none visibility:hidden font-size:0 font-size:1px opacity:0 max-height:0"
HIDING = np.array([list(style.ljust(18, b"\0")) for style in STYLES.split()], np.uint8)
LEADS = np.array([0, 0xC0, 0xE0, 0xF0], np.uint8)  # of UTF-8, by bytes that follow
END_SCRIPT = np.frombuffer(b"</script", np.uint8).copy()
END_STYLE = np.frombuffer(b"</style", np.uint8).copy()


@kernel
def _put(cp: int, out: NDArray[np.uint8], o: int) -> int:
    """Write a code point as UTF-8; its end."""
    n = 0 if cp < 0x80 else 1 if cp < 0x800 else 2 if cp < 0x10000 else 3
    out[o] = (cp >> (6 * n)) | LEADS[n]
    for k in range(1, n + 1):
        out[o + k] = 0x80 | ((cp >> (6 * (n - k))) & 63)
    return o + n + 1


@kernel
def _entity(
    src: NDArray[np.uint8],
    i: int,
    end: int,
    entities: tuple[NDArray[np.int64], NDArray[np.int32]],
) -> tuple[int, int]:
    """Read the character reference at `i`, behind its '&': (code point or -1, next position)."""
    start, cp = i, 0
    if i < end and src[i] == 35:
        i += 1
        base = 10
        if i < end and src[i] | 32 == 120:
            base = 16
            i += 1
        stop = min(end, i + 8)
        while i < stop:
            c = _lower(src[i])
            d = int(c) - 48 if 48 <= c <= 57 else int(c) - 87 if 97 <= c <= 102 else 99
            if d >= base:
                break
            cp = cp * base + d
            i += 1
    else:
        h = FNV_OFFSET
        stop = min(end, i + 10)
        while i < stop and (97 <= (src[i] | 32) <= 122 or 48 <= src[i] <= 57):
            h = (h ^ np.uint64(src[i])) * FNV_PRIME
            i += 1
        names, code_points = entities
        at = np.searchsorted(names, np.int64(h))
        if at < names.shape[0] and names[at] == np.int64(h):
            cp = int(code_points[at])
    if cp == 0 or cp > 0x10FFFF or 0xD800 <= cp < 0xE000:
        return -1, start
    return cp, i + 1 if i < end and src[i] == 59 else i


@kernel
def _attributes(
    src: NDArray[np.uint8], k: int, end: int
) -> tuple[int, bool, tuple[int, int], bool]:
    """Read attributes up to '>' outside quotes: (next, hides, address, picture)."""
    hides = is_image = False
    href = href_end = -1
    while k < end and src[k] != 62 and src[k] != 60:
        if src[k] <= 32 or src[k] == 47:
            k += 1
            continue
        h = FNV_OFFSET
        attribute = k
        while k < end and src[k] != 61 and src[k] != 62 and src[k] > 32:
            h = (h ^ np.uint64(_lower(src[k]))) * FNV_PRIME
            k += 1
        if k == attribute:
            k += 1
        while k < end and src[k] <= 32:
            k += 1
        key = np.int64(h)
        if k >= end or src[k] != 61:
            hides = hides or key == ATTR_HIDDEN
            continue
        k += 1
        while k < end and src[k] <= 32:
            k += 1
        value = k
        if k < end and (src[k] == 34 or src[k] == 39):
            value = k + 1
            k += 1
            while k < end and src[k] != src[value - 1]:
                k += 1
            value_end = k
            k += 1
        else:
            while k < end and src[k] != 62 and src[k] > 32:
                k += 1
            value_end = k
        if key == ATTR_STYLE:
            hides = hides or _hides(src, value, min(value_end, value + 512), HIDING)
        elif key == ATTR_HREF or key == ATTR_SRC or key == ATTR_ACTION or key == ATTR_BACKGROUND:
            href = value
            href_end = value_end
            is_image = key == ATTR_BACKGROUND
    k = min(k, end)
    return k + 1 if k < end and src[k] == 62 else k, hides, (href, href_end), is_image


@kernel
def _copy_url(
    src: NDArray[np.uint8],
    span: tuple[int, int],
    text: NDArray[np.uint8],
    o: int,
    entities: tuple[NDArray[np.int64], NDArray[np.int32]],
) -> int:
    """Write an address as a browser reads it: references decoded, blanks left out; its end."""
    i, end = span
    cap = o + MAX_URL
    while i < end and o < cap:
        c = src[i]
        i += 1
        if c == 38:
            cp, after = _entity(src, i, end, entities)
            if cp > 32:
                i = after
                o = _put(cp, text, o)
                continue
        if c > 32:
            text[o] = c
            o += 1
    return o


@kernel
def _add(spans: NDArray[np.int32], n: int, kind: int, start: int, end: int) -> int:
    """Note a span unless it is empty; how many there are now."""
    if end <= start:
        return n
    spans[n, 0] = kind
    spans[n, 1] = start
    spans[n, 2] = end
    spans[n, 3] = 0
    return n + 1


@kernel
def read_html(
    src: NDArray[np.uint8],
    span: tuple[int, int],
    text: NDArray[np.uint8],
    state: NDArray[np.int64],
    spans: NDArray[np.int32],
    entities: tuple[NDArray[np.int64], NDArray[np.int32]],
    scratch: NDArray[np.uint8],
) -> None:
    """Write what ``src[span]`` shows into `text` and note spans of it by kind.

    Parameters
    ----------
    src, span
        UTF-8 and its half-open range.
    text
        Output; writing starts at ``state[0]`` and stops at ``state[1]``.
    state
        ``(text position, end of room in text, number of spans)``, brought up to date.
    spans
        Output, shape ``(max_spans, SPAN_COLUMNS)``. The last column is 0, but for the text of a
        link it is the row of the link's address.
    entities
        Hashes of the names of character references, rising, and their code points.
    scratch
        Room for tag names, shape ``(>= 32,)``.
    """
    i, end = span
    o, cap, n_spans = state[0], state[1] - 8, state[2]
    max_spans = spans.shape[0] - 6  # a tag adds at most four, the end of the text two
    start = o
    t = n_tags = n_links = 0  # bytes of tag names in scratch; tags and addresses so far
    hidden_tag = np.int64(0)
    # Open elements of the hidden one's own name, and of any name, both with itself.
    hidden_depth = inner_depth = 0
    link_row, link_text = -1, 0  # span of the address of the open link; where its text begins
    # Bits of what has no end: one search is enough, or a row of openings would cost a square.
    endless = 0
    blank = True
    while i < end and o < cap and n_spans < max_spans:
        c = src[i]
        if c == 38:
            cp, i = _entity(src, i + 1, end, entities)
            if cp < 0:
                cp = 38
            o = _put(32 if cp == 160 else cp, text, o)
            blank = False
            continue
        if c != 60 or i + 1 >= end:
            if c > 32:
                text[o] = c
                o += 1
            elif not blank:
                text[o] = 32
                o += 1
            blank = c <= 32
            i += 1
            continue
        d = src[i + 1]
        if d == 33 and i + 3 < end and src[i + 2] == 45 and src[i + 3] == 45:
            after = -1 if endless & 4 else _comment_end(src, i + 2, end)
            endless |= 4 if after < 0 else 0
            i = i + 4 if after < 0 else after
            continue
        closing = d == 47
        name = i + 2 if closing else i + 1
        if not (name < end and 97 <= (src[name] | 32) <= 122) and d != 33 and d != 63:
            text[o] = c
            o += 1
            i += 1
            blank = False
            continue
        k = name
        h = FNV_OFFSET
        while k < end and k < name + 16 and (97 <= (src[k] | 32) <= 122 or 48 <= src[k] <= 57):
            h = (h ^ np.uint64(_lower(src[k]))) * FNV_PRIME
            k += 1
        tag = np.int64(h)
        name_end = k
        i, hides, href, is_image = _attributes(src, k, min(end, i + MAX_TAG))
        unread = 0 if closing else 1 if tag == TAG_SCRIPT else 2 if tag == TAG_STYLE else 0
        if unread & ~endless:
            after = _find(src, i, end, END_SCRIPT if unread == 1 else END_STYLE)
            endless |= unread if after < 0 else 0
            i = max(i, after)
        if not blank and not _has(INLINE, tag):
            text[o] = 10
            o += 1
            blank = True
        if not closing and n_tags < MAX_TAGS and t + 20 < scratch.shape[0] and name_end > name:
            for at in range(name, name_end):
                scratch[t] = _lower(src[at])
                t += 1
            scratch[t] = 32
            t += 1
            n_tags += 1
        shows = SPAN_HIDDEN if hidden_depth > 0 else SPAN_TEXT
        if href[1] > href[0] and n_links < MAX_LINKS and o + MAX_URL + 8 < cap:
            n_links += 1
            n_spans = _add(spans, n_spans, shows, start, o)
            start = o
            o = _copy_url(src, href, text, o, entities)
            if tag == TAG_A:
                link_row = n_spans if o > start else -1
            is_image = is_image or tag == TAG_IMG
            n_spans = _add(spans, n_spans, SPAN_IMAGE if is_image else SPAN_URL, start, o)
            # Text goes on behind the address: words are rarely written around one.
            start = link_text = o
        if tag == TAG_A and closing and link_row >= 0:
            if 0 < o - link_text < MAX_SHOWN:
                n_spans = _add(spans, n_spans, SPAN_SHOWN, link_text, o)
                spans[n_spans - 1, 3] = link_row
            link_row = -1
        # What is hidden stays hidden until its own element ends or one around it.
        if hidden_depth > 0:
            implied = _has(IMPLIED, tag)
            if tag == hidden_tag:
                hidden_depth += -1 if closing or implied else 1
            if name_end > name and not implied and not _has(VOID, tag):
                inner_depth += -1 if closing else 1
            if hidden_depth == 0 or inner_depth <= 0:
                hidden_depth = 0
                n_spans = _add(spans, n_spans, SPAN_HIDDEN, start, o)
                start = o
        if hidden_depth == 0 and hides and not closing and not _has(VOID, tag):
            n_spans = _add(spans, n_spans, SPAN_TEXT, start, o)
            start = o
            hidden_tag = tag
            hidden_depth = inner_depth = 1
    n_spans = _add(spans, n_spans, SPAN_HIDDEN if hidden_depth > 0 else SPAN_TEXT, start, o)
    start = o
    for at in range(min(t, state[1] - o)):
        text[o] = scratch[at]
        o += 1
    n_spans = _add(spans, n_spans, SPAN_TAGS, start, o)
    state[0] = o
    state[2] = n_spans
