"""Kernel that compares the host that a link shows with the host that it leads to."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["compare_links"]

# Kinds of spans of text, as in kernels/headers.py (a test holds them equal).
SPAN_MISMATCH, SPAN_SHOWN, SPAN_NOTHING = 5, 19, -1


@kernel
def _host(text: NDArray[np.uint8], i: int, end: int) -> tuple[int, int]:
    """Range of the host in the address ``text[i:end]``; empty where it names none."""
    k = i
    while k < end and k < i + 12 and text[k] != 58:
        k += 1
    if k + 2 < end and text[k] == 58 and text[k + 1] == 47 and text[k + 2] == 47:
        i = k + 3
    elif k < end and text[k] == 58:
        return i, i
    stop = i
    colon = -1
    while stop < end and text[stop] > 32:
        c = text[stop]
        if c == 47 or c == 63 or c == 35:
            break
        if c == 64:  # a user name may stand before the host
            i = stop + 1
            colon = -1
        elif c == 58 and colon < 0:
            colon = stop
        stop += 1
    stop = colon if colon >= 0 else stop
    while stop > i and text[stop - 1] == 46:
        stop -= 1
    return i, stop


@kernel
def _claimed_host(text: NDArray[np.uint8], i: int, end: int) -> tuple[int, int]:
    """Range of the host that the text of a link claims, empty where it claims none."""
    while i < end and text[i] <= 32:
        i += 1
    while end > i and text[end - 1] <= 32:
        end -= 1
    for k in range(i, end):
        if text[k] <= 32:
            return i, i
    start, stop = _host(text, i, end)
    dots = 0
    for k in range(start, stop):
        c = text[k]
        if c == 46:
            dots += 1
        elif not (97 <= (c | 32) <= 122 or 48 <= c <= 57 or c == 45):
            return i, i
    if dots == 0 or not 97 <= (text[stop - 1] | 32) <= 122:
        return i, i
    return start, stop


@kernel
def _is_same_site(text: NDArray[np.uint8], a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Tell whether one host lies within the other, or both within one registered domain.

    The registered domain is taken to be the last two labels, or three where the second is short,
    as in ``co.uk``.
    """
    start_a, end_a = a
    start_b, end_b = b
    dots = 0
    label_end = end_a
    while end_a > start_a and end_b > start_b:
        x = text[end_a - 1]
        y = text[end_b - 1]
        if x != y and not ((x ^ y) == 32 and 97 <= (x | 32) <= 122):
            return False
        end_a -= 1
        end_b -= 1
        if x == 46:
            dots += 1
            if (dots == 2 and label_end - end_a - 1 > 3) or dots == 3:
                return True
            label_end = end_a
    whole_a = end_a == start_a
    whole_b = end_b == start_b
    return (whole_a or text[end_a - 1] == 46) and (whole_b or text[end_b - 1] == 46)


@kernel
def compare_links(text: NDArray[np.uint8], spans: NDArray[np.int32], n_spans: int) -> None:
    """Turn the spans of texts of links that claim another site than the link's into mismatches.

    Parameters
    ----------
    text
        UTF-8, shape ``(room,)``.
    spans
        Shape ``(>= n_spans, 4)``: kind, start, end, row of the span of the link's address. The
        shown texts among them become mismatches, narrowed to the host, or void.
    n_spans
        How many of them count.
    """
    for s in range(n_spans):
        if spans[s, 0] != SPAN_SHOWN:
            continue
        row = spans[s, 3]
        shown = _claimed_host(text, spans[s, 1], spans[s, 2])
        target = _host(text, spans[row, 1], spans[row, 2])
        spans[s, 0] = SPAN_NOTHING
        if shown[1] > shown[0] and target[1] > target[0]:
            if not _is_same_site(text, shown, target):
                spans[s, 0] = SPAN_MISMATCH
                spans[s, 1] = shown[0]
                spans[s, 2] = shown[1]
