"""Kernel that lays out the header fields that count as text, and the first of them as they are."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["SPAN_KINDS", "lay_headers"]

# Kinds of spans of text. Other kernels repeat those that they use (a test holds them equal).
SPAN_KINDS = 20
(
    SPAN_TEXT,
    SPAN_HIDDEN,
    SPAN_TAGS,
    SPAN_URL,
    SPAN_IMAGE,
    SPAN_MISMATCH,
    SPAN_FILE,
    SPAN_SUBJECT,
    SPAN_WORDS,
    SPAN_FROM,
    SPAN_RECEIVED,
    SPAN_LIST,
    SPAN_DATE,
    SPAN_RECIPIENTS,
    SPAN_ID,
    SPAN_ADDRESS,
    SPAN_NAME,
    SPAN_DEFECT,
    SPAN_CONTENT,
    SPAN_SHOWN,
) = range(SPAN_KINDS)

# Columns of `fields`, as in kernels/mime.py (a test holds them equal).
F_PART, F_NAME_HASH, F_NAME, F_NAME_END, F_VALUE, F_VALUE_END, F_PREFIX_HASH = range(7)


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
