import email

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.serve.fields import (
    ascii_value,
    field_values,
    is_forged,
    message_id_in,
    with_fields,
    without_forged,
)

ID = "0123456789abcdef0123456789abcdef"
OURS = [("X-Mtspam-Id", ID), ("X-Spam-Flag", "YES")]


@pytest.mark.parametrize(
    "name", ["X-Mtspam-Id", "x-mtspam-why", "X-SPAM-Flag", "X-Spam-Status", "X-Spam", "X-Spam "]
)
def test_names_that_only_we_may_use(name):
    assert is_forged(name)


@pytest.mark.parametrize("name", ["Subject", "X-Spammer", "X-Mtspam", "XX-Spam-Flag", "", "X-Sp"])
def test_names_that_all_may_use(name):
    assert not is_forged(name)


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (b"A: b\nX-Spam-Flag: NO\nC: d\n\ne", b"A: b\nC: d\n\ne"),
        (b"A: b\r\nX-Mtspam-Id: 1\r\n\r\ne", b"A: b\r\n\r\ne"),
        (b"X-Spam-Status: Yes,\n\tscore=9\n  tests=A\nC: d\n\ne", b"C: d\n\ne"),
        (b"x-spam : yes\nC: d\n\ne", b"C: d\n\ne"),
        (b"A: b\n\nX-Spam-Flag: NO\n", b"A: b\n\nX-Spam-Flag: NO\n"),
        (b"\nX-Spam-Flag: NO\n\n", b"\nX-Spam-Flag: NO\n\n"),
        (b"A: b\nX-Spam-Flag: NO", b"A: b\n"),
        (b"A: b\n X-Spam-Flag: NO\n\ne", b"A: b\n X-Spam-Flag: NO\n\ne"),
        (b"A: b\rX-Spam-Flag: NO\nC: d\n\ne", b"A: b\nC: d\n\ne"),
        (b"X-Spam-Flag NO\n\n", b"X-Spam-Flag NO\n\n"),
        (b"", b""),
    ],
)
def test_forged_fields_go_and_all_else_stays(raw, plain):
    assert without_forged(raw) == plain


def test_fields_take_the_line_ends_of_the_message():
    lines = b"X-Mtspam-Id: " + ID.encode() + b"\nX-Spam-Flag: YES\n"
    assert with_fields(b"A: b\n\nc\n", OURS) == lines + b"A: b\n\nc\n"
    crlf = lines.replace(b"\n", b"\r\n")
    assert with_fields(b"A: b\r\n\r\nc\r\n", OURS) == crlf + b"A: b\r\n\r\nc\r\n"


def test_the_line_of_a_mailbox_stays_first():
    raw = b"From ana@example.org Mon Jan  6 10:00:00 2025\nA: b\n\nc\n"
    first, rest = raw.split(b"\n", 1)
    assert with_fields(raw, OURS[:1]) == first + b"\nX-Mtspam-Id: " + ID.encode() + b"\n" + rest


@pytest.mark.parametrize("raw", [b"From ", b"From x", b"From x\ry\nA: b\n\nc", b">From x\nA: b"])
def test_what_only_begins_like_a_mailbox_stays_behind(raw):
    assert email.message_from_bytes(with_fields(raw, OURS))["X-Mtspam-Id"] == ID


def test_text_without_a_header_becomes_a_body():
    made = email.message_from_bytes(with_fields(b"hello", OURS))
    assert (made["X-Spam-Flag"], made.get_payload()) == ("YES", "hello")


@pytest.mark.parametrize("start", [b" ", b"\t", b"  \n "])
def test_a_line_that_continues_nothing_gets_into_no_field_of_ours(start):
    raw = start + b"yes\nSubject: a\n\nb"
    made = email.message_from_bytes(with_fields(raw, OURS))
    assert [made[name] for name in ("X-Mtspam-Id", "X-Spam-Flag")] == [ID, "YES"]
    assert (made["Subject"], made.get_payload()) == ("a", "b")


def test_values_stay_in_their_line():
    raw = with_fields(b"A: b\n\nc", [("X-Mtspam-Why", "a\r\nBcc: x\x00é\u2028")])
    assert raw == b"X-Mtspam-Why: a??Bcc: x???\nA: b\n\nc"


@given(st.binary(max_size=300))
def test_a_message_comes_back_whole_behind_the_fields(raw):
    plain = without_forged(raw)
    made = with_fields(raw, OURS)
    assert made.replace(b"\r\n", b"\n").count(b"X-Spam-Flag: YES\n") >= 1
    if plain.startswith(b"From "):
        return
    assert made.endswith(plain)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"X-Spam-Flag", b"x-mtspam-id", b"Subject", b"X-Spam"]),
            st.sampled_from([b" a", b"", b" a\n b", b" a\r\n\tb", b" \x00\xff", b" a\rX-Spam: b"]),
        ),
        max_size=8,
    )
)
def test_no_forged_field_is_left_for_any_reader(fields):
    raw = b"".join(name + b":" + value + b"\n" for name, value in fields) + b"\nbody"
    left = email.message_from_bytes(without_forged(raw))
    assert not [name for name in left if is_forged(name)]
    assert left.get_payload() == "body"
    subjects = sum(name == b"Subject" for name, _ in fields)
    assert len(left.get_all("Subject", [])) == subjects


def test_fields_are_read_in_order_and_unfolded():
    raw = b"from: a\nTo: b\nFROM : c\r\n\t d\r\nfrom\n\nFrom: e"
    assert field_values(raw, ["from", "to"]) == [("from", "a"), ("to", "b"), ("from", "c d")]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (f"X-Mtspam-Id: {ID}\n\n", ID),
        (f"A: b\r\nx-mtspam-id:{ID}\r\n\r\n", ID),
        (f"X-Mtspam-Id: {ID[1:]}\nX-Mtspam-Id: {ID}\n\n", None),
        (f"X-Mtspam-Id: {ID.upper()}\n\n", None),
        (f"A: b\n\nX-Mtspam-Id: {ID}\n", None),
        ("", None),
    ],
)
def test_the_first_id_counts(raw, found):
    assert message_id_in(raw.encode()) == found


def test_what_is_not_utf8_can_be_read():
    assert field_values(b"Subject: \xff\xfe\n\n", ["subject"])[0][1] == "\udcff\udcfe"
    assert ascii_value("\udcff") == "?"
