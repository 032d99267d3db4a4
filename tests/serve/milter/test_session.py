"""A connection: what a mail server tells becomes a message, a ruling becomes answers."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.errors import ProtocolError
from mtspam.serve.contract import Action
from mtspam.serve.milter import codec
from mtspam.serve.milter.message import MAX_ENVELOPE_BYTES, Room
from mtspam.serve.milter.session import MAX_FORGED, Close, Reply, Session, Submitted
from tests.serve.milter.conftest import (
    ABORT,
    CONNECT,
    DATA,
    END,
    END_OF_HEADERS,
    FROM,
    HELO,
    LUNCH,
    MAIL,
    QUIT,
    QUIT_NC,
    RECIPIENT,
    SUBJECT,
    field,
    macro,
    message,
    offer,
    packet,
    ruling,
    split,
    texts,
)

SKIP_STEP, NO_REPLY_BODY, LEADING_SPACE = 0x400, 0x80000, 0x100000
HAM = ruling(fields=(("X-Mtspam-Id", "1"), ("X-Mtspam-Verdict", "ham")))


def session(*, max_message_bytes=1_000_000, room=None):
    return Session(max_message_bytes, room or Room(10_000_000))


def steps(one, *packets):
    """Feed packets; return all there is to do up to the next end of a message."""
    one.feed(b"".join(packets))
    found = []
    while (step := one.next()) is not None:
        found.append(step)
        if isinstance(step, Close):
            break
    return found


def submitted(one, *packets):
    """Feed packets up to the end of a message and return it."""
    *replies, last = steps(one, *packets)
    assert all(isinstance(reply, Reply) for reply in replies)
    assert isinstance(last, Submitted)
    return last


def begun(**details):
    """A session that has agreed on the offer and has a client."""
    one = session(**details)
    steps(one, offer(), CONNECT, HELO)
    return one


# Negotiation.


def test_what_is_answered_is_part_of_what_is_offered():
    for bit in range(32):
        ((command, data),) = split(steps(session(), offer(6, 1 << bit, 1 << bit))[0].data)
        version, actions, flags = struct.unpack(">III", data)
        assert (command, version) == (b"O", 6)
        assert actions in (0, 1 << bit)
        assert flags in (0, 1 << bit)


def test_no_event_but_the_end_of_a_message_is_answered_where_the_mail_server_can_do_without():
    one = session()
    whole = message(), packet(b"U", texts(b"XFOO")), packet(b"B", b"more")
    found = steps(one, offer(), CONNECT, HELO, message())
    assert [type(step) for step in found] == [Reply, Submitted]
    one.answer(HAM)
    assert [type(step) for step in steps(one, *whole[1:])] == []


def test_every_event_is_answered_where_the_mail_server_waits_for_it():
    one = session()
    found = steps(one, offer(steps=0), CONNECT, HELO, message())
    # Connect, helo, mail, recipient, data, two fields, end of the header, body.
    assert found[1:-1] == [Reply(codec.CONTINUE)] * 9
    assert steps(one) == []


def test_macros_and_aborts_are_never_answered():
    one = session()
    assert len(steps(one, offer(steps=0), macro(b"C", b"j", b"mx"), ABORT, QUIT_NC)) == 1


def test_an_unknown_event_is_answered_so_that_the_mail_server_goes_on():
    one = session()
    assert steps(one, offer(steps=0), packet(b"?", b"what"))[1:] == [Reply(codec.CONTINUE)]


def test_an_old_version_is_spoken():
    ((_, data),) = split(steps(session(), offer(2, 0x1F, 0x7F))[0].data)
    assert struct.unpack(">III", data) == (2, 0x11, 0)


@pytest.mark.parametrize("packets", [CONNECT, MAIL, QUIT, offer(1), packet(b"O", b"\0\0")])
def test_what_is_no_beginning_is_refused(packets):
    with pytest.raises(ProtocolError):
        steps(session(), packets)


# The message.


def test_the_message_is_as_it_was_on_the_wire():
    one = begun()
    raw = submitted(
        one,
        MAIL,
        RECIPIENT,
        DATA,
        field(b"Received", b" from a\n\tby b"),
        field(b"Subject", b"no blank"),
        field(b"X-Two", b"  two blanks"),
        field(b"X-Bytes", b" \xff\xfe"),
        field(b"X-Empty", b""),
        END_OF_HEADERS,
        packet(b"B", b"one\r\n"),
        packet(b"B", b"two\r\n"),
        packet(b"E", b"three\r\n"),
    ).raw
    assert raw == (
        b"Received: from a\r\n\tby b\r\nSubject:no blank\r\nX-Two:  two blanks\r\n"
        b"X-Bytes: \xff\xfe\r\nX-Empty:\r\n\r\none\r\ntwo\r\nthree\r\n"
    )


def test_the_blank_that_the_mail_server_took_is_put_back():
    one = session()
    steps(one, offer(steps=0x1FFFFF & ~LEADING_SPACE), CONNECT)
    raw = submitted(one, MAIL, field(b"Subject", b"lunch\r\n at noon"), END).raw
    assert raw == b"Subject: lunch\r\n at noon\r\n\r\n"


def test_a_message_of_nothing():
    assert submitted(begun(), END).raw == b"\r\n"


def test_what_is_known_beside_the_message():
    one = session()
    steps(one, offer(), macro(b"C", b"j", b"mx", b"{client_addr}", b"9.9.9.9"), CONNECT, HELO)
    envelope = submitted(
        one,
        macro(b"M", b"{auth_authen}", b"ana"),
        MAIL,
        macro(b"R", b"i", b"4QUEUE1"),
        RECIPIENT,
        packet(b"R", texts(b"<Bo+x@example.com>", b"NOTIFY=NEVER")),
        packet(b"R", texts(b"bare@example.com")),
        macro(b"E", b"i", b"4QUEUE1"),
        END,
    ).envelope
    assert envelope.recipients == ("b@example.com", "Bo+x@example.com", "bare@example.com")
    assert envelope.sender == "a@example.org"
    assert envelope.submitter == "ana"
    assert (envelope.client_address, envelope.client_name) == ("192.0.2.1", "mx.example.net")
    assert envelope.helo == "mx.example.net"
    assert envelope.queue_id == "4QUEUE1"
    assert envelope.protocol == "milter"


def test_a_client_without_a_name_and_a_bounce():
    one = session()
    unnamed = packet(
        b"C", texts(b"[192.0.2.1]") + b"4\0\0192.0.2.1\0".replace(b"\x0019", b"\0\x0119")
    )
    steps(one, offer(), unnamed)
    envelope = submitted(one, packet(b"M", texts(b"<>")), END).envelope
    assert envelope.client_name is None
    assert envelope.sender == ""
    assert envelope.submitter is None


def test_a_recipient_whom_the_mail_server_refused_does_not_count():
    refused = macro(b"R", b"{rcpt_mailer}", b"error", b"{rcpt_host}", b"5.1.1")
    taken = macro(b"R", b"{rcpt_mailer}", b"local")
    one = begun()
    envelope = submitted(
        one, MAIL, refused, packet(b"R", texts(b"<no@example.com>")), taken, RECIPIENT, END
    ).envelope
    assert envelope.recipients == ("b@example.com",)


def test_of_a_long_message_as_much_is_kept_as_is_looked_at():
    one = begun(max_message_bytes=30)
    raw = submitted(one, MAIL, SUBJECT, packet(b"B", b"x" * 20), packet(b"B", b"y" * 20), END).raw
    assert raw == b"Subject: lunch\r\n\r\n" + b"x" * 14


def test_the_mail_server_is_told_when_enough_was_seen_if_it_asks():
    one = session(max_message_bytes=50)
    steps(one, offer(steps=SKIP_STEP))
    body = packet(b"B", b"x" * 20)
    found = steps(one, MAIL, SUBJECT, body, body)
    assert found[-2:] == [Reply(codec.CONTINUE), Reply(codec.SKIP)]


def test_a_message_that_finds_no_room_is_handed_over_without_its_text_and_gives_its_room_back():
    room = Room(1_000)
    one, other = begun(room=room), begun(room=room)
    steps(one, MAIL, packet(b"B", b"x" * 800))
    assert submitted(other, MAIL, packet(b"B", b"x" * 800), END).raw is None
    assert split(other.fail(codec.TEMPFAIL)) == [(b"t", b"")]
    steps(one, ABORT)
    assert room.n_free == 1_000
    assert submitted(other, MAIL, packet(b"B", b"x" * 800), END).raw is not None
    other.drop()
    assert room.n_free == 1_000


def test_recipients_without_end_are_too_much():
    one = begun()
    steps(one, MAIL)
    for _ in range(MAX_ENVELOPE_BYTES // 60_000 + 1):
        steps(one, packet(b"R", texts(b"x" * 60_000)))
    assert submitted(one, END).raw is None


# The order of events.

PARTS = (MAIL, RECIPIENT, DATA, FROM, SUBJECT, END_OF_HEADERS, packet(b"B", LUNCH))


@pytest.mark.parametrize("n_parts", range(len(PARTS) + 1))
def test_an_abort_at_any_point_leaves_nothing_of_the_message(n_parts):
    one = begun()
    assert steps(one, macro(b"M", b"{auth_authen}", b"ana"), *PARTS[:n_parts], ABORT) == []
    fresh = submitted(begun(), message())
    assert submitted(one, message()) == fresh


def test_two_messages_have_nothing_in_common_but_the_client():
    one = begun()
    submitted(one, macro(b"M", b"{auth_authen}", b"ana"), message())
    one.answer(HAM)
    second = submitted(one, message(b"other\r\n", SUBJECT))
    assert second.raw == b"Subject: lunch\r\n\r\nother\r\n"
    assert second.envelope.recipients == ("b@example.com",)
    assert second.envelope.submitter is None
    assert second.envelope.client_address == "192.0.2.1"


def test_another_client_over_the_same_connection_needs_no_offer():
    one = begun()
    assert one.has_client
    assert steps(one, MAIL, QUIT_NC) == []
    assert not one.has_client
    envelope = submitted(one, END).envelope
    assert (envelope.client_address, envelope.helo, envelope.sender) == (None, None, None)
    one.answer(HAM)
    assert submitted(one, CONNECT, message()).envelope.client_address == "192.0.2.1"


def test_quit_closes_at_any_point():
    for n_parts in range(len(PARTS) + 1):
        assert steps(begun(), *PARTS[:n_parts], QUIT) == [Close()]


def test_nothing_goes_on_before_a_message_is_answered():
    one = begun()
    found = steps(one, message(), message(b"next\r\n"))
    assert [type(step) for step in found] == [Submitted]
    one.answer(HAM)
    assert one.next().raw.endswith(b"next\r\n")


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*PARTS, END, ABORT, QUIT_NC, CONNECT, HELO]),
            st.builds(
                packet,
                st.sampled_from([bytes([c]) for c in b"ABCDEHKLMNORTU?"]),
                st.binary(max_size=40),
            ),
        ),
        max_size=30,
    )
)
def test_any_order_of_any_packets_is_answered_or_refused(packets):
    room = Room(100_000)
    one = session(room=room)
    steps(one, offer())
    one.feed(b"".join(packets))
    try:
        while (step := one.next()) is not None:
            if isinstance(step, Submitted):
                one.answer(HAM)
    except ProtocolError:
        pass
    one.drop()
    assert room.n_free == 100_000


# Answers.


def answered(answer, *fields, **changes):
    one = session()
    steps(one, offer(**changes), CONNECT)
    submitted(one, message(LUNCH, *(fields or (FROM, SUBJECT))))
    return split(one.answer(answer))


def inserted(name, value, index=1):
    return (b"i", struct.pack(">I", index) + texts(name, b" " + value))


def changed(index, name, value=b""):
    return (b"m", struct.pack(">I", index) + texts(name, value))


def test_fields_go_below_what_the_mail_server_itself_adds_and_keep_their_order():
    assert answered(HAM) == [
        inserted(b"X-Mtspam-Verdict", b"ham"),
        inserted(b"X-Mtspam-Id", b"1"),
        (b"a", b""),
    ]


def test_a_mail_server_that_adds_the_blank_itself_gets_none():
    found = answered(HAM, steps=0)
    assert found[0] == (b"i", b"\0\0\0\1" + texts(b"X-Mtspam-Verdict", b"ham"))


def test_forged_fields_are_deleted_from_the_last_one_on_before_ours_are_added():
    found = answered(
        HAM,
        field(b"X-Spam", b" Yes"),
        FROM,
        field(b"x-mtspam-verdict", b" ham"),
        field(b"X-Mtspam-Verdict", b" ham"),
        field(b"X-Spam-St\xc3\xa4tus", b" No"),
        field(b"X-Spammer", b" not ours"),
    )
    assert found[:4] == [
        changed(1, b"x-spam"),
        changed(2, b"x-mtspam-verdict"),
        changed(1, b"x-mtspam-verdict"),
        changed(1, b"x-spam-st\xc3\xa4tus"),
    ]
    assert [command for command, _ in found[4:]] == [b"i", b"i", b"a"]


def test_a_field_behind_a_carriage_return_is_taken_out():
    found = answered(
        HAM,
        field(b"To", b" a"),
        field(b"To", b" b\rX-Spam-Flag: NO\n\tc\xff"),
        field(b"Subject", b" d\re"),
    )
    assert found[:-3] == [(b"m", struct.pack(">I", 2) + texts(b"To", b" b\n\tc\xff"))]


def test_more_forged_fields_than_any_honest_message_has_are_refused():
    forged = [field(b"X-Spam", b" No")] * (MAX_FORGED + 1)
    ((command, text),) = answered(HAM, *forged)
    assert command == b"y"
    assert text.startswith(b"554 5.6.0 ")
    assert len(answered(HAM, *forged[1:])) == MAX_FORGED + 3


def test_a_subject_is_rewritten():
    found = answered(ruling(Action.REWRITE_SUBJECT, subject="[SPAM] lunch"))
    assert found == [changed(1, b"Subject", b" [SPAM] lunch"), (b"a", b"")]


def test_a_message_is_held():
    found = answered(ruling(Action.QUARANTINE, fields=(("X-Spam-Flag", "YES"),)))
    assert found == [inserted(b"X-Spam-Flag", b"YES"), (b"q", b"mtspam: spam\0"), (b"a", b"")]


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        (ruling(Action.REJECT, text="550 5.7.1 spam"), (b"y", b"550 5.7.1 spam\0")),
        (ruling(Action.REJECT), (b"r", b"")),
        (ruling(Action.TEMPFAIL, text="451 4.7.1 later"), (b"y", b"451 4.7.1 later\0")),
        (ruling(Action.TEMPFAIL), (b"t", b"")),
        (ruling(Action.DISCARD), (b"d", b"")),
        (ruling(Action.NO_ACTION), (b"a", b"")),
        (ruling(Action.ADD_HEADER), (b"a", b"")),
    ],
)
def test_actions(answer, final):
    assert answered(answer) == [final]


def test_a_mail_server_that_takes_no_changes_gets_none():
    for action in (Action.ADD_HEADER, Action.REWRITE_SUBJECT, Action.QUARANTINE):
        asked = ruling(action, subject="s", fields=(("X-Spam-Flag", "YES"),))
        assert answered(asked, field(b"X-Spam", b" No"), actions=0) == [(b"a", b"")]


def test_what_passes_unjudged_carries_nobody_elses_verdict():
    one = begun()
    submitted(one, message(LUNCH, field(b"X-Spam-Flag", b" NO"), FROM))
    assert split(one.fail(codec.ACCEPT)) == [changed(1, b"x-spam-flag"), (b"a", b"")]
    submitted(one, message(LUNCH, field(b"X-Spam-Flag", b" NO"), FROM))
    assert split(one.fail(codec.TEMPFAIL)) == [(b"t", b"")]
