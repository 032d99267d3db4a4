"""The bytes of LMTP: whatever pieces they come in, whatever is in them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import ProtocolError
from mtspam.serve.lmtp.codec import (
    MAX_LINE_BYTES,
    MAX_REPLY_LINES,
    Command,
    Content,
    LineReader,
    LongLine,
    Reply,
    ReplyReader,
    parse_path,
    stuffed,
    with_plain_line_ends,
)

HOSTILE = st.binary().map(lambda data: data.replace(b"a", b".").replace(b"b", b"\r\n"))
LINES = st.lists(st.sampled_from([b"", b".", b"..", b". ", b"a", b"\xff", b"MAIL FROM:<>"])).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


def read_content(data, cuts=(), limit=10_000):
    reader = LineReader()
    reader.expect_content(limit)
    events = []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        reader.feed(data[begin:end])
        while event := reader.next_event():
            events.append(event)
    return events, reader


class TestContent:
    @given(LINES | HOSTILE.map(with_plain_line_ends), st.lists(st.integers(0, 200), max_size=8))
    def test_what_is_stuffed_comes_back_whatever_the_pieces(self, raw, cuts):
        whole = raw if not raw or raw.endswith(b"\r\n") else raw + b"\r\n"
        events, _ = read_content(stuffed(raw) + b"QUIT\r\n", cuts)
        assert events == [Content(whole), Command("QUIT", "")]

    def test_every_split_gives_the_same(self):
        data = b"..\r\n.x\r\n\r\n.\r\nNOOP\r\n"
        for cut in range(len(data)):
            events, _ = read_content(data, [cut])
            assert events == [Content(b".\r\nx\r\n\r\n"), Command("NOOP", "")]

    @pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n"])
    def test_only_a_dot_between_whole_line_ends_ends_a_message(self, end):
        smuggled = b"a" + end + b"MAIL FROM:<evil@example.org>\r\n"
        events, _ = read_content(smuggled + b".\r\n")
        assert len(events) == 1

    def test_a_message_over_the_limit_is_read_to_its_end_and_not_kept(self):
        reader = LineReader()
        reader.expect_content(10)
        for _ in range(100):
            reader.feed(b"abcdefgh\r\n" * 10)
            assert reader.next_event() is None
            assert reader.n_held < 200
        reader.feed(b".\r\nRSET\r\n")
        assert reader.next_event() == Content(None)
        assert reader.next_event() == Command("RSET", "")

    def test_the_limit_itself_is_allowed(self):
        assert read_content(b"12345678\r\n.\r\n", limit=10)[0] == [Content(b"12345678\r\n")]
        assert read_content(b"123456789\r\n.\r\n", limit=10)[0] == [Content(None)]

    def test_an_empty_message_is_one(self):
        assert read_content(b".\r\n")[0] == [Content(b"")]

    def test_a_message_can_be_given_up(self):
        reader = LineReader()
        assert not reader.give_up_content()
        reader.expect_content(100)
        reader.feed(b"a\r\n")
        assert reader.next_event() is None
        assert reader.give_up_content()
        reader.feed(b"b\r\n.\r\n")
        assert reader.next_event() == Content(None)


class TestLineEnds:
    @given(HOSTILE)
    def test_no_bare_one_is_left_to_a_next_hop(self, raw):
        plain = with_plain_line_ends(raw)
        n_pairs = plain.count(b"\r\n")
        assert plain.count(b"\n") == plain.count(b"\r") == n_pairs
        assert stuffed(plain).find(b"\r\n.\r\n", 0, len(stuffed(plain)) - 1) == -1

    def test_plain_mail_is_left_as_it_is(self):
        raw = b"Subject: a\r\n\r\nb\r\n"
        assert with_plain_line_ends(raw) is raw


class TestLines:
    def test_words_are_folded_and_blanks_taken_off(self):
        reader = LineReader()
        reader.feed(b"mail  FROM:<a@b> \nQuit\r\n\r\n")
        assert reader.next_event() == Command("MAIL", "FROM:<a@b>")
        assert reader.next_event() == Command("QUIT", "")
        assert reader.next_event() == Command("", "")
        assert reader.next_event() is None

    def test_a_line_without_end_takes_no_memory(self):
        reader = LineReader()
        for _ in range(100):
            reader.feed(b"x" * MAX_LINE_BYTES)
            assert reader.next_event() is None
            assert reader.n_held <= MAX_LINE_BYTES
        reader.feed(b"\r\nNOOP\r\n")
        assert reader.next_event() == LongLine()
        assert reader.next_event() == Command("NOOP", "")

    @given(st.binary(max_size=300), st.integers(0, 300))
    def test_any_bytes_are_lines(self, data, cut):
        reader, whole = LineReader(), LineReader()
        events = []
        for piece in (data[:cut], data[cut:]):
            reader.feed(piece)
            while event := reader.next_event():
                events.append(event)
        whole.feed(data)
        for event in events:
            assert whole.next_event() == event
        assert whole.next_event() is None


class TestPath:
    @pytest.mark.parametrize(
        ("argument", "address"),
        [
            ("TO:<ana@example.org>", "ana@example.org"),
            ("To: <ana@example.org>", "ana@example.org"),
            ("TO:<@relay.example,@b.example:ana@example.org>", "ana@example.org"),
            ('TO:<"ana b>c"@example.org>', '"ana b>c"@example.org'),
            ("TO:<ana>", "ana"),
            ("TO:<>", ""),
            ("TO:<ána@example.org>", "ána@example.org"),
        ],
    )
    def test_addresses(self, argument, address):
        assert parse_path(argument, "TO") == (address, {})

    @pytest.mark.parametrize(
        "argument",
        [
            "",
            "FROM:<a>",
            "TO",
            "TO:ana@example.org",
            "TO:<a b@example.org>",
            "TO:<a@example.org",
            "TO:<a@example.org>NOTIFY=NEVER",
            "TO:<a@example.org> A=1 a=2",
            "TO:<a@example.org> =1",
            "TO:<a\r\nRCPT TO:<b>>",
            'TO:<"a>',
        ],
    )
    def test_other_forms_are_refused(self, argument):
        with pytest.raises(ProtocolError):
            parse_path(argument, "TO")

    @given(st.text(max_size=200))
    def test_no_text_takes_long_or_breaks_lines(self, text):
        try:
            address, parameters = parse_path(f"TO:{text}", "TO")
        except ProtocolError:
            return
        assert not set("\r\n") & set(address + "".join(parameters.values()))


class TestReplies:
    @given(
        st.integers(200, 559),
        st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1),
    )
    def test_what_is_written_is_read(self, code, lines):
        reply = Reply(code, tuple(lines))
        reader = ReplyReader()
        *before, last = [reader.take(line) for line in reply.encode().splitlines(keepends=True)]
        assert last == reply
        assert set(before) <= {None}

    @pytest.mark.parametrize("line", [b"", b"hello", b"2500 x", b"25 x", b"150 x", b"250x"])
    def test_what_is_no_reply_is_refused(self, line):
        with pytest.raises(ProtocolError):
            ReplyReader().take(line + b"\r\n")

    def test_a_reply_without_end_is_refused(self):
        reader = ReplyReader()
        for _ in range(MAX_REPLY_LINES):
            assert reader.take(b"250-x\r\n") is None
        with pytest.raises(ProtocolError):
            reader.take(b"250-x\r\n")

    def test_a_code_alone_is_a_reply(self):
        assert ReplyReader().take(b"250\r\n") == Reply(250, ("",))

    def test_control_characters_are_not_passed_on(self):
        assert ReplyReader().take(b"550 a\x00\rb\r\n") == Reply(550, ("a??b",))
