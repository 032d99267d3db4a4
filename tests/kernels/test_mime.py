import email
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels import mime
from tests.reference import mime as twin

KINDS = ["plain", "html", "text", "multipart", "message", "other"]
ENCODINGS = ["none", "base64", "quoted", "uu"]
PIECES = [
    b"\n", b"\r\n", b"\r", b"--b", b"--bc", b"--b--", b"--bc--", b"--b \n", b"--\n", b" fold\n",
    b"\t", b"From x\n", b"From: a@b.c\n", b"Subject: x\n", b"no field\n", b": x\n", b">From y\n",
    b"Content-Type: multipart/mixed; boundary=b\n", b'content-type: MULTIPART/x; boundary="bc"\n',
    b"Content-Type: message/rfc822\n", b"Content-Type: text/html;charset=koi8-r\n",
    b"Content-Type: message/delivery-status\n", b"Content-Type: text\n", b"Content-Type:\n",
    b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: binary\n",
    b"Content-Transfer-Encoding: Quoted-Printable\n", b"Content-Transfer-Encoding: x-uuencode\n",
    b'Content-Disposition: attachment; filename="a;b\\"c.txt"; x\n', b"X: y\n z\n", b"text\n",
    b"Content-Type: multipart/y; boundary*0=b; boundary*1=c\n", b"\x00", b"X-A-B-c : d\n",
    b"Content-Type: application/pdf; name = x.pdf ;charset='q\n", b";", b"=", b'"', b"\n\n",
]  # fmt: skip
messages = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=25).map(b"".join),
)


def run(raw, *, max_fields=1000, max_parts=1000, max_header=10**6, max_depth=16):
    fields = np.full((max_fields, mime.FIELD_COLUMNS), -7, np.int64)
    parts = np.full((max_parts, mime.PART_COLUMNS), -7, np.int32)
    data = np.frombuffer(raw, np.uint8)
    limits = np.array([max_header, max_depth], np.int64)
    n_fields, n_parts, defects = mime.split(data, len(raw), fields, parts, limits)
    assert (fields[n_fields:] == -7).all()
    assert (parts[n_parts:] == -7).all()
    return fields[:n_fields].tolist(), parts[:n_parts].tolist(), names_of(defects)


def names_of(defects):
    return {name for bit, name in enumerate(twin.DEFECTS) if defects >> bit & 1}


def readable(raw, **limits):
    """What the kernel found, in the form that the twin has."""
    fields, parts, defects = run(raw, **limits)
    shown = [
        (f[mime.F_PART], raw[f[mime.F_NAME] : f[mime.F_NAME_END]].lower(),
         raw[f[mime.F_VALUE] : f[mime.F_VALUE_END]])
        for f in fields
    ]  # fmt: skip
    return shown, [describe(raw, part) for part in parts], defects


def describe(raw, part):
    kind = KINDS[part[mime.P_TYPE]]
    body = raw[part[mime.P_BODY] : part[mime.P_BODY_END]]
    return (
        part[mime.P_DEPTH],
        part[mime.P_PARENT],
        kind,
        ENCODINGS[part[mime.P_ENCODING]],
        raw[part[mime.P_CHARSET] : part[mime.P_CHARSET_END]],
        raw[part[mime.P_FILE] : part[mime.P_FILE_END]],
        body if kind not in {"multipart", "message"} else None,
    )


def from_twin(raw, **limits):
    fields, parts, defects = twin.split(raw, **limits)
    return fields, [
        (part.depth, part.parent, part.kind, part.encoding, part.charset, part.file,
         raw[part.start : part.end] if part.kind not in {"multipart", "message"} else None)
        for part in parts
    ], defects  # fmt: skip


NESTED = b"""\
From someone Mon Jan 1 00:00:00 2024
Subject: a
 b
Content-Type: multipart/mixed; boundary="out"

preamble
--out
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PGI+
--out
Content-Type: message/rfc822

Subject: inner

inner text
--out--
epilogue
"""


def test_a_case_by_hand():
    fields, parts, defects = readable(NESTED)
    assert fields == [
        (0, b"subject", b" a\n b"),
        (0, b"content-type", b' multipart/mixed; boundary="out"'),
        (1, b"content-type", b" text/html; charset=utf-8"),
        (1, b"content-transfer-encoding", b" base64"),
        (2, b"content-type", b" message/rfc822"),
        (3, b"subject", b" inner"),
    ]
    assert parts == [
        (0, -1, "multipart", "none", b"", b"", None),
        (1, 0, "html", "base64", b"utf-8", b"", b"PGI+"),
        (1, 0, "message", "none", b"", b"", None),
        (2, 2, "plain", "none", b"", b"", b"inner text"),
    ]
    assert defects == set()


@given(messages)
def test_it_equals_its_twin(raw):
    assert readable(raw) == from_twin(raw)


@given(messages, st.integers(1, 3), st.integers(0, 4), st.integers(0, 60), st.integers(1, 3))
def test_it_equals_its_twin_within_limits(raw, max_parts, max_fields, max_header, max_depth):
    limits = {
        "max_parts": max_parts,
        "max_fields": max_fields,
        "max_header": max_header,
        "max_depth": max_depth,
    }
    assert readable(raw, **limits) == from_twin(raw, **limits)


@given(messages)
def test_ranges_lie_within_the_message_and_in_order(raw):
    fields, parts, _ = run(raw)
    for field in fields:
        assert 0 <= field[mime.F_NAME] < field[mime.F_NAME_END] < field[mime.F_VALUE]
        assert field[mime.F_VALUE] <= field[mime.F_VALUE_END] <= len(raw)
    for number, part in enumerate(parts):
        assert 0 <= part[mime.P_BODY] <= part[mime.P_BODY_END] <= len(raw)
        assert part[mime.P_PARENT] < number
    starts = [part[mime.P_BODY] for part in parts]
    assert starts == sorted(starts)


texts = st.text(string.ascii_letters + " .,-=\n", max_size=60).filter(
    lambda text: "--" not in text and "\r" not in text
)


@st.composite
def well_formed(draw, depth=0, number=None):
    """A message with unique boundaries, as text with \\n line ends."""
    number = number if number is not None else iter(range(1000))
    kind = draw(st.sampled_from(["plain", "html", "mixed", "rfc822"] if depth < 3 else ["plain"]))
    header = f"X-Depth: {depth}\n"
    if kind in {"plain", "html"}:
        return f"{header}Content-Type: text/{kind}\n\n{draw(texts)}"
    if kind == "rfc822":
        inner = draw(well_formed(depth + 1, number))
        return f"{header}Content-Type: message/rfc822\n\n{inner}"
    boundary = f"={next(number)}="
    inner = [draw(well_formed(depth + 1, number)) for _ in range(draw(st.integers(1, 3)))]
    body = "".join(f"--{boundary}\n{part}\n" for part in inner)
    head = f'{header}Content-Type: multipart/mixed;\n boundary="{boundary}"\n\n'
    return f"{head}preamble\n{body}--{boundary}--\nepilogue"


@given(well_formed(), st.booleans())
def test_it_agrees_with_the_standard_library_on_well_formed_mail(text, has_crlf):
    raw = text.replace("\n", "\r\n" if has_crlf else "\n").encode()
    _, parts, defects = readable(raw)
    walked = list(email.message_from_bytes(raw).walk())
    assert len(parts) == len(walked)
    assert [part[6] for part in parts if part[6] is not None] == [
        part.get_payload().encode() for part in walked if not part.is_multipart()
    ]
    assert defects == set()


@pytest.mark.parametrize(
    ("line", "delimits"),
    [
        (b"--b", True),
        (b"--b  ", True),
        (b"--b\r", True),
        (b"--bx", True),  # RFC 2046 compares the beginning only
        (b"-- b", False),
        (b" --b", False),
        (b"--", False),
        (b"--B", False),
    ],
)
def test_what_counts_as_a_delimiter(line, delimits):
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + line + b"\n\ntext\n--b--\n"
    assert len(run(raw)[1]) == (2 if delimits else 1)


@pytest.mark.parametrize("tail", [b"", b" ", b"\t\r"])
def test_the_boundary_that_fills_the_line_counts_where_one_begins_another(tail):
    raw = (
        b"Content-Type: multipart/mixed; boundary=bc\n\n--bc\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bc"
        + tail
        + b"\n\ntwo\n--bc--\n"
    )
    assert [part[:2] for part in readable(raw)[1]] == [(0, -1), (1, 0), (2, 1), (1, 0)]


@pytest.mark.parametrize(
    ("n", "limits", "defect"),
    [(3, {"max_parts": 4}, "parts"), (3, {"max_fields": 1}, "fields"), (3, {}, None)],
)
def test_at_a_limit_there_is_no_defect_and_above_there_is(n, limits, defect):
    def message(n):
        parts = b"--b\n\ntext\n" * n
        return b"Content-Type: multipart/mixed; boundary=b\n\n" + parts + b"--b--\n"

    assert readable(message(n), **limits)[2] == set()
    above = message(n + 1) if "max_fields" not in limits else b"A: b\n" + message(n)
    assert readable(above, **limits)[2] == ({defect} if defect else set())


def test_the_depth_limit():
    def message(n):
        opened = b"".join(
            b"Content-Type: multipart/x; boundary=%d\n\n--%d\n" % (i, i) for i in range(n)
        )
        return opened + b"\nhi\n" + b"".join(b"--%d--\n" % i for i in reversed(range(n)))

    assert readable(message(4), max_depth=4)[2] == set()
    _, parts, defects = readable(message(5), max_depth=4)
    assert defects == {"depth"}
    assert parts[-1][2] == "text"
    assert b"hi" in parts[-1][6]


def test_the_hash_is_fnv_1a():
    # Vectors of the reference code by Fowler, Noll and Vo.
    assert mime.fnv64(b"") & (1 << 64) - 1 == 0xCBF29CE484222325
    assert mime.fnv64(b"a") & (1 << 64) - 1 == 0xAF63DC4C8601EC8C
    assert mime.fnv64(b"FooBar") & (1 << 64) - 1 == 0x85944171F73967E8
