import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.config import ActionsSettings, IdentitySettings, Settings
from mtspam.journal.identity import Identity
from mtspam.serve.contract import Action
from mtspam.serve.lists import Listing
from mtspam.serve.points import Case, ruling_of
from mtspam.serve.policy import Policy
from mtspam.spam.records import Judgement
from mtspam.types import Verdict

RAW = b"From: a@b.example\r\nSubject: hello\r\n\r\nText\r\n"
ODDS = st.floats(-45, 45)


def judgement(shared=0.0, *, group=0.0, personal=0.0, starter=0.0, rest=0.0, **said):
    score = shared + group + personal + rest
    probability = 1 / (1 + math.exp(-max(-40.0, min(40.0, score))))
    given = {"phishing": None, "bulk": None, "defects": (), **said}
    verdict = Verdict.SPAM if probability >= 0.8 else Verdict.HAM
    return Judgement(
        verdict, score, probability, shared, group, personal, starter, id="ab" * 16, **given
    )


def ruling(of, listing=None, *, action=None, raw=RAW, **said):
    settings = Settings(actions=ActionsSettings(**said))
    limits = Policy(settings.actions, Identity(IdentitySettings())).default
    case = Case(recipient="x", judgement=of, limits=limits, listing=listing, action=action)
    return ruling_of(case, raw, settings)


def names(of):
    return [symbol.name for symbol in of.symbols]


JUDGEMENTS = st.builds(
    lambda shared, group, rest: judgement(shared, group=group, rest=rest, starter=shared / 2),
    *(ODDS, ODDS, ODDS),
)
SETTINGS = st.fixed_dictionaries(
    {
        "required_points": st.floats(0.1, 1000),
        "add_header": st.floats(0, 1.2),
        "reject": st.floats(0, 2),
    }
)


@given(JUDGEMENTS, SETTINGS, st.sampled_from([None, *Listing]))
def test_points_say_what_the_action_says(of, said, listing):
    """Also where they are rounded, and always the sum of their reasons."""
    made = ruling(of, listing, **said)
    is_spam = made.action is not Action.NO_ACTION
    assert made.is_spam == is_spam
    assert (round(made.points, 1) >= round(made.required, 1)) == is_spam
    assert (float(f"{made.points:.1f}") >= float(f"{made.required:.1f}")) == is_spam
    assert sum(one.points for one in made.symbols) == pytest.approx(made.points, abs=1e-6)
    assert (dict(made.fields).get("X-Spam-Flag") == "YES") == is_spam
    for name, value in made.fields:
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()


@given(ODDS, ODDS)
def test_more_odds_are_more_points(one, other):
    low, high = sorted((one, other))
    assert ruling(judgement(low)).points <= ruling(judgement(high)).points


def test_at_the_limit_there_are_the_points_required():
    at_limit = judgement(math.log(4) + 1e-9)
    assert ruling(at_limit).points == 5.0
    assert ruling(at_limit).action is Action.ADD_HEADER
    assert ruling(judgement(math.log(4) - 0.01)).points == 4.94
    assert ruling(judgement(math.log(4) + 1.5)).points == 6.5


def test_without_any_limit_nothing_reaches_the_points():
    sure = ruling(judgement(30.0), add_header=2.0)
    assert (sure.action, sure.points) == (Action.NO_ACTION, 4.94)
    assert "MTSPAM_LIMIT" in names(sure)


def test_levels_are_told_apart():
    made = ruling(judgement(2.0, group=-0.1, personal=-3.0, starter=0.5, rest=0.25))
    points = {one.name: one.points for one in made.symbols}
    assert points == {
        "MTSPAM_EVERYONE": 1.5,
        "MTSPAM_STARTER": 0.5,
        "MTSPAM_ORGANISATION": -0.1,
        "MTSPAM_YOU": -3.0,
        "MTSPAM_MIX": 3.86,
    }
    fields = dict(made.fields)
    assert fields["X-Mtspam-Why"] == "everyone +2.0, your organisation -0.1, you -3.0"
    assert fields["X-Mtspam-Id"] == "ab" * 16
    assert fields["X-Mtspam-Score"].startswith("-0.85 / 0.29")


def test_fields_of_spam():
    fields = dict(ruling(judgement(3.586)).fields)
    assert fields["X-Mtspam-Verdict"] == "spam"
    assert fields["X-Spam-Level"] == "*" * 7
    assert fields["X-Spam-Status"] == (
        "Yes, score=7.2 required=5.0 tests=MTSPAM_EVERYONE,MTSPAM_MIX"
    )


def test_fields_of_ham():
    fields = dict(ruling(judgement(-6.0)).fields)
    assert fields["X-Mtspam-Verdict"] == "ham"
    assert not {"X-Spam-Flag", "X-Spam-Level"} & set(fields)
    assert fields["X-Spam-Status"].startswith("No, score=-2.4 required=5.0 tests=")


def test_stars_are_bounded():
    assert len(dict(ruling(judgement(40.0), Listing.DENIED).fields)["X-Spam-Level"]) == 50


def test_who_is_allowed_passes_and_who_is_denied_does_not():
    allowed = ruling(judgement(9.0), Listing.ALLOWED, reject=0.9)
    assert allowed.action is Action.NO_ACTION
    assert dict(allowed.fields)["X-Mtspam-Verdict"] == "ham"
    denied = ruling(judgement(-9.0), Listing.DENIED)
    assert denied.action is Action.ADD_HEADER
    assert dict(denied.fields)["X-Mtspam-Verdict"] == "spam"
    assert ruling(judgement(-9.0), Listing.DENIED, reject=0.9).action is Action.REJECT


def test_an_unproven_sender_is_told_of_and_changes_nothing():
    made, plain = ruling(judgement(3.0), Listing.UNPROVEN), ruling(judgement(3.0))
    assert (made.action, made.points) == (plain.action, plain.points)
    assert "MTSPAM_ALLOW_UNPROVEN" in names(made)


def test_facts_add_no_points():
    made = ruling(judgement(2.0, phishing=0.93, bulk=0.2, defects=("too-deep",)))
    assert names(made)[-2:] == ["MTSPAM_PHISHING", "MTSPAM_DEFECT_TOO_DEEP"]
    assert made.points == ruling(judgement(2.0)).points


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ({"reject": 0.9}, "550 5.7.1 "),
        ({"tempfail": 0.9}, "451 4.7.1 "),
        ({"discard": 0.9}, None),
        ({}, None),
    ],
)
def test_what_the_sender_is_told(said, begins):
    text = ruling(judgement(9.0), **said).text
    assert text is None if begins is None else text.startswith(begins) and "ab" * 16 in text


@pytest.mark.parametrize(
    ("subject", "made"),
    [
        (b"Subject: hello\r\n", "[SPAM] hello"),
        (b"", "[SPAM] "),
        (b"Subject: [SPAM] hello\r\n", "[SPAM] hello"),
        (b"Subject: =?utf-8?q?a?=\r\n b\r\n", "[SPAM] =?utf-8?q?a?= b"),
        (b"Subject: a\rBcc: x\r\n", "[SPAM] a?Bcc: x"),
        ("Subject: café\r\n".encode(), "=?utf-8?b?W1NQQU1dIGNhZsOp?="),
    ],
)
def test_a_rewritten_subject(subject, made):
    raw = subject + b"From: a@b\r\n\r\n"
    assert ruling(judgement(9.0), rewrite_subject=0.9, raw=raw).subject == made
    assert ruling(judgement(9.0), raw=raw).subject is None


def test_a_subject_is_bounded_and_ascii_whatever_it_is():
    for letter in ("a", "é", "🐟", "\udcff"):
        raw = f"Subject: {letter * 10_000}\n\n".encode("utf-8", "surrogateescape")
        subject = ruling(judgement(9.0), rewrite_subject=0.9, raw=raw).subject
        assert subject.isascii()
        assert subject.isprintable()
        assert len(subject) < 980


def test_one_answer_for_all_recipients_is_told_of():
    mild = ruling(judgement(9.0), action=Action.NO_ACTION)
    assert (mild.action, mild.points) == (Action.NO_ACTION, 4.94)
    assert names(mild)[-1] == "MTSPAM_TOGETHER"
    hard = ruling(judgement(-9.0), action=Action.REJECT)
    assert hard.points == 5.0
    assert hard.is_spam
