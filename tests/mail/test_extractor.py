"""Any bytes give features, within fixed limits of time and memory."""

import base64
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hostile import ATTACKS, PIECES, html, mutated, nested, with_parts
from mtspam.config import MailSettings
from mtspam.mail.extractor import DEFECTS, MAX_SPANS, MAX_TOKENS, Extractor
from mtspam.mail.tokens import MAX_SHOWN, read_tokens
from mtspam.mail.views import N_VIEWS, View

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = [path.read_bytes() for path in sorted((ROOT / "tests/golden/mail").glob("*.eml"))]
HOSTILE = ROOT.parent / "shared" / "data" / "hostile"

EXTRACTOR = Extractor(MailSettings(), seed=1, public_seed=2)
SMALL = Extractor(
    MailSettings(
        max_message_bytes=1000,
        max_header_bytes=1000,
        max_text_bytes=1000,
        max_parts=3,
        max_depth=2,
        head_window_bytes=10,
        body_window_bytes=20,
    ),
    seed=3,
)
# The bytes that a message's structure is made of, as the fuzzer of stalwartlabs' parser uses them.
ALPHABET = b"\r\n\t :;=?-_.<>@/\\\"'(),%&#!*+0129abefmnqrstuxAB\x00\x80\xc3\xff"
any_bytes = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(ALPHABET), max_size=300).map(bytes),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=5)), max_size=40).map(b"".join),
)


def check(extractor, raw):
    """Read `raw` and hold the result to what every result must be."""
    extractor.read(raw)
    out = np.zeros(extractor.max_features, np.uint32)
    offsets = extractor.seal(out, 0)
    assert offsets[0] == 0
    assert offsets == sorted(offsets)
    assert len(offsets) == N_VIEWS + 1
    tokens = read_tokens(extractor)
    assert [token.feature for token in tokens] == out[: offsets[-1]].tolist()
    for token in tokens:
        assert len(token.text) <= MAX_SHOWN
        assert token.text.isprintable()
    return tokens


@given(any_bytes)
def test_any_bytes_give_features(raw):
    check(EXTRACTOR, raw)


@given(any_bytes)
def test_any_bytes_give_features_within_small_limits(raw):
    check(SMALL, raw)


@given(any_bytes)
def test_a_message_gives_the_same_whatever_was_read_before(raw):
    fresh = EXTRACTOR.example(GOLDEN[0])
    EXTRACTOR.read(raw)
    again = EXTRACTOR.example(GOLDEN[0])
    assert all(map(np.array_equal, fresh.views, again.views))


def test_mutated_messages_give_features():
    rng = random.Random(0)
    for _ in range(300):
        check(EXTRACTOR, mutated(rng.choice(GOLDEN), rng))
        check(SMALL, mutated(rng.choice(GOLDEN), rng))


@pytest.mark.corpus
def test_hostile_folders_give_features():
    if not HOSTILE.is_dir():
        pytest.skip("no ../shared/data/hostile beside the project")
    paths = [path for path in HOSTILE.rglob("*") if path.is_file()]
    assert len(paths) > 50
    for path in paths:
        check(EXTRACTOR, path.read_bytes())
        check(SMALL, path.read_bytes())


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"a", b"\x00", b"From ", b"From x", b":", b"Subject:", b"\r", b"\r\n\r\n", b"--",
     b"\n\nbody without a header", b"Subject: header without a body", b"\xff\xfe" * 9],
)  # fmt: skip
def test_the_smallest_messages(raw):
    check(EXTRACTOR, raw)


def test_line_ends_do_not_change_the_words():
    def words(raw):
        EXTRACTOR.read(raw)
        return [token[:3] for token in read_tokens(EXTRACTOR) if token.view > View.BODY]

    for raw in GOLDEN:
        plain = raw.replace(b"\r\n", b"\n")
        if b"\r" in plain or b"base64" in raw or b"utf-16" in raw:
            continue
        assert words(plain.replace(b"\n", b"\r\n")) == words(plain)


def test_many_messages_give_what_each_gives():
    block = EXTRACTOR.features(GOLDEN * 3)
    assert len(block) == 3 * len(GOLDEN)
    for row, raw in enumerate(GOLDEN * 3):
        example = EXTRACTOR.example(raw)
        for view in range(N_VIEWS):
            features = block.values[block.offsets[row, view] : block.offsets[row, view + 1]]
            assert np.array_equal(np.sort(features), example.views[view])
            assert len(np.unique(features)) >= len(features) - 1


def test_no_messages_give_an_empty_block():
    block = EXTRACTOR.features([])
    assert len(block) == 0
    assert block.values.size == 0


def test_seeds_decide_the_features_and_nothing_else():
    other = Extractor(MailSettings(), seed=2)
    EXTRACTOR.read(GOLDEN[0])
    other.read(GOLDEN[0])
    ours, public = read_tokens(EXTRACTOR), read_tokens(EXTRACTOR, public=True)
    theirs = read_tokens(other)
    assert [token[:3] for token in ours] == [token[:3] for token in theirs]
    assert not {token.feature for token in ours} & {token.feature for token in theirs}
    assert public == theirs


def test_our_own_fields_and_those_of_other_filters_change_nothing():
    raw = b"From: a@b.example\nSubject: x\n\ntext\n"
    marks = b"X-Mtspam-Verdict: spam\nX-Spam-Status: Yes\nX-Bogosity: Spam\nx-mtspam-a-b: c\n"
    plain = EXTRACTOR.example(raw)
    for forged in (marks + raw, raw.replace(b"Subject", marks + b"Subject")):
        marked = EXTRACTOR.example(forged)
        assert all(map(np.array_equal, plain.views, marked.views))


def defects_of(raw, **limits):
    extractor = Extractor(MailSettings(**limits), seed=1)
    extractor.read(raw)
    return {name for bit, name in DEFECTS.items() if extractor.defects & bit}


@pytest.mark.parametrize(
    ("make", "limit", "setting", "defect"),
    [
        (lambda n: (b"A: b\n\n" + b"x " * n)[:n], 1000, "max_message_bytes", "too-long"),
        (lambda n: b"A:" + b"x" * (n - 2) + b"\n\nb", 1000, "max_header_bytes", "too-many-fields"),
        (lambda n: b"A: b\n\n" + b"x" * n, 1000, "max_text_bytes", "too-much-text"),
        (
            lambda n: b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(b"x" * n),
            1000,
            "max_text_bytes",
            "too-much-text",
        ),
        (lambda n: with_parts(n - 1), 4, "max_parts", "too-many-parts"),
        (nested, 3, "max_depth", "too-deep"),
    ],
)
def test_at_a_limit_there_is_no_defect_and_one_above_there_is(make, limit, setting, defect):
    assert defects_of(make(limit), **{setting: limit}) == set()
    assert defects_of(make(limit + 1), **{setting: limit}) == {defect}


@pytest.mark.parametrize("view", [View.HEAD, View.BODY])
def test_windows_end_at_their_limit(view):
    name = f"{view.name.lower()}_window_bytes"

    def windows(n):
        raw = b"A: " + bytes(range(97, 123)) + b"\n\n" + bytes(range(97, 123))
        return len(Extractor(MailSettings(**{name: n}), seed=1).example(raw).views[view])

    whole = 30 if view == View.HEAD else 26  # bytes
    assert windows(whole) == windows(whole + 1) == whole - 3
    assert windows(whole - 1) == whole - 4


def test_spans_and_tokens_end_at_their_limit():
    hidden = b"".join(b"<i hidden>w%d</i>" % i for i in range(MAX_SPANS))
    assert "too-many-spans" in defects_of(html(hidden))
    assert "too-many-spans" not in defects_of(html(hidden[: len(hidden) // 2]))
    pairs = b" ".join(b"w%d" % (i % 5000) for i in range(9000))
    assert "too-many-tokens" in defects_of(b"\n" + pairs)
    EXTRACTOR.read(b"\n" + pairs)
    assert EXTRACTOR.counts[View.TEXT] == MAX_TOKENS


def test_a_long_header_does_not_hide_the_text():
    header = b"".join(b"X-%d: y\n" % i for i in range(3000)) + b"X: " + b"z" * 70_000 + b"\n"
    kinds = b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n"
    EXTRACTOR.read(header + kinds + base64.b64encode(b"<p>visible</p>"))
    assert "visible" in [token.text for token in read_tokens(EXTRACTOR)]


def test_an_encoded_subject_does_not_take_the_room_of_the_text():
    words = b" ".join(b"=?koi8-r?q?" + b"=C1" * 20 + b"?=" for _ in range(900))
    EXTRACTOR.read(b"Subject: " + words + b"\n\nvisible " + b"x" * 65_000)
    assert "visible" in [token.text for token in read_tokens(EXTRACTOR)]


def seconds(raw, repeats=3):
    """CPU seconds of the quickest of a few reads."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        EXTRACTOR.read(raw)
        best = min(best, time.process_time() - start)
    return best


DIMENSIONS = {
    "headers": lambda n: b"".join(b"X-%d: a@b.example\n" % i for i in range(n)) + b"\nx",
    "folded lines": lambda n: b"X: a\n" + b" b\n" * n + b"\nx",
    "blank folded lines": lambda n: b"X: a\n" + b" \n" * n + b"\nx",
    "parts": lambda n: with_parts(n),
    "nesting": lambda n: nested(n // 16),
    "messages": lambda n: b"Content-Type: message/rfc822\n\n" * n,
    "parameters": lambda n: b"Content-Type: text/plain" + b"; a=b" * n + b"\n\nx",
    "semicolons": lambda n: b"Content-Type: text/plain" + b";" * 5 * n + b"\n\nx",
    "encoded words": lambda n: b"Subject: " + b"=?utf-8?q?a?= " * n + b"\n\nx",
    "openings of encoded words": lambda n: b"Subject: " + b"=?a?q?" * n + b"\n\nx",
    "addresses": lambda n: b"To: " + b"a@b, " * n + b"\n\nx",
    "at signs": lambda n: b"From: " + b"@" * 5 * n + b"\n\nx",
    "parentheses": lambda n: b"To: " + b"(" * 5 * n + b"\n\nx",
    "hosts": lambda n: b"Received: from " + b"a.b " * n + b"\n\nx",
    "tags": lambda n: html(b"<b>x</b>" * n),
    "open tags": lambda n: html(b"<a " * n),
    "open quotes": lambda n: html(b'<a="' * n),
    "open comments": lambda n: html(b"<!--" * n),
    "open scripts": lambda n: html(b"<script><style>" * n),
    "nested elements": lambda n: html(b"<div>" * n),
    "nested hidden elements": lambda n: html(b"<div hidden>" * n),
    "blanks in styles": lambda n: html(b"<p style='" + b"d " * n + b"'>"),
    "declarations": lambda n: html(b"<![" * n),
    "references": lambda n: html(b"&eacute;&#x41;&" * n),
    "links": lambda n: html(b"<a href=http://a.b/c>d.e</a>" * n),
    "addresses in text": lambda n: b"\n" + b"http://a.b/c?http://" * n,
    "dots": lambda n: b"\nhttp://" + b"a." * n,
    "words": lambda n: b"\n" + b" ".join(b"w%d" % i for i in range(n)),
    "one long word": lambda n: b"\n" + b"x" * 5 * n,
    "invisible letters": lambda n: b"\n" + "\u200b".encode() * n,
    "combining letters": lambda n: b"\na" + "\u0301".encode() * n,
    "ideographs": lambda n: b"\n" + "中文".encode() * n,
    "soft breaks": lambda n: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"= " * n,
    "base64": lambda n: b"Content-Transfer-Encoding: base64\n\n" + b"=A" * n,
    "boundaries": lambda n: nested(16).replace(b"\nhi", b"\n--b\n" + b"--b1x\n" * n),
    "utf-7": lambda n: b"Content-Type: text/plain; charset=utf-7\n\n" + b"+AGE-" * n,
    "iso-2022-jp": lambda n: b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + b"\x1b$B" * n,
    "file names": lambda n: with_parts(n).replace(
        b"--b\n", b"--b\nContent-Type: a/b; name==?utf-8?q?x?=\n"
    ),
}


@pytest.mark.parametrize("name", DIMENSIONS)
def test_doubling_a_dimension_about_doubles_the_time(name):
    make = DIMENSIONS[name]
    small, large = make(2000), make(16_000)
    EXTRACTOR.read(small)
    # Eight times as much: linear gives 8 at most, quadratic 64; small times are mostly overhead.
    assert seconds(large) < 24 * max(seconds(small), 2e-4)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_stops_the_standard_library_takes_little_time(name):
    # Measured: 0.1 to 12 ms; the library needs up to 40 s or ends in an error for these.
    assert seconds(ATTACKS[name]) < 0.05
    check(EXTRACTOR, ATTACKS[name])
