"""Kernel that reads HTML as a mail program shows it: visible text, hidden text, links, tags.

A scanner, not a tree: every byte is looked at a bounded number of times, so that unclosed tags,
comments and quotes cost no more than closed ones.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["SPAN_COLUMNS", "read_html"]

SPAN_COLUMNS = 4  # kind, start, end, row of the header field
# Kinds of text spans, as in kernels/tokens.py (a test holds them equal).
SPAN_TEXT, SPAN_HIDDEN, SPAN_TAGS, SPAN_URL, SPAN_IMAGE, SPAN_MISMATCH = 0, 1, 2, 3, 4, 5

MAX_TAG = 4096  # bytes of one tag that are read; the rest up to the next '<' counts as text
MAX_TAGS = 512  # tag names noted
MAX_LINKS = 128

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
TAG_A = _fnv64(b"a")
TAG_IMG = _fnv64(b"img")
TAG_SCRIPT = _fnv64(b"script")
TAG_STYLE = _fnv64(b"style")
TAG_TITLE = _fnv64(b"title")
ATTR_HREF = _fnv64(b"href")
ATTR_SRC = _fnv64(b"src")
ATTR_ACTION = _fnv64(b"action")
ATTR_BACKGROUND = _fnv64(b"background")
ATTR_STYLE = _fnv64(b"style")
ATTR_HIDDEN = _fnv64(b"hidden")


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
        i += 1
    return -1


@kernel
def _hides(src: NDArray[np.uint8], i: int, end: int, needles: NDArray[np.uint8]) -> bool:
    """Tell whether a style says that its element is not shown; blanks do not count.

    `needles` are rows of lower-case declarations padded with zeros.
    """
    for start in range(i, end):
        if start > i and src[start - 1] != 59 and src[start - 1] > 32:
            continue
        for row in range(needles.shape[0]):
            at = start
            k = 0
            while k < needles.shape[1] and needles[row, k] != 0:
                while at < end and (src[at] == 32 or src[at] == 9):
                    at += 1
                if at >= end or _lower(src[at]) != needles[row, k]:
                    break
                at += 1
                k += 1
            if k == needles.shape[1] or needles[row, k] == 0:
                # "font-size:0" must not match "font-size:0.9em".
                if at >= end or not (46 == src[at] or 48 <= src[at] <= 57):
                    return True
    return False


def _rows(words: bytes) -> NDArray[np.uint8]:
    items = words.split()
    rows = np.zeros((len(items), max(map(len, items))), np.uint8)
    for row, item in zip(rows, items, strict=True):
        row[: len(item)] = np.frombuffer(item, np.uint8)
    return rows


HIDING = _rows(
    b"display:none visibility:hidden font-size:0 font-size:0px font-size:1px mso-hide:all "
    b"opacity:0 max-height:0 max-height:0px"
)
END_COMMENT = np.frombuffer(b"-->", np.uint8).copy()
END_SCRIPT = np.frombuffer(b"</script", np.uint8).copy()
END_STYLE = np.frombuffer(b"</style", np.uint8).copy()


@kernel
def _put_code_point(cp: int, out: NDArray[np.uint8], o: int) -> int:
    if cp < 0x80:
        out[o] = cp
        return o + 1
    if cp < 0x800:
        out[o] = 0xC0 | (cp >> 6)
        out[o + 1] = 0x80 | (cp & 63)
        return o + 2
    if cp < 0x10000:
        out[o] = 0xE0 | (cp >> 12)
        out[o + 1] = 0x80 | ((cp >> 6) & 63)
        out[o + 2] = 0x80 | (cp & 63)
        return o + 3
    out[o] = 0xF0 | (cp >> 18)
    out[o + 1] = 0x80 | ((cp >> 12) & 63)
    out[o + 2] = 0x80 | ((cp >> 6) & 63)
    out[o + 3] = 0x80 | (cp & 63)
    return o + 4


@kernel
def _entity(
    src: NDArray[np.uint8],
    i: int,
    end: int,
    names: NDArray[np.int64],
    code_points: NDArray[np.int32],
) -> tuple[int, int]:
    """Read the character reference at `i`, behind its '&': (code point or -1, next position)."""
    if i < end and src[i] == 35:
        i += 1
        base = 10
        if i < end and src[i] | 32 == 120:
            base = 16
            i += 1
        cp = 0
        start = i
        while i < end and i < start + 8:
            c = _lower(src[i])
            d = int(c) - 48 if 48 <= c <= 57 else int(c) - 87 if 97 <= c <= 102 else 99
            if d >= base:
                break
            cp = cp * base + d
            i += 1
        if i == start or cp > 0x10FFFF or cp == 0 or 0xD800 <= cp < 0xE000:
            return -1, start
        return cp, i + 1 if i < end and src[i] == 59 else i
    h = FNV_OFFSET
    start = i
    while i < end and i < start + 10 and (97 <= (src[i] | 32) <= 122 or 48 <= src[i] <= 57):
        h = (h ^ np.uint64(src[i])) * FNV_PRIME
        i += 1
    if i > start:
        at = np.searchsorted(names, np.int64(h))
        if at < names.shape[0] and names[at] == np.int64(h):
            return code_points[at], i + 1 if i < end and src[i] == 59 else i
    return -1, start


@kernel
def _host(src: NDArray[np.uint8], i: int, end: int) -> tuple[int, int]:
    """Range of the host in the address ``src[i:end]``; empty where it names none."""
    k = i
    while k < end and k < i + 12 and src[k] != 58:
        k += 1
    if k + 2 < end and src[k] == 58 and src[k + 1] == 47 and src[k + 2] == 47:
        i = k + 3
    elif k < end and src[k] == 58:
        return i, i
    stop = i
    at = -1
    while (
        stop < end and src[stop] != 47 and src[stop] != 63 and src[stop] != 35 and src[stop] > 32
    ):
        if src[stop] == 64:
            at = stop
        stop += 1
    if at >= 0:
        i = at + 1
    for k in range(i, stop):
        if src[k] == 58:
            stop = k
            break
    return i, stop


@kernel
def _same_site(
    a: NDArray[np.uint8], a0: int, a1: int, b: NDArray[np.uint8], b0: int, b1: int
) -> bool:
    """Tell whether two hosts share their last two labels (or are equal)."""
    labels = 0
    while a1 > a0 and b1 > b0:
        x = _lower(a[a1 - 1])
        if x != _lower(b[b1 - 1]):
            return False
        if x == 46:
            labels += 1
            if labels == 2:
                return True
        a1 -= 1
        b1 -= 1
    ends_a = a1 == a0 or a[a1 - 1] == 46
    ends_b = b1 == b0 or b[b1 - 1] == 46
    return ends_a and ends_b and (labels > 0)


@kernel
def _shown_host(text: NDArray[np.uint8], i: int, end: int) -> tuple[int, int]:
    """Range of the host that the link text ``text[i:end]`` claims, empty where it claims none."""
    while i < end and text[i] <= 32:
        i += 1
    while end > i and text[end - 1] <= 32:
        end -= 1
    if end - i > 200 or end - i < 4:
        return i, i
    for k in range(i, end):
        if text[k] <= 32:
            return i, i
    a, b = _host(text, i, end)
    dots = 0
    for k in range(a, b):
        c = text[k]
        if c == 46:
            dots += 1
        elif not (97 <= (c | 32) <= 122 or 48 <= c <= 57 or c == 45):
            return i, i
    if dots == 0 or not (97 <= (text[b - 1] | 32) <= 122):
        return i, i
    return a, b


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
        Output, shape ``(max_spans, SPAN_COLUMNS)``.
    entities
        Hashes of the names of character references, rising, and their code points.
    scratch
        Room for tag names, shape ``(>= 4096,)``.
    """
    i, end = span
    o, cap, n_spans = state[0], state[1] - 8, state[2]
    max_spans = spans.shape[0] - 2
    names, code_points = entities
    t = 0  # tag names gathered in scratch
    n_tags = 0
    links = 0
    hidden_tag = np.int64(0)
    hidden_depth = 0
    start = o
    link_text = -1  # where the text of the open link begins
    link_a = 0
    link_b = 0
    # One search without a result is enough, or a row of openings would cost a square.
    no_comment_end = False
    no_script_end = False
    no_style_end = False
    blank = True
    while i < end and o < cap and n_spans < max_spans:
        c = src[i]
        if c == 38:
            cp, i = _entity(src, i + 1, end, names, code_points)
            if cp < 0:
                text[o] = 38
                o += 1
            elif cp == 160 or cp == 32:
                text[o] = 32
                o += 1
            else:
                o = _put_code_point(cp, text, o)
            blank = False
            continue
        if c != 60 or i + 1 >= end:
            if c <= 32:
                if not blank:
                    text[o] = 32
                    o += 1
                blank = True
            else:
                text[o] = c
                o += 1
                blank = False
            i += 1
            continue
        d = src[i + 1]
        if d == 33 and i + 3 < end and src[i + 2] == 45 and src[i + 3] == 45:
            stop = -1 if no_comment_end else _find(src, i + 4, end, END_COMMENT)
            if stop < 0:
                no_comment_end = True
                i += 4
            else:
                i = stop + 3
            continue
        closing = d == 47
        k = i + 2 if closing else i + 1
        if not (k < end and (97 <= (src[k] | 32) <= 122)) and not (d == 33 or d == 63):
            text[o] = c
            o += 1
            i += 1
            continue
        name = k
        h = FNV_OFFSET
        while k < end and k < name + 16 and (97 <= (src[k] | 32) <= 122 or 48 <= src[k] <= 57):
            h = (h ^ np.uint64(_lower(src[k]))) * FNV_PRIME
            k += 1
        tag = np.int64(h)
        name_end = k
        # Attributes, up to '>' outside quotes.
        hides = False
        limit = min(end, i + MAX_TAG)
        href = -1
        href_end = -1
        is_image = tag == TAG_IMG
        while k < limit and src[k] != 62:
            if src[k] <= 32 or src[k] == 47:
                k += 1
                continue
            if src[k] == 60:
                break
            h = FNV_OFFSET
            attribute = k
            while k < limit and src[k] != 61 and src[k] != 62 and src[k] > 32:
                h = (h ^ np.uint64(_lower(src[k]))) * FNV_PRIME
                k += 1
            if k == attribute:
                k += 1
            while k < limit and src[k] <= 32:
                k += 1
            key = np.int64(h)
            if k >= limit or src[k] != 61:
                hides = hides or key == ATTR_HIDDEN
                continue
            k += 1
            while k < limit and src[k] <= 32:
                k += 1
            value = k
            if k < limit and (src[k] == 34 or src[k] == 39):
                quote = src[k]
                value = k + 1
                k += 1
                while k < limit and src[k] != quote:
                    k += 1
                value_end = k
                k += 1
            else:
                while k < limit and src[k] != 62 and src[k] > 32:
                    k += 1
                value_end = k
            if key == ATTR_STYLE:
                hides = hides or _hides(src, value, min(value_end, value + 512), HIDING)
            elif (
                key == ATTR_HREF or key == ATTR_SRC or key == ATTR_ACTION or key == ATTR_BACKGROUND
            ):
                href = value
                href_end = value_end
                is_image = is_image or key == ATTR_BACKGROUND
        i = min(k + 1, end) if k < end and src[min(k, end - 1)] == 62 else min(k, end)
        if (tag == TAG_SCRIPT or tag == TAG_STYLE) and not closing:
            stop = -1
            if tag == TAG_SCRIPT and not no_script_end:
                stop = _find(src, i, end, END_SCRIPT)
                no_script_end = stop < 0
            elif tag == TAG_STYLE and not no_style_end:
                stop = _find(src, i, end, END_STYLE)
                no_style_end = stop < 0
            if stop >= 0:
                i = stop
        if not _has(INLINE, tag) and not blank:
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
        # Links.
        if href >= 0 and links < MAX_LINKS:
            links += 1
            n = min(href_end - href, 256)
            if o + n + 2 < cap and n > 0:
                if o > start:
                    spans[n_spans, 0] = SPAN_HIDDEN if hidden_depth > 0 else SPAN_TEXT
                    spans[n_spans, 1] = start
                    spans[n_spans, 2] = o
                    n_spans += 1
                first = o
                for at in range(href, href + n):
                    text[o] = src[at]
                    o += 1
                spans[n_spans, 0] = SPAN_IMAGE if is_image else SPAN_URL
                spans[n_spans, 1] = first
                spans[n_spans, 2] = o
                n_spans += 1
                if tag == TAG_A:
                    link_a, link_b = _host(text, first, o)
                    link_text = o
                start = o
                # Text goes on where it was: a link inside a word does not split it in two spans
                # that matter, since words are rarely written around an address.
        if tag == TAG_A and closing and link_text >= 0:
            a, b = _shown_host(text, link_text, o)
            if b > a and link_b > link_a and not _same_site(text, a, b, text, link_a, link_b):
                spans[n_spans, 0] = SPAN_MISMATCH
                spans[n_spans, 1] = a
                spans[n_spans, 2] = b
                n_spans += 1
            link_text = -1
        if n_spans >= max_spans:
            break
        # What is hidden stays hidden until its own element ends.
        if hidden_depth > 0:
            if tag == hidden_tag:
                hidden_depth += -1 if closing else 1
                if hidden_depth == 0 and o > start:
                    spans[n_spans, 0] = SPAN_HIDDEN
                    spans[n_spans, 1] = start
                    spans[n_spans, 2] = o
                    n_spans += 1
                    start = o
        elif hides and not closing and not _has(VOID, tag):
            if o > start:
                spans[n_spans, 0] = SPAN_TEXT
                spans[n_spans, 1] = start
                spans[n_spans, 2] = o
                n_spans += 1
                start = o
            hidden_tag = tag
            hidden_depth = 1
    if o > start and n_spans < spans.shape[0]:
        spans[n_spans, 0] = SPAN_HIDDEN if hidden_depth > 0 else SPAN_TEXT
        spans[n_spans, 1] = start
        spans[n_spans, 2] = o
        n_spans += 1
    t = min(t, state[1] - o)
    if t > 0 and n_spans < spans.shape[0]:
        spans[n_spans, 0] = SPAN_TAGS
        spans[n_spans, 1] = o
        for at in range(t):
            text[o] = scratch[at]
            o += 1
        spans[n_spans, 2] = o
        n_spans += 1
    state[0] = o
    state[2] = n_spans
