"""Connections as the filter sees them: what is gathered, given back, refused, forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.serve.contract import Action
from mtspam.serve.opensmtpd import codec
from mtspam.serve.opensmtpd.message import UNTOUCHED, Decision, raw_of
from mtspam.serve.opensmtpd.session import Filter, Limits, Submitted

LATER = Decision(refusal="451 4.7.1 later")
MESSAGE = [b"From: a@example.org", b"Subject: lunch", b"", b"at noon"]
MARKED = Decision(fields=(("X-Mtspam-Verdict", "ham"),))


def filtering(*, message_bytes=10_000, total_bytes=100_000, crowded=LATER, sessions=100):
    limits = Limits(message_bytes=message_bytes, total_bytes=total_bytes, sessions=sessions)
    return Filter(limits, crowded)


def report(one, event, *rest, session=b"5e55"):
    fields = b"|".join((b"report", b"0.7", b"1.0", b"smtp-in", event, session, *rest))
    assert one.take(fields) == b""


def request(one, phase, *rest, session=b"5e55", token=b"70ce"):
    return one.take(
        b"|".join((b"filter", b"0.7", b"1.0", b"smtp-in", phase, session, token, *rest))
    )


def line(one, text, **which):
    return request(one, b"data-line", text, **which)


def begin(one, session=b"5e55"):
    report(
        one,
        b"link-connect",
        b"mx.example.net",
        b"pass",
        b"192.0.2.1:2525",
        b"1:25",
        session=session,
    )
    report(one, b"link-identify", b"EHLO", b"mx.example.net", session=session)
    report(one, b"tx-begin", b"abc", session=session)
    report(one, b"tx-mail", b"abc", b"ok", b"a@example.org", session=session)
    report(one, b"tx-rcpt", b"abc", b"ok", b"b@example.com", session=session)


def send(one, lines=MESSAGE, session=b"5e55"):
    for text in lines:
        assert line(one, text, session=session) == b""
    submitted = line(one, b".", session=session)
    assert isinstance(submitted, Submitted)
    return submitted


def stored(written, session=b"5e55", token=b"70ce"):
    """The lines of a message that were given back, and check that its end came last."""
    begun = b"filter-dataline|" + session + b"|" + token + b"|"
    *lines, rest = b"".join(written).split(b"\n")
    assert rest == b""
    assert all(one.startswith(begun) for one in lines)
    *lines, last = [one.removeprefix(begun) for one in lines]
    assert last == b"."
    return lines


def given_back(one, decision, lines=MESSAGE):
    begin(one)
    return stored(one.answer(send(one, lines), decision))


def commit(one):
    return request(one, b"commit")


PROCEED = b"filter-result|5e55|70ce|proceed\n"


def test_the_registration_is_said_once_the_mail_server_is_ready():
    one = filtering()
    assert one.take(b"config|smtpd-version|7.8.0") == b""
    assert one.take(b"config|ready") == codec.REGISTRATION


def test_a_message_and_what_is_known_beside_it():
    one = filtering()
    begin(one)
    report(one, b"tx-rcpt", b"abc", b"permfail", b"no@example.com")
    report(one, b"tx-rcpt", b"abc", b"ok", b"odd|name@example.com")
    report(one, b"link-auth", b"pass", b"ana|x")
    submitted = send(one)
    assert submitted.raw == b"From: a@example.org\r\nSubject: lunch\r\n\r\nat noon\r\n"
    envelope = submitted.envelope
    assert envelope.recipients == ("b@example.com", "odd|name@example.com")
    assert envelope.sender == "a@example.org"
    assert (envelope.client_name, envelope.client_address) == ("mx.example.net", "192.0.2.1")
    assert (envelope.helo, envelope.submitter) == ("mx.example.net", "ana|x")
    assert (envelope.queue_id, envelope.protocol) == ("abc", "opensmtpd")


@pytest.mark.parametrize(
    ("source", "address"),
    [(b"[2001:db8::1]:25", "2001:db8::1"), (b"unix:/run/x", None), (b"192.0.2.9:1", "192.0.2.9")],
)
def test_addresses(source, address):
    one = filtering()
    report(one, b"link-connect", b"<unknown>", b"fail", source, b"1:25")
    envelope = send(one).envelope
    assert (envelope.client_name, envelope.client_address) == (None, address)


def test_the_older_order_of_fields_is_understood():
    one = filtering()
    begin(one)
    report(one, b"tx-rcpt", b"abc", b"c@example.com", b"ok")
    report(one, b"link-auth", b"ana", b"pass")
    envelope = send(one).envelope
    assert envelope.recipients == ("b@example.com", "c@example.com")
    assert envelope.submitter == "ana"


def test_our_fields_go_first_and_the_rest_comes_back_as_it_was():
    lines = [*MESSAGE, b"..dot", b"a | b", b"", b"\xff"]
    assert given_back(filtering(), MARKED, lines) == [b"X-Mtspam-Verdict: ham", *lines]


def test_dots_are_undone_for_who_judges():
    assert raw_of(b"a\n..\n...b\n") == b"a\r\n.\r\n..b\r\n"


def test_forged_fields_are_left_out_with_their_folded_lines():
    lines = [b"X-Spam-Status: No", b"\tvery", b"Subject: lunch", b" at noon", b"x-mtspam-id : 1",
             b"X-Spammer: yes", b"", b"X-Spam: in the body"]  # fmt: skip
    assert given_back(filtering(), MARKED, lines) == [
        b"X-Mtspam-Verdict: ham",
        b"Subject: lunch",
        b" at noon",
        b"X-Spammer: yes",
        b"",
        b"X-Spam: in the body",
    ]


def test_a_field_behind_a_carriage_return_is_taken_out():
    lines = [
        b"Subject: a\rX-Spam-Flag: NO",
        b" b\rX-Mtspam-Id: 1",
        b"To: c\rd",
        b"",
        b"e\rX-Spam: f",
    ]
    assert given_back(filtering(), UNTOUCHED, lines) == [b"Subject: a", b" b", *lines[2:]]


def test_a_first_line_that_begins_with_a_blank_continues_none_of_our_fields():
    assert given_back(filtering(), MARKED, [b" sly", b"", b"text"]) == [
        b"X-Mtspam-Verdict: ham",
        b"X-Mtspam-Leading:",
        b" sly",
        b"",
        b"text",
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"a: 1", b"Subject: old", b" folded", b"b: 2", b"", b"Subject: x"],
         [b"a: 1", b"Subject: new", b"b: 2", b"", b"Subject: x"]),
        ([b"a: 1", b"", b"body"], [b"a: 1", b"Subject: new", b"", b"body"]),
        ([b"a: 1"], [b"a: 1", b"Subject: new"]),
        ([b"subject : old", b"Subject: second", b""], [b"Subject: new", b"Subject: second", b""]),
        ([], [b"Subject: new"]),
    ],
)  # fmt: skip
def test_subjects(lines, expected):
    assert given_back(filtering(), Decision(subject="new"), lines) == expected


@pytest.mark.parametrize(
    ("action", "is_marked"),
    [
        (Action.NO_ACTION, False),
        (Action.ADD_HEADER, True),
        (Action.REWRITE_SUBJECT, True),
        (Action.QUARANTINE, True),
        (Action.DISCARD, True),
    ],
)
def test_what_cannot_be_done_is_told_by_a_mark(action, is_marked):
    decision = Decision.of(action, [("X-Spam-Flag", "YES")], None, None)
    assert (("X-Spam", "Yes") in decision.fields) == is_marked
    assert decision.refusal is None


def test_a_refusal_is_told_at_the_end_and_nothing_is_stored():
    one = filtering()
    begin(one)
    decision = Decision.of(Action.REJECT, [("X-Spam-Flag", "YES")], None, "550 5.7.1 spam")
    assert stored(one.answer(send(one), decision)) == []
    assert commit(one) == b"filter-result|5e55|70ce|reject|550 5.7.1 spam\n"
    report(one, b"tx-rollback", b"abc")
    begin(one)
    assert stored(one.answer(send(one), MARKED)) == [b"X-Mtspam-Verdict: ham", *MESSAGE]
    assert commit(one) == PROCEED


def test_refusals_have_a_text_of_their_own():
    assert Decision.of(Action.REJECT, (), None, None).refusal.startswith("550 5.7.1 ")
    assert Decision.of(Action.TEMPFAIL, (), None, None).refusal.startswith("451 4.7.1 ")


def test_every_other_request_is_let_go_on():
    one = filtering()
    for phase in (b"connect", b"helo", b"auth", b"mail-from", b"rcpt-to", b"data", b"later"):
        assert request(one, phase, b"a|b") == PROCEED
    assert commit(one) == PROCEED


def test_sessions_do_not_mix():
    one = filtering()
    for session in (b"aaaa", b"bbbb"):
        begin(one, session)
    for text in (b"Subject: lunch", b""):
        for session in (b"aaaa", b"bbbb"):
            line(one, text, session=session)
    line(one, b"only here", session=b"bbbb")
    first = line(one, b".", session=b"aaaa")
    second = line(one, b".", session=b"bbbb")
    assert first.raw == b"Subject: lunch\r\n\r\n"
    assert second.raw == b"Subject: lunch\r\n\r\nonly here\r\n"
    assert stored(one.answer(second, MARKED), b"bbbb")[-1] == b"only here"
    assert stored(one.answer(first, MARKED), b"aaaa")[-1] == b""


@pytest.mark.parametrize("event", [b"tx-reset", b"tx-rollback", b"tx-commit", b"tx-begin"])
def test_a_transaction_leaves_nothing_to_the_next(event):
    one = filtering()
    begin(one)
    line(one, b"Subject: half a message")
    report(one, event, b"abc")
    envelope = send(one).envelope
    assert (envelope.recipients, envelope.sender) == ((), None)
    assert envelope.client_address == "192.0.2.1"


def test_an_answer_for_a_client_that_has_gone_is_not_written():
    one = filtering()
    begin(one)
    submitted = send(one)
    report(one, b"link-disconnect")
    assert list(one.answer(submitted, MARKED)) == []


def test_a_message_that_is_too_long_passes_unjudged_but_cleaned():
    one = filtering(message_bytes=60)
    begin(one)
    lines = [
        b"X-Spam: No",
        b"Subject: lunch",
        b"Long: " + b"x" * 100,
        b"X-Spam-Flag: NO",
        b"",
        b"X-Spam: b",
    ]
    written = [line(one, text) for text in lines] + [line(one, b".")]
    assert stored(written) == [lines[1], lines[2], lines[4], lines[5]]
    assert commit(one) == PROCEED


@pytest.mark.parametrize("crowded", [LATER, UNTOUCHED])
def test_a_message_that_finds_no_room_has_the_answer_for_failures(crowded):
    one = filtering(total_bytes=500, crowded=crowded)
    begin(one)
    written = [line(one, text) for text in [*MESSAGE, b"x" * 400, b"more", b"."]]
    if crowded is UNTOUCHED:
        assert stored(written) == [*MESSAGE, b"x" * 400, b"more"]
        assert commit(one) == PROCEED
    else:
        assert stored(written) == []
        assert commit(one) == b"filter-result|5e55|70ce|reject|451 4.7.1 later\n"
    report(one, b"tx-rollback", b"abc")
    begin(one)
    assert stored(one.answer(send(one), UNTOUCHED)) == MESSAGE


def test_recipients_without_end_are_too_much():
    one = filtering(total_bytes=1_000)
    begin(one)
    for _ in range(10):
        report(one, b"tx-rcpt", b"abc", b"ok", b"c@example.com")
    assert line(one, b"Subject: lunch") == b""
    assert stored([line(one, b".")]) == []
    assert commit(one) == b"filter-result|5e55|70ce|reject|451 4.7.1 later\n"


def test_connections_that_say_nothing_make_room_for_others():
    one = filtering(sessions=10)
    begin(one, b"busy")
    line(one, b"Subject: lunch", session=b"busy")
    for number in range(1_000):
        report(
            one, b"link-connect", b"mx", b"pass", b"192.0.2.1:1", b"1:25", session=b"%d" % number
        )
    assert len(one._sessions) <= 10
    assert line(one, b".", session=b"busy").raw == b"Subject: lunch\r\n\r\n".replace(
        b"\r\n\r\n", b"\r\n"
    )


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([b".", b"", b"Subject: a", b"X-Spam: b", b" folded", b"..x"]).map(
                lambda text: b"filter|0.7|1|smtp-in|data-line|5e55|70ce|" + text
            ),
            st.sampled_from([b"tx-begin", b"tx-reset", b"link-disconnect", b"tx-rcpt"]).map(
                lambda event: b"report|0.7|1|smtp-in|" + event + b"|5e55|abc|ok|b@example.com"
            ),
            st.just(b"filter|0.7|1|smtp-in|commit|5e55|70ce"),
        ),
        max_size=40,
    ),
    st.sampled_from([MARKED, LATER, UNTOUCHED]),
)
def test_any_lines_in_any_order_leave_no_room_taken(lines, decision):
    one = filtering(total_bytes=300)
    for text in lines:
        said = one.take(text)
        if isinstance(said, Submitted):
            list(one.answer(said, decision))
    report(one, b"link-disconnect")
    assert one._n_free == 300
