import tracemalloc
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtspam.serve.spamd.codec import (
    MAX_HEADER_BYTES,
    MAX_HEADER_LINES,
    Command,
    Refusal,
    Request,
    RequestReader,
)

LIMIT = 2000
MESSAGE = b"Subject: lunch\r\n\r\nSee you at noon.\r\n"


def read(data, *, is_shut=True, limit=LIMIT, sizes=None):
    """Feed a request in pieces of the sizes given; what comes out of it, and None after that."""
    reader = RequestReader(limit)
    found = []
    at = 0
    for size in [*(sizes or []), len(data)]:
        found.append(reader.feed(data[at : at + size]))
        at += size
    if is_shut:
        found.append(reader.finish())
    found = [one for one in found if one is not None]
    assert len(found) <= 1
    assert reader.feed(b"PING SPAMC/1.5\r\n\r\n") is None or not found
    return found[0] if found else None


def request(command="CHECK", version="1.5", message=MESSAGE, **header):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in header.items()]
    head = f"{command} SPAMC/{version}\r\n" + "".join(f"{line}\r\n" for line in lines)
    return head.encode("latin-1") + b"\r\n" + message


def refusal(data, **options):
    found = read(data, **options)
    assert isinstance(found, Refusal)
    return found.code, found.text


@pytest.mark.parametrize("command", ["CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM", "TELL"])
def test_a_request_is_read_with_and_without_a_length(command):
    expected = Request(command=Command(command), version=1.5, message=MESSAGE, user="ana")
    assert read(request(command, User="ana")) == expected
    assert read(request(command, User="ana", Content_length=len(MESSAGE))) == expected


def test_with_a_length_nobody_waits_for_the_end_of_the_input():
    whole = request(Content_length=len(MESSAGE))
    assert read(whole, is_shut=False).message == MESSAGE
    assert read(whole[:-1], is_shut=False) is None
    assert read(request(), is_shut=False) is None


def test_what_follows_the_request_is_ignored():
    assert read(request(Content_length=len(MESSAGE)) * 2).message == MESSAGE


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.5", 1.5), ("1.10", 1.1), ("1.3x", 1.3), ("2", 2.0), ("1.", 1.0), ("abc", 0.0), ("", 0.0)],
)
def test_the_version_is_read_as_a_number(version, expected):
    assert read(request(version=version)).version == expected


@pytest.mark.parametrize("version", ["1.0", "abc", "", "-1", "0.9"])
def test_up_to_version_1_0_there_are_no_headers(version):
    message = b"User: ana\r\n\r\nhi\r\n"
    found = read(f"CHECK SPAMC/{version}\r\n".encode() + message)
    assert (found.message, found.user) == (message, None)


def test_a_command_is_found_anywhere_in_its_line_but_only_in_capitals():
    assert read(request("XCHECK")).command is Command.CHECK
    assert refusal(request("check")) == (76, "Bad header line: check SPAMC/1.5")
    assert refusal(b"GET / HTTP/1.0\r\n\r\n") == (76, "Bad header line: GET / HTTP/1.0")
    assert refusal(b"CHECK\r\n" + MESSAGE) == (76, "Bad header line: CHECK")


def test_what_is_shown_of_a_bad_line_is_short_and_printable():
    code, text = refusal(b"\x00\x1b[2J\xff" + b"x" * 5000 + b"\n")
    assert code == 76
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 300


@pytest.mark.parametrize("command", ["PING", "SKIP"])
@pytest.mark.parametrize("version", ["1.0", "1.2", "1.5"])
def test_ping_and_skip_need_no_more_than_their_line(command, version):
    line = f"{command} SPAMC/{version}\r\n".encode()
    assert read(line, is_shut=False).command is Command(command)
    assert read(line[:-2]).command is Command(command)


def test_names_of_headers_are_matched_by_case_and_unknown_ones_ignored():
    found = read(request(user="ana", content_Length="7", X_Foo="bar"))
    assert (found.user, found.message) == (None, MESSAGE)


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("ana", "ana"),
        ("  ana@example.org", "ana@example.org"),
        ("", None),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a: b", "a: b"),
    ],
)
def test_a_user_may_be_named_anything_printable(value, user):
    assert read(request(User=value)).user == user


def test_a_user_is_read_as_utf_8_or_byte_by_byte():
    assert read(b"CHECK SPAMC/1.5\r\nUser: \xc3\xa4\r\n\r\n").user == "ä"
    assert read(b"CHECK SPAMC/1.5\r\nUser: \xe4\r\n\r\n").user == "ä"


@pytest.mark.parametrize("control", ["\x00", "\x01", "\t", "\r", "\x1b"])
def test_a_user_with_control_characters_is_refused(control):
    text = "Bad header line: (User header contains control chars)"
    assert refusal(request(User=f"a{control}b")) == (76, text)


@pytest.mark.parametrize("value", ["abc", "-1", "", "1 ", "1.0", "0x10", "+1"])
def test_a_length_has_digits_alone(value):
    text = "Bad header line: (Content-Length contains non-numeric bytes)"
    assert refusal(request(Content_length=value)) == (76, text)


def mismatch(expected, got):
    text = f"(Content-Length mismatch: Expected {expected} bytes, got {got} bytes)"
    return 76, f"Bad header line: {text}"


def test_a_message_shorter_than_announced_is_refused():
    assert refusal(request(Content_length=99)) == mismatch(99, len(MESSAGE))


def test_a_message_longer_than_announced_is_noticed_at_the_end_of_the_line():
    first_line = len(b"Subject: lunch\r\n")
    assert refusal(request(Content_length=3)) == mismatch(3, first_line)
    assert read(request(Content_length=first_line)).message == b"Subject: lunch\r\n"
    endless = b"x" * 200_000
    assert refusal(request(message=endless, Content_length=3)) == mismatch(3, 3 + 65_536)


def test_a_message_that_ends_within_a_line_is_whole_once_the_client_has_shut_its_side():
    data = request(message=b"hi", Content_length=2)
    assert read(data).message == b"hi"
    reader = RequestReader(LIMIT)
    assert reader.feed(data) is None
    assert reader.awaits_line_end
    assert reader.finish().message == b"hi"
    assert not reader.awaits_line_end


def test_an_empty_message_is_a_message():
    assert read(request(message=b"", Content_length=0), is_shut=False).message == b""
    assert read(request(message=b"")).message == b""


def test_headers_end_in_crlf_but_the_command_may_end_in_lf():
    assert read(request().replace(b"\r\n", b"\n", 1)).message == MESSAGE
    text = "Bad header line: (header not in 'Name: value' format)"
    assert refusal(request(User="ana").replace(b"\r\n", b"\n")) == (76, text)
    assert refusal(b"CHECK SPAMC/1.5\r\nfoo\r\n\r\n") == (76, text)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "(closed before headers)"),
        (b"CHECK SPAMC/1.5\r\n", "(EOF during headers)"),
        (b"CHECK SPAMC/1.5\r\nUser: a", "(EOF during headers)"),
        (b"CHECK SPAMC/1.5\r\nUser: a\r\n", "(EOF during headers)"),
    ],
)
def test_an_end_before_the_message_is_refused(data, detail):
    assert refusal(data) == (76, f"Bad header line: {detail}")


def test_header_lines_are_counted():
    most = b"X-A: b\r\n" * MAX_HEADER_LINES
    head, tail = b"CHECK SPAMC/1.5\r\n", b"\r\n" + MESSAGE
    assert read(head + most + tail).message == MESSAGE
    text = "Bad header line: (too many headers)"
    assert refusal(head + most + b"X-A: b\r\n" + tail) == (76, text)


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEADER_BYTES + 1),
        b"CHECK SPAMC/1.5\r\nUser: " + b"x" * MAX_HEADER_BYTES,
        b"CHECK SPAMC/1.5\r\n" + (b"X: " + b"x" * 995 + b"\r\n") * 70,
    ],
)
def test_bytes_of_headers_are_counted(data):
    assert refusal(data, is_shut=False) == (76, "Bad header line: (headers too long)")


# Messages that are too long or packed.


def packed(message, **header):
    data = zlib.compress(message)
    return request(message=data, Compress="zlib", Content_length=len(data), **header)


def test_a_packed_message_is_inflated():
    assert read(packed(MESSAGE, User="ana")).message == MESSAGE


def test_packing_must_be_zlib_and_have_a_length():
    text = "Bad header line: (compression type not supported: lzma)"
    assert refusal(request(Compress="lzma", Content_length=len(MESSAGE))) == (76, text)
    text = "Service Unavailable: Compress requires Content-length header"
    assert refusal(request(Compress="zlib")) == (69, text)


@pytest.mark.parametrize("spoil", [lambda d: d[:-3], lambda d: b"no" + d[2:], lambda _: b"\n"])
def test_a_broken_stream_is_refused(spoil):
    data = spoil(zlib.compress(MESSAGE * 10))
    code, text = refusal(request(message=data, Compress="zlib", Content_length=len(data)))
    assert code == 69
    assert text.startswith("Service Unavailable: zlib")


def is_too_long(found):
    text = f"Service Unavailable: message of more than {LIMIT} bytes"
    return (found.code, found.text) == (69, text) and found.request.is_cut


@pytest.mark.parametrize(
    "data",
    [
        request(Content_length=LIMIT + 1, message=b""),
        request(Content_length="9" * 5000, message=b""),
        request(message=b"x" * (LIMIT + 1)),
        b"CHECK SPAMC/1.0\r\n" + b"x" * (LIMIT + 1),
        packed(b"x" * (LIMIT + 1)),
    ],
)
def test_a_message_that_is_too_long_is_refused_as_soon_as_that_is_known(data):
    assert is_too_long(read(data))
    if b"Compress" not in data:
        assert is_too_long(read(data, is_shut=False))


def test_the_refusal_says_what_was_asked():
    found = read(request("PROCESS", "1.3", Content_length=LIMIT + 1, User="ana"))
    assert found.request == Request(command=Command.PROCESS, version=1.3, user="ana", is_cut=True)


def test_a_message_of_just_the_limit_is_read():
    message = b"x" * (LIMIT - 1) + b"\n"
    assert read(request(message=message)).message == message
    assert read(packed(message)).message == message


def test_a_bomb_takes_no_more_memory_than_the_limit():
    bomb = packed(bytes(50_000_000))
    tracemalloc.start()
    found = read(bomb, limit=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.code == 69
    assert peak < 1_000_000


def test_a_message_that_comes_byte_by_byte_takes_no_more_memory_than_its_size():
    tracemalloc.start()
    reader = RequestReader(100_000)
    reader.feed(b"CHECK SPAMC/1.5\r\n\r\n")
    for _ in range(100_000):
        assert reader.feed(b"x") is None
    peak = tracemalloc.get_traced_memory()[1]
    found = reader.feed(b"x")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert found.code == 69
    assert peak < 300_000
    assert kept < 20_000


# TELL.


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("local", {"local"}),
        ("local, remote", {"local", "remote"}),
        ("Remote,LOCAL", {"local", "remote"}),
        ("nowhere", set()),
        ("", set()),
    ],
)
def test_where_to_tell_is_found_within_the_value(value, places):
    assert read(request("TELL", Set=value)).to_set == places
    assert read(request("TELL", Remove=value)).to_remove == places


@pytest.mark.parametrize(
    ("value", "expected"), [("spam", "spam"), ("SPAM", "spam"), (" Ham ", "ham"), ("foo", "foo")]
)
def test_the_class_is_read_without_regard_to_case(value, expected):
    assert read(request("TELL", Message_class=value)).message_class == expected


# Any bytes, cut anyhow.

lines = st.sampled_from(
    [
        b"CHECK SPAMC/1.5\r\n",
        b"PROCESS SPAMC/1.2\r\n",
        b"TELL SPAMC/1.5\n",
        b"REPORT SPAMC/1.0\r\n",
        b"PING SPAMC/1.5\r\n",
        b"User: ana\r\n",
        b"User: a\x01\r\n",
        b"Content-length: 0\r\n",
        b"Content-length: 17\r\n",
        b"Content-length: 40\r\n",
        b"Content-length: 2001\r\n",
        b"Compress: zlib\r\n",
        b"Set: local\r\n",
        b"\r\n",
        b"\n",
        b"X: y",
        zlib.compress(b"hi\n" * 9),
        MESSAGE,
        b"x" * 700,
    ]
)
requests = st.one_of(
    st.lists(st.one_of(lines, lines, st.binary(max_size=40)), max_size=12).map(b"".join),
    st.binary(max_size=300),
)


@given(data=requests, sizes=st.lists(st.integers(1, 50), max_size=60), is_shut=st.booleans())
@example(data=request(Content_length=3), sizes=[1] * 200, is_shut=False)
@example(data=packed(b"x" * 5000), sizes=[1] * 200, is_shut=True)
def test_however_the_bytes_are_cut_the_same_comes_out(data, sizes, is_shut):
    whole = read(data, is_shut=is_shut)
    assert read(data, is_shut=is_shut, sizes=sizes) == whole
    if is_shut:
        assert whole is not None
    if isinstance(whole, Request):
        assert len(whole.message) <= LIMIT
    elif whole is not None:
        assert whole.code in {69, 76}
        assert whole.text.isprintable()


@given(
    command=st.sampled_from(["CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM", "PROCESS", "HEADERS"]),
    user=st.text(st.characters(min_codepoint=33, exclude_categories=["C"]), min_size=1),
    message=st.binary(max_size=LIMIT),
    is_packed=st.booleans(),
)
def test_what_is_written_is_read(command, user, message, is_packed):
    body = zlib.compress(message) if is_packed else message
    head = [f"{command} SPAMC/1.5", f"User: {user}", f"Content-length: {len(body)}"]
    head += ["Compress: zlib"] * is_packed
    found = read("\r\n".join([*head, "\r\n"]).encode() + body)
    assert (found.command, found.user, found.message) == (Command(command), user, message)
