"""What an LMTP server answers by itself, and what it asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.serve.lmtp.codec import Reply
from mtspam.serve.lmtp.session import (
    MAX_ERRORS,
    Hello,
    Mail,
    Message,
    Path,
    Quit,
    Rcpt,
    Reset,
    Session,
)

OK = Reply.of("250 2.0.0 Ok")
NO = Reply.of("550 5.1.1 Unknown")
BEGIN = b"LHLO a\r\nMAIL FROM:<a@x.example>\r\n"


def new_session(**limits):
    session = Session("here", **{"max_recipients": 3, "max_message_bytes": 1000, **limits})
    session.offered = frozenset({"SIZE", "8BITMIME"})
    assert session.take_outgoing() == b"220 here LMTP mtspam\r\n"
    return session


def play(session, data, refused=()):
    """Send bytes; accept everything but some recipients; return requests and lines answered."""
    session.receive(data)
    requests = []
    while (request := session.next_request()) is not None:
        requests.append(request)
        for _ in request.recipients if isinstance(request, Message) else (1,):
            is_refused = isinstance(request, Rcpt) and request.recipient.address in refused
            session.answer(NO if is_refused else OK)
    return requests, session.take_outgoing().decode().splitlines()


def codes(data, session=None):
    return [line[:3] for line in play(session or new_session(), data)[1]]


class TestOrder:
    @pytest.mark.parametrize(
        ("data", "answers"),
        [
            (b"HELO a\r\nEHLO a\r\n", ["500", "500"]),
            (b"LHLO\r\n", ["501"]),
            (b"MAIL FROM:<>\r\n", ["503"]),
            (b"LHLO a\r\nRCPT TO:<b@x.example>\r\n", ["250", "503"]),
            (BEGIN + b"MAIL FROM:<>\r\n", ["250", "250", "503"]),
            (BEGIN + b"DATA\r\n", ["250", "250", "503"]),
            (BEGIN + b"RCPT TO:<>\r\n", ["250", "250", "501"]),
            (BEGIN + b"RSET\r\nRCPT TO:<b@x.example>\r\n", ["250", "250", "250", "503"]),
            (b"NOOP\r\nVRFY ana\r\nBDAT 3\r\n", ["250", "252", "500"]),
            (BEGIN + b"RCPT TO:<b>\r\nDATA now\r\n", ["250", "250", "250", "501"]),
            (b"x" * 9000 + b"\r\nNOOP\r\n", ["500", "250"]),
            (b"QUIT\r\nNOOP\r\n", ["250"]),
        ],
    )
    def test_commands_out_of_order_or_unknown(self, data, answers):
        assert codes(data) == answers

    @pytest.mark.parametrize(
        ("argument", "code"),
        [
            (b"FROM:<a@x.example> SIZE=999 BODY=8BITMIME", "250"),
            (b"FROM:<a@x.example> SIZE=1001", "552"),
            (b"FROM:<a@x.example> SIZE=-1", "501"),
            (b"FROM:<a@x.example> SMTPUTF8", "555"),
            (b"FROM:<a@x.example> FOO=1", "555"),
            (b"FROM:a@x.example", "501"),
            ("FROM:<á@x.example>".encode(), "553"),
        ],
    )
    def test_senders(self, argument, code):
        assert codes(b"LHLO a\r\nMAIL " + argument + b"\r\n") == ["250", code]

    def test_addresses_beyond_ascii_where_the_next_hop_takes_them(self):
        session = new_session()
        session.offered |= {"SMTPUTF8"}
        data = "LHLO a\r\nMAIL FROM:<á@x.example> SMTPUTF8\r\n".encode()
        assert codes(data, session) == ["250", "250"]
        assert codes(b"RCPT TO:<\xff@x.example>\r\n", session) == ["553"]

    def test_who_errs_too_often_is_turned_away(self):
        session = new_session()
        answers = codes(b"FOO\r\n" * 100, session)
        assert answers == ["500"] * MAX_ERRORS + ["421"]
        assert session.is_over


class TestMessages:
    def test_each_accepted_recipient_is_answered(self):
        data = b"".join(b"RCPT TO:<%s>\r\n" % name for name in (b"a", b"no", b"b"))
        requests, lines = play(
            new_session(), BEGIN + data + b"DATA\r\nx\r\n.\r\nQUIT\r\n", refused={"no"}
        )
        assert requests[-2] == Message(b"x\r\n", Path("a@x.example"), (Path("a"), Path("b")), {})
        assert [line[:3] for line in lines] == [
            *("250", "250"),
            *("250", "550", "250"),
            *("354", "250", "250", "250"),
        ]
        assert requests[-1] == Quit()

    def test_all_recipients_refused_makes_data_refused(self):
        _, lines = play(new_session(), BEGIN + b"RCPT TO:<no>\r\nDATA\r\n", refused={"no"})
        assert [line[:3] for line in lines] == ["250", "250", "550", "503"]

    def test_too_many_recipients_are_put_off(self):
        data = b"".join(b"RCPT TO:<r%d>\r\n" % at for at in range(5))
        assert codes(BEGIN + data)[2:] == ["250", "250", "250", "452", "452"]

    def test_a_message_that_is_too_large_is_told_of_without_its_bytes(self):
        data = BEGIN + b"RCPT TO:<a>\r\nDATA\r\n" + b"x" * 2000 + b"\r\n.\r\n"
        requests, _ = play(new_session(), data)
        assert requests[-1].raw is None
        assert requests[-1].recipients == (Path("a"),)

    def test_the_next_message_begins_anew(self):
        once = BEGIN.partition(b"\n")[2] + b"RCPT TO:<a>\r\nDATA\r\nx\r\n.\r\n"
        requests, lines = play(new_session(), b"LHLO a\r\n" + once + once)
        assert [type(one) for one in requests] == [Hello] + [Mail, Rcpt, Message] * 2
        assert {line[:3] for line in lines} == {"250", "354"}

    def test_where_it_comes_from_is_told_for_one_message(self):
        told = b"XFORWARD NAME=spike.example ADDR=192.0.2.7 HELO=a+2Bb\r\nXFORWARD IDENT=4xyz\r\n"
        once = b"MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nx\r\n.\r\n"
        requests, _ = play(new_session(), b"LHLO a\r\n" + told + once + once)
        first, second = (one for one in requests if isinstance(one, Message))
        assert first.client == {
            "NAME": "spike.example",
            "ADDR": "192.0.2.7",
            "HELO": "a+b",
            "IDENT": "4xyz",
        }
        assert second.client == {}

    def test_what_it_may_not_say_of_its_origin(self):
        assert codes(b"XFORWARD FOO=1\r\nXFORWARD NAME\r\n") == ["501", "501"]
        requests, _ = play(
            new_session(),
            b"LHLO a\r\nXFORWARD NAME=[UNAVAILABLE] HELO=a+0Ab\r\nMAIL FROM:<>\r\n"
            b"RCPT TO:<a>\r\nDATA\r\n.\r\n",
        )
        assert requests[-1].client == {}

    def test_a_reset_between(self):
        requests, _ = play(new_session(), BEGIN + b"RSET\r\nMAIL FROM:<>\r\n")
        assert requests[-2:] == [Reset(), Mail(Path(""))]


def test_an_answer_needs_a_question():
    with pytest.raises(ValueError, match="nothing"):
        new_session().answer(OK)


WORDS = st.sampled_from(
    [
        *(b"LHLO a\r\n", b"MAIL FROM:<a>\r\n", b"RCPT TO:<b>\r\n", b"DATA\r\n", b".\r\n"),
        *(b"RSET\r\n", b"x\r\n", b"..\r\n", b"\r\n", b"QUIT\r\n", b"MAIL FROM:<>", b"\xff"),
    ]
)


@given(st.lists(WORDS | st.binary(max_size=20), max_size=40))
def test_any_bytes_are_answered_and_nothing_is_held_for_long(pieces):
    session = new_session()
    for piece in pieces:
        play(session, piece)
        assert session.n_held <= 4096
