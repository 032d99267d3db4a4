import codecs
import email.header
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.mail import charsets
from mtspam.mail.charsets import find_charset
from mtspam.mail.words import MAX_WORDS, decode_words


@pytest.mark.parametrize("codec", [*charsets.ONE_BYTE, *charsets.MANY_BYTES])
@given(data=st.binary(max_size=30))
def test_every_charset_reads_any_bytes(codec, data):
    charset = find_charset(codec.encode())
    assert charset is not None
    data.decode(charset.codec, "replace").encode("utf-8", "replace")


@pytest.mark.parametrize("name", charsets.ALIASES)
def test_every_alias_names_a_charset_that_is_allowed(name):
    charset = find_charset(name.upper().encode())
    assert charset is not None
    assert codecs.lookup(charset.codec)


@pytest.mark.parametrize(
    "name",
    [b"", b"utf-8", b"UTF8", b"punycode", b"idna", b"unicode_escape", b"undefined", b"rot13",
     b"zlib", b"x-unknown", b"\xff\x00", b"cp65001", b"mbcs"],
)  # fmt: skip
def test_other_names_are_read_as_utf_8(name):
    assert find_charset(name) is None


def test_ascii_supersets_are_those_that_leave_ascii_alone():
    printable = string.printable.encode()
    for codec in [*charsets.ONE_BYTE, *charsets.MANY_BYTES]:
        charset = find_charset(codec.encode())
        if charset.is_ascii_superset:
            # Two characters of Japanese and Korean charsets look like a yen and a won.
            read = printable.decode(charset.codec, "replace")
            assert sum(a != b for a, b in zip(read, string.printable, strict=True)) <= 2


def test_strangers_cannot_fill_the_memory_of_names():
    for number in range(2000):
        find_charset(b"x-%d" % number)
    assert find_charset.cache_info().currsize <= 256


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?a_b=3F?=", "a b?"),
        (b"=?UTF-8?B?w6k=?=", "é"),
        (b"=?utf-8?b?w6k?=", "é"),  # without its padding
        (b"=?utf-8?b?w6?= =?utf-8?b?k=?= x", "\ufffd =?utf-8?b?k=?= x"),
        (b"=?utf-8?q?=C3?=\r\n =?utf-8?q?=A9?=", "é"),
        (b"=?utf-8?q?a?= =?koi8-r?q?=C1?=", "aа"),
        (b"=?utf-8*en?q?a?=b", "ab"),
        (b"a =?nonsense", "a =?nonsense"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?x-unknown?q?=41?=", "A"),
        (b"=?a?q?", "=?a?q?"),
        (b"=?=?utf-8?q?a?=", "=?a"),
        (b"", ""),
    ],
)
def test_encoded_words(value, expected):
    assert decode_words(value).decode("utf-8", "replace") == expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), max_size=30))
def test_what_the_standard_library_encodes_is_read(text):
    encoded = email.header.Header(text, "utf-8").encode().replace("\n", "\r\n")
    assert decode_words(encoded.encode()).decode() == text


@given(
    st.lists(
        st.sampled_from([b"=?", b"?=", b"?", b"q", b"b", b"utf-8", b"=", b"A", b" ", b"\xff"])
    )
)
def test_any_bytes_are_read(pieces):
    value = b"".join(pieces)
    assert len(decode_words(value)) <= 3 * len(value)


def test_words_beyond_the_limit_stay_as_they_are():
    value = b"=?utf-8?q?a?= " * (MAX_WORDS + 1)
    assert decode_words(value).count(b"=?utf-8") == 1
