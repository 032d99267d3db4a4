import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels import decode, distinct, fieldtokens, headers, html, links, mime, texttokens
from mtspam.mail.letters import fold_table
from tests.reference import tokens as twin

FOLD = fold_table()
FIELD = 0x1234567890ABCDEF
KERNELS = [decode, distinct, fieldtokens, headers, html, links, mime, texttokens]

PIECES = [
    "a", "Buy", "now", "9", "12345", "$5", " ", ". ", "-", "://", "http", "HTTPS://", "www",
    "www.",
    "http://",
    "ftp://u@", "example.com", "co.uk", "/path?x=", "@", ":", "%", "#", "1.2.3.4", "..",
    "\u200b", "\u00ad", "п", "а", "é", "İ", "ß", "中", "文", "\U0001f4b0", "\U0001d400",
    "Ａ", "，",
    "\ufe0f",
    "x" * 24, "y" * 25, "한", "あ", "\u0301", "\n", "\x00", "½", "①", "mailto:", "_",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=25).map(
    lambda pieces: "".join(pieces).encode("utf-8", "ignore").decode()
)
FIELD_PIECES = [
    b"a", b"Ab", b"@", b"<", b">", b",", b" ", b'"', b":", b".", b"-", b"/", b";", b"example.com",
    b"x.co.uk", b"1.2.3.4", b"[10.0.0.1]", b"\xe9", b"(", b"_", b"9", b"w" * 41, b"from ", b"..",
]  # fmt: skip
values = st.lists(
    st.one_of(st.sampled_from(FIELD_PIECES), st.binary(max_size=2)), max_size=30
).map(b"".join)


def unpack(found, n):
    out = []
    for base, packed in found[:n].tolist():
        kind, place = chr(packed >> 54 & 255), packed & (1 << 54) - 1
        out.append((base, packed >> 62, kind, place >> 27, place & (1 << 27) - 1))
    return out


def read_text(text, kind, room=5000, skip=0):
    """Tokens of one span, which begins behind `skip` bytes that are not its business."""
    raw = np.frombuffer(b"@" * skip + text + b"www.x", np.uint8)
    spans = np.array([[-1, 0, 3, 0], [kind, skip, skip + len(text), 0]], np.int32)
    found = np.full((room + 1, 2), 7, np.uint64)
    n = texttokens.read_text(raw, spans, 2, FOLD, found[:room], 0)
    assert n <= room
    assert (found[n:] == 7).all()
    return [(b, v, k, s - skip, e - skip) for b, v, k, s, e in unpack(found, n)]


def read_field(value, kind, part=0):
    raw = np.frombuffer(value + b"@x", np.uint8)
    spans = np.array([[headers.SPAN_TEXT, 0, 1, 0], [kind, 0, len(value), 1]], np.int32)
    fields = np.zeros((2, mime.FIELD_COLUMNS), np.int64)
    fields[1, mime.F_PART] = part
    fields[1, mime.F_NAME_HASH] = FIELD
    found = np.full((5000, 2), 7, np.uint64)
    return unpack(found, fieldtokens.read_fields(raw, spans, 2, fields, found))


def shown(text, kind):
    raw = text.encode()
    return [(k, raw[s:e].decode()) for _, _, k, s, e in read_text(raw, kind)]


def test_text_by_hand():
    assert shown("Buy ch\u0435ap 12345 now, http://u@x.example.com/a", headers.SPAN_TEXT) == [
        ("w", "Buy"), ("w", "ch\u0435ap"), ("x", "ch\u0435ap"), ("p", "Buy ch\u0435ap"),
        ("N", "12345"), ("p", "ch\u0435ap 12345"), ("w", "now"), ("p", "12345 now"), ("@", "u@"),
        ("u", "x.example.com"), ("d", "example.com"), ("d", "example.com"), ("l", "com"),
        ("w", "a"),
    ]  # fmt: skip
    assert shown("中文 a", headers.SPAN_HIDDEN) == [
        ("c", "中"),
        ("c", "文"),
        ("C", "中文"),
        ("h", "a"),
    ]
    assert shown("Re: 3 cats", headers.SPAN_SUBJECT)[-1] == ("S", "Re: 3 cats")
    assert shown("a b ", headers.SPAN_TAGS) == [("<", "a"), ("<", "b")]
    assert shown("run.me.EXE", headers.SPAN_FILE)[0] == (".", "EXE")
    assert [kind for kind, _ in shown("cid:x", headers.SPAN_IMAGE)] == ["I", ":", "/"]
    assert shown("1.2.3.4", headers.SPAN_URL)[0] == ("#", "1.2.3.4")


def test_fields_by_hand():
    value = b'"A b" <joe@mail.example.com>'
    found = read_field(value, headers.SPAN_FROM)
    assert [(view, kind, value[s:e]) for _, view, kind, s, e in found] == [
        (0, "H", value),
        (0, "a", b"joe@mail.example.com"), (0, "A", b"example.com"),
        (2, "a", b"joe@mail.example.com"), (2, "A", b"example.com"),
        (0, "f", b"A"), (0, "f", b"b"), (0, "f", b"joe"), (0, "f", b"mail.example.com"),
    ]  # fmt: skip
    value = b"from mx.a.co.uk ([10.1.2.3]); Mon. a.b"
    found = read_field(value, headers.SPAN_RECEIVED, 1)
    assert [(kind, value[s:e]) for _, _, kind, s, e in found] == [
        ("r", b"mx.a.co.uk"), ("R", b"a.co.uk"), ("4", b"10.1.2"), ("4", b"10.1"),
    ]  # fmt: skip
    value = b"Mon, 1 Jan 2024 10:00:00 -0800 (PST)"
    assert [value[s:e] for *_, s, e in read_field(value, headers.SPAN_DATE, 1)] == [b"-0800"]
    value = b"<1@h.example>"
    assert [value[s:e] for *_, s, e in read_field(value, headers.SPAN_ID, 1)] == [b"h.example"]
    assert read_field(b"anything", headers.SPAN_NAME, 1) == []


def test_the_name_of_an_address_is_cut_where_it_is_long():
    found = read_field(b"x" * 100 + b"@y.example", headers.SPAN_ADDRESS, 1)
    assert [end - start for *_, kind, start, end in found if kind == "a"] == [64 + 10, 64 + 10]


@given(texts, st.integers(0, 3))
def test_running_text_equals_its_twin(text, skip):
    got = read_text(text.encode(), headers.SPAN_TEXT, skip=skip)
    assert got == twin.running(text, FOLD, "w", "p")


@given(texts)
def test_hidden_text_equals_its_twin(text):
    assert read_text(text.encode(), headers.SPAN_HIDDEN) == twin.running(text, FOLD, "h", "")


@given(values)
def test_addresses_of_links_equal_their_twin(value):
    got = read_text(value, headers.SPAN_URL)
    more, at = twin.url(value, 0, len(value))
    assert got[: len(more)] == more
    assert all(start >= at for *_, start, _ in got[len(more) :])


@given(values)
def test_fields_equal_their_twins(value):
    words, addresses = twin.words(value, FIELD), twin.addresses(value, FIELD)
    presence = [twin.token(0, "H", FIELD, 0, len(value))]
    whole = twin.fnv(value.lower(), twin.OFFSET ^ FIELD)
    lists = [twin.token(view, "i", whole, 0, len(value)) for view in (0, 2)]
    assert read_field(value, headers.SPAN_WORDS) == presence + words
    assert read_field(value, headers.SPAN_FROM) == presence + addresses + words
    assert read_field(value, headers.SPAN_ADDRESS) == presence + addresses
    assert read_field(value, headers.SPAN_LIST) == presence + lists + words
    assert read_field(value, headers.SPAN_CONTENT, part=1) == words
    assert read_field(value, headers.SPAN_RECIPIENTS, 1) == twin.recipients(value, FIELD)
    assert read_field(value, headers.SPAN_RECEIVED, 1) == twin.received(value)


@given(st.binary(max_size=60), st.sampled_from(range(headers.SPAN_KINDS)), st.integers(0, 6))
def test_any_bytes_give_places_within_the_span(data, kind, room):
    some = read_text(data, kind, room=room)
    assert read_text(data, kind)[:room] == some
    for _, view, _, start, end in [*some, *read_field(data, kind)]:
        assert 0 <= start <= end <= len(data)
        assert view in range(3)


@given(texts)
def test_case_accents_and_invisible_letters_do_not_change_words(text):
    def words(text):
        return [
            base
            for base, _, kind, *_ in read_text(text.encode(), headers.SPAN_TEXT)
            if kind == "w"
        ]

    plain = "".join(c for c in text if c.isascii() and (c.isalpha() or c == " "))
    assert words(plain.upper()) == words(plain)
    assert words(plain.replace("e", "\u00e9")) == words(plain)
    assert words(plain.replace("a", "\u0430")) == words(plain)
    assert words("\u200b".join(plain)) == words(plain) or "www" in plain.lower()


def test_constants_of_the_kernels_are_equal():
    prefixes = (
        "SPAN_",
        "F_",
        "P_",
        "VIEW_",
        "CLASS_",
        "ENCODING_",
        "FNV_",
        "MIX_",
        "KIND_",
        "START_",
    )
    known = {}
    for module in KERNELS:
        for name, value in vars(module).items():
            if name.startswith(prefixes):
                assert known.setdefault(name, value) == value, (module, name)
    assert len(known) > 50


@pytest.mark.parametrize("name", ["_emit", "_hash", "_site", "_is_host_byte"])
def test_kernels_repeated_in_two_files_are_the_same(name):
    kernels = [getattr(module, name) for module in (fieldtokens, texttokens)]
    sources = {inspect.getsource(getattr(one, "py_func", one)) for one in kernels}
    assert len(sources) == 1
