import pytest

from mtspam.spam.keys import canonical_address, group_key, message_digest, user_key
from tests.spam.conftest import SECRET

RAW = b"Subject: a\nTo: b@example.org\n\nBody\n\nX-MTSpam-Score: said in the text\n"


@pytest.mark.parametrize(
    "name", ["ana@example.org", "Ana@Example.ORG", " ana+lists@example.org\n", "ana@example.org."]
)
def test_one_user_by_many_names(name):
    assert canonical_address(name) == "ana@example.org"
    assert user_key(name, SECRET) == user_key("ana@example.org", SECRET)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("+tag@example.org", "+tag@example.org"),
        ("Ana+Tag", "ana+tag"),
        ("STRASSE@x", "strasse@x"),
        ("straße@x", "strasse@x"),
        ('"a@b"@x', '"a@b"@x'),
        ("  ", ""),
    ],
)
def test_canonical_addresses(name, canonical):
    assert canonical_address(name) == canonical


def test_keys_depend_on_secret_and_purpose():
    keys = {
        user_key("ana", SECRET),
        user_key("ana", bytes(32)),
        group_key("ana", SECRET),
        message_digest(b"ana", SECRET),
    }
    assert len(keys) == 4
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize("name", [None, "", " "])
def test_nobody_has_no_key(name):
    assert user_key(name, SECRET) == group_key(name, SECRET) == b""


def test_names_that_are_no_text():
    assert len(user_key("\udc80@x", SECRET)) == 16
    assert group_key("Org ", SECRET) == group_key("oRG", SECRET)


@pytest.mark.parametrize(
    "changed",
    [
        RAW.replace(b"\n", b"\r\n"),
        b"X-MTSpam-Status: spam\n" + RAW,
        RAW.replace(b"To:", b"x-mtspam-score: 3\n\tand more\nTo:"),
        RAW.replace(b"\n\n", b"\nX-MTSPAM-Id: 12\n\n", 1),
        b"X-MTSpam-Status: spam\r\n" + RAW.replace(b"\n", b"\r\n"),
    ],
)
def test_own_fields_and_line_ends_do_not_make_another_message(changed):
    assert message_digest(changed, SECRET) == message_digest(RAW, SECRET)


@pytest.mark.parametrize(
    "changed",
    [
        RAW + b" ",
        RAW.replace(b"X-MTSpam-Score", b"X-MTSpam-Other"),  # in the text it is no field
        b"X-Other-Status: spam\n" + RAW,
        RAW.replace(b"Subject: a", b"Subject: A"),
    ],
)
def test_anything_else_makes_another_message(changed):
    assert message_digest(changed, SECRET) != message_digest(RAW, SECRET)


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"X-MTSpam-Id: 1", b"\r\n\r\n\0", b"a\n\n\n"])
def test_odd_messages_have_digests(raw):
    assert len(message_digest(raw, SECRET)) == 16


def test_a_header_without_a_body():
    assert message_digest(b"A: b\nX-MTSpam-Id: 1\n", SECRET) == message_digest(b"A: b\n", SECRET)
