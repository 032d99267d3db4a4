"""What each recipient gets."""

import pytest

from mtspam.serve.contract import Action, Ruling
from mtspam.serve.lmtp.copies import ACTION_FIELD, DELIVERY_FIELD, make_plan, plan_without_verdict
from mtspam.spam.records import Judgement
from mtspam.types import Verdict

RAW = b"Received: from a\r\nX-Spam-Flag: NO\r\nSubject: hello\r\n there\r\n\r\nSubject: b\r\n"
JUDGEMENT = Judgement(
    verdict=Verdict.HAM,
    score=0.0,
    probability=0.5,
    shared=0.0,
    group=0.0,
    personal=0.0,
    starter=0.0,
    phishing=None,
    bulk=None,
    defects=(),
    id="0" * 32,
)


def ruling(action=Action.NO_ACTION, *, fields=(("X-Spam-Status", "No"),), **more):
    return Ruling(
        recipient="",
        judgement=JUDGEMENT,
        action=action,
        points=0,
        required=5,
        fields=fields,
        **more,
    )


def test_who_gets_the_same_fields_shares_a_copy():
    other = ruling(fields=(("X-Spam-Status", "Yes"),))
    plan = make_plan(RAW, "s", [ruling(), other, ruling()])
    assert [copy.recipients for copy in plan.copies] == [(0, 2), (1,)]
    first, second = (copy.raw for copy in plan.copies)
    assert first.startswith(b"X-Spam-Status: No\r\n")
    assert second.startswith(b"X-Spam-Status: Yes\r\n")
    assert b"X-Spam-Flag" not in first
    assert plan.answers == {}


@pytest.mark.parametrize(
    ("action", "text", "answer"),
    [
        (Action.REJECT, "550 5.7.1 Refused", "550 5.7.1 Refused"),
        (Action.REJECT, None, "550 5.7.1 Taken for spam"),
        (Action.REJECT, "451 4.7.1 Later", "550 5.7.1 Taken for spam"),
        (Action.REJECT, "550 a\r\n250 b", "550 5.7.1 Taken for spam"),
        (Action.TEMPFAIL, "451 4.7.1 Wait", "451 4.7.1 Wait"),
        (Action.TEMPFAIL, "550 5.7.1 Refused", "451 4.7.1 Try again later"),
        (Action.DISCARD, None, "250 2.0.0 Ok"),
    ],
)
def test_mail_that_goes_no_further(action, text, answer):
    plan = make_plan(RAW, "s", [ruling(), ruling(action, text=text)])
    assert {at: str(reply) for at, reply in plan.answers.items()} == {1: answer}
    assert [copy.recipients for copy in plan.copies] == [(0,)]


def test_the_subject_alone_is_rewritten_and_for_those_alone():
    rewritten = ruling(Action.REWRITE_SUBJECT, subject="[SPAM] hello")
    plan = make_plan(RAW, "s", [rewritten, ruling(Action.ADD_HEADER, subject="no")])
    first, second = (copy.raw for copy in plan.copies)
    assert b"\r\nSubject: [SPAM] hello\r\n\r\nSubject: b\r\n" in first
    assert b"\r\nSubject: hello\r\n there\r\n\r\nSubject: b\r\n" in second


@pytest.mark.parametrize("raw", [b"To: a\r\n\r\nb\r\n", b"To: a\r\n", b"\r\nSubject: b\r\n"])
def test_mail_without_a_subject_gets_one(raw):
    plan = make_plan(raw, "s", [ruling(Action.REWRITE_SUBJECT, subject="[SPAM]\r\nX: y")])
    head = plan.copies[0].raw.partition(b"\r\n\r\n")[0]
    assert b"Subject: [SPAM] X: y" in head.split(b"\r\n")


def test_a_quarantine_is_told_to_the_mailbox_server():
    plan = make_plan(RAW, "s", [ruling(Action.QUARANTINE), ruling()])
    assert f"{ACTION_FIELD}: quarantine\r\n".encode() in plan.copies[0].raw
    assert ACTION_FIELD.encode() not in plan.copies[1].raw


def delivery_of(raw, sender="s"):
    for line in plan_without_verdict(raw, sender, 1).copies[0].raw.split(b"\r\n"):
        if line.startswith(DELIVERY_FIELD.encode()):
            return line
    raise AssertionError("no such field")


def test_a_message_that_comes_again_is_known_and_another_of_the_same_words_is_not():
    assert delivery_of(RAW) == delivery_of(RAW)
    assert delivery_of(RAW) != delivery_of(RAW.replace(b"from a", b"from b"))
    assert delivery_of(RAW) != delivery_of(RAW, "other")
    assert delivery_of(b"X-Mtspam-Delivery: forged\r\n" + RAW).endswith(b"forged") is False


def test_without_a_verdict_nothing_is_claimed():
    plan = plan_without_verdict(b"X-Spam-Flag: NO\r\nTo: a\n\nb", "s", 2)
    assert plan.copies[0].recipients == (0, 1)
    assert plan.copies[0].raw.endswith(b"\r\nTo: a\r\n\r\nb\r\n")
    assert b"X-Spam" not in plan.copies[0].raw


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"\r", b"a", b"a\nb\r", b"\r\n", b"X-Spam-Flag: NO\r\n"]
)
def test_lines_end_in_one_way_whatever_came(raw):
    for plan in (make_plan(raw, "", [ruling()]), plan_without_verdict(raw, "", 1)):
        copy = plan.copies[0].raw
        assert copy.endswith(b"\r\n")
        assert copy.count(b"\n") == copy.count(b"\r") == copy.count(b"\r\n")
