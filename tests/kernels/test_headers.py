import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels import headers, mime

OTHER = headers.SPAN_WORDS
KNOWN = {b"subject": headers.SPAN_SUBJECT, b"from": headers.SPAN_FROM, b"status": -1,
         b"content-type": headers.SPAN_CONTENT}  # fmt: skip
PREFIXES = [b"x-spam-"]
NAMES = [b"Subject", b"FROM", b"Status", b"Content-Type", b"X-Spam-Flag", b"X-Spam", b"Other"]
VALUES = [b"", b" a", b" a\r\n b", b"\t=?utf-8?q?x?=", b" ?=", b"  \n c\td "]
lines = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=8)


def rules():
    known = sorted((mime.fnv64(name), kind) for name, kind in KNOWN.items())
    return (
        np.array([name for name, _ in known], np.int64),
        np.array([kind for _, kind in known], np.int32),
        np.array(sorted(mime.fnv64(name) for name in PREFIXES), np.int64),
        OTHER,
    )


def lay(own, other=(), *, room=1000, window_room=1000, max_spans=50):
    """Lay out fields of the message itself and of a part: (spans, window, number encoded)."""
    fields = []
    raw = b""
    for part, block in enumerate((own, other)):
        for name, value in block:
            hashes = [
                mime.fnv64(name),
                mime.fnv64(
                    b"-".join([*name.split(b"-")[:2], b""]) if name.count(b"-") > 1 else b""
                ),
            ]
            at = len(raw)
            row = [part, hashes[0], at, at + len(name), at + len(name) + 1]
            raw += name + b":" + value + b"\r\n"
            fields.append([*row, len(raw) - 2, hashes[1]])
    table = np.array(fields or np.zeros((1, 7)), np.int64)
    text = np.full(room + 3, 0xEE, np.uint8)
    state = np.array([3, room, 0], np.int64)
    spans = np.full((max_spans, 4), -7, np.int32)
    window = np.full(window_room, 0xEE, np.uint8)
    data = np.frombuffer(raw, np.uint8)
    n, n_encoded = headers.lay_headers(
        data, table, len(fields), rules(), text, state, spans, window
    )
    assert 3 <= state[0] <= max(room, 3)
    assert (spans[state[2] :] == -7).all()
    assert (window[n:] == 0xEE).all()
    shown = [
        (kind, text[start:end].tobytes(), row)
        for kind, start, end, row in spans[: state[2]].tolist()
    ]
    return shown, window[:n].tobytes(), n_encoded


def expected(own, other=()):
    spans = []
    window = b""
    for row, (name, value) in enumerate([*own, *other]):
        kind = KNOWN.get(name.lower(), OTHER)
        if kind < 0 or name.lower().startswith(tuple(PREFIXES)):
            continue
        if row < len(own):
            window += (name + b":" + value).replace(b"\r", b"") + b"\n"
        elif kind not in {headers.SPAN_SUBJECT, headers.SPAN_CONTENT}:
            continue
        flat = bytes(32 if c in b"\r\n\t" else c for c in value.lstrip(b" \t\r\n"))
        spans.append((kind, flat, -row - 1 if b"=?" in value else row))
    return spans, window, sum(row < 0 for *_, row in spans)


def test_a_case_by_hand():
    own = [
        (b"Subject", b" a\r\n b"),
        (b"X-Spam-Flag", b" YES"),
        (b"Status", b" RO"),
        (b"Other", b""),
    ]
    part = [(b"Content-Type", b" text/html"), (b"From", b" x@y")]
    assert lay(own, part) == (
        [
            (headers.SPAN_SUBJECT, b"a   b", 0),
            (OTHER, b"", 3),
            (headers.SPAN_CONTENT, b"text/html", 4),
        ],
        b"Subject: a\n b\nOther:\n",
        0,
    )


@given(lines, lines)
def test_it_equals_its_twin(own, other):
    assert lay(own, other) == expected(own, other)


@given(lines, st.integers(3, 30), st.integers(0, 30), st.integers(0, 4))
def test_less_room_gives_a_beginning(own, room, window_room, max_spans):
    spans, window, _ = lay(own, room=room, window_room=window_room, max_spans=max_spans)
    whole, whole_window, _ = lay(own)
    assert len(spans) == min(max_spans, len(whole))
    for (kind, text, _), (whole_kind, whole_text, _) in zip(spans, whole, strict=False):
        assert kind == whole_kind
        assert whole_text.startswith(text)
    if max_spans > len(whole):
        assert window == whole_window[:window_room]
