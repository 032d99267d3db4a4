"""Packets: where they begin and end, what is in them, what is refused."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import ProtocolError
from mtspam.serve.milter import codec
from tests.serve.milter.conftest import packet, split, texts


def packets_of(*chunks):
    reader = codec.PacketReader()
    found = []
    for chunk in chunks:
        reader.feed(chunk)
        while (one := reader.next()) is not None:
            found.append(one)
    return found


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=99))), st.data())
def test_packets_come_back_wherever_the_stream_was_split(sent, data):
    stream = b"".join(packet(*one) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=9)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert packets_of(*chunks) == sent


def test_a_packet_split_at_each_byte():
    stream = packet(b"H", b"name\0") + packet(b"Q")
    for cut in range(len(stream)):
        assert packets_of(stream[:cut], stream[cut:]) == [(b"H", b"name\0"), (b"Q", b"")]


def test_the_longest_body_packet_is_taken():
    body = bytes(65_535)
    assert packets_of(packet(b"B", body)) == [(b"B", body)]


@pytest.mark.parametrize("length", [0, 65_537, 0xFFFFFFFF])
def test_a_length_that_is_not_allowed_is_refused_before_the_data_comes(length):
    with pytest.raises(ProtocolError, match=str(length)):
        packets_of(struct.pack(">I", length))


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_refused(data):
    try:
        found = packets_of(data)
    except ProtocolError:
        return
    assert b"".join(packet(*one) for one in found) == data[: sum(5 + len(d) for _, d in found)]


@given(st.binary(max_size=60))
def test_any_data_of_a_packet_is_understood_or_refused(data):
    for decode in (
        codec.decode_connect,
        codec.decode_header,
        codec.decode_negotiate,
        codec.decode_texts,
    ):
        try:
            decode(data)
        except ProtocolError:
            continue
    assert all(isinstance(name, str) for name, _ in codec.decode_macros(data))


@pytest.mark.parametrize(
    ("data", "name", "address"),
    [
        (b"mx.example.net\x004\x09\xdd192.0.2.1\0", "mx.example.net", "192.0.2.1"),
        (b"mx.example.net\x006\0\x192001:db8::1\0", "mx.example.net", "2001:db8::1"),
        (b"mx.example.net\x006\0\x19IPv6:2001:db8::1\0", "mx.example.net", "2001:db8::1"),
        (b"localhost\0U", "localhost", None),
        (b"localhost\0L\0\0/run/socket\0", "localhost", None),
    ],
)
def test_who_connected(data, name, address):
    assert codec.decode_connect(data) == codec.Connect(name, address)


@pytest.mark.parametrize(
    "data", [b"", b"mx", b"mx\0", b"mx\x004\x09", b"mx\x004\x09\xdd192.0.2.1"]
)
def test_who_connected_cut_short(data):
    with pytest.raises(ProtocolError):
        codec.decode_connect(data)


def test_macros_with_and_without_braces():
    data = b"M" + texts(b"i", b"4Q", b"{i}", b"5Q", b"{auth_authen}", b"", b"alone")
    assert codec.decode_macros(data) == [
        ("i", "4Q"),
        ("i", "5Q"),
        ("auth_authen", ""),
        ("alone", ""),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("550 5.7.1 Message refused", b"550 5.7.1 Message refused"),
        ("451 4.7.1 100% %s busy", b"451 4.7.1 100%% %%s busy"),
        ("550 no enhanced code", b"550 5.7.1 no enhanced code"),
        ("550 4.7.1 of the other class", b"550 5.7.1 of the other class"),
        ("550", b"550 5.7.1 "),
        ("550 5.7.1 two\r\n250 lines", b"550 5.7.1 two??250 lines"),
        ("550 5.7.1 nought\0 and é", b"550 5.7.1 nought? and ?"),
        ("250 2.0.0 no refusal", b"451 4.3.0 250 2.0.0 no refusal"),
        ("", b"451 4.3.0 "),
    ],
)
def test_replies_of_our_own(text, line):
    assert split(codec.reply_code(text)) == [(b"y", line + b"\0")]


@given(st.text())
def test_any_text_makes_one_reply_of_one_line(text):
    ((command, data),) = split(codec.reply_code(text))
    assert command == b"y"
    assert data[:1] in b"45"
    assert data[4:5] == data[:1]
    assert data.endswith(b"\0")
    assert not set(data[:-1]) & set(b"\0\r\n")
    assert data.count(b"%") % 2 == 0


@given(st.text())
def test_any_field_is_one_packet_of_two_texts(text):
    ((_, data),) = split(codec.insert_header(1, "X-Name", text))
    assert data[:4] == b"\0\0\0\1"
    name, value, rest = data[4:].split(b"\0")
    assert (name, rest) == (b"X-Name", b"")
    assert not set(value) & set(b"\r\n")


def test_a_long_reason_for_quarantine_is_cut():
    ((_, data),) = split(codec.quarantine("r" * 200))
    assert data == b"r" * 100 + b"\0"
