import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import ConfigError
from mtspam.journal import Journal
from mtspam.serve.contract import Action, LearnOutcome
from mtspam.serve.counters import Counters
from mtspam.serve.fields import message_id_in, with_fields, without_forged
from mtspam.serve.local import MemoryExamples, open_local_service
from mtspam.types import Label
from tests.serve.local_service import ANA, BOB, LUNCH, PILLS, news, settings_with, to

EVE = "eve@example.net"


def learn(service, raw, label, user=None):
    return asyncio.run(service.learn(raw, label, user=user, source="cli"))


def learn_id(service, message_id, label, user=None):
    return asyncio.run(service.learn_id(message_id, label, user=user, source="imapsieve"))


def unlearn(service, message, user=None):
    return asyncio.run(service.unlearn(message, user=user, source="cli"))


def one(service, raw, *recipients, **said):
    return service.rule(raw, to(*recipients, **said))[0]


@pytest.fixture
def open_service(tmp_path):
    """Open services over states of their own, by name."""
    opened = []

    def make(name="state", counters=None, **sections):
        context = open_local_service(tmp_path / name, settings_with(**sections), counters)
        opened.append(context)
        return context.__enter__()

    yield make
    for context in reversed(opened):
        context.__exit__(None, None, None)


@pytest.fixture
def service(open_service):
    return open_service()


@pytest.fixture
def of_two_minds(service):
    """Ana wants the newsletter, Bob does not."""
    for n in range(6):
        learn(service, news(n), Label.HAM, ANA)
        learn(service, news(n), Label.SPAM, BOB)
        learn(service, PILLS + b"%d" % n, Label.SPAM, ANA)
        learn(service, LUNCH + b"%d" % n, Label.HAM, BOB)
    return service


# Ruling.


def test_each_recipient_gets_their_own_ruling(of_two_minds):
    rulings = of_two_minds.rule(news(99), to(ANA, BOB, EVE))
    assert [one.recipient for one in rulings] == [ANA, BOB, EVE]
    ana, bob, eve = rulings
    assert not ana.is_spam
    assert bob.is_spam
    assert ana.judgement.personal < 0 < bob.judgement.personal
    assert eve.judgement.personal == eve.judgement.group == 0
    assert len({one.judgement.id for one in rulings}) == 1


def test_nothing_of_one_recipient_is_in_anothers_ruling(of_two_minds):
    alone = [one(of_two_minds, news(99), name) for name in (ANA, BOB, EVE)]
    assert list(of_two_minds.rule(news(99), to(ANA, BOB, EVE))) == alone
    assert list(of_two_minds.rule(news(99), to(ANA, EVE))) == [alone[0], alone[2]]


def test_many_recipients_are_as_each_alone(of_two_minds):
    names = [f"user{n}@example.net" for n in range(300)] + [ANA]
    rulings = of_two_minds.rule(news(99), to(*names))
    assert [one.recipient for one in rulings] == names
    assert {one.judgement for one in rulings[:-1]} == {one(of_two_minds, news(99), EVE).judgement}
    assert rulings[-1].judgement == one(of_two_minds, news(99), ANA).judgement


def test_without_a_recipient_the_ruling_is_nobodys(of_two_minds):
    (ruling,) = of_two_minds.rule(news(99), to())
    assert ruling.recipient == ""
    assert ruling.judgement == one(of_two_minds, news(99), EVE).judgement


def test_one_person_by_every_address(of_two_minds):
    plain = one(of_two_minds, news(99), ANA).judgement
    for name in ("Ana@Example.org", "<ana+news@example.org>"):
        assert one(of_two_minds, news(99), name).judgement == plain


def test_a_stranger_becomes_nobody_known(service):
    for n in range(50):
        service.rule(news(n), to(f"user{n}@example.org"))
    assert len(service._model.learner.users) == 0


@pytest.mark.parametrize("raw", [b"", b"\0", b"\n\n", b"\xff" * 1000, b"From: " + b"a" * 300_000])
def test_mail_never_raises(service, raw):
    ruling = one(service, raw, ANA)
    assert 0 <= ruling.judgement.probability <= 1
    assert service.explain(raw, ANA).judgement == ruling.judgement


def test_the_id_outlives_our_fields_and_line_ends(service):
    ruling = one(service, PILLS, ANA)
    marked = with_fields(PILLS, ruling.fields[:4])
    assert one(service, marked.replace(b"\r\n", b"\n"), ANA).judgement.id == ruling.judgement.id


def test_forged_fields_change_no_verdict(service):
    forged = b"X-Spam-Status: No, score=-99\r\nX-Mtspam-Verdict: ham\r\n" + PILLS
    plain, told = one(service, PILLS, ANA).judgement, one(service, forged, ANA).judgement
    assert told.score == plain.score


def test_any_bytes_for_anybody_get_a_ruling(with_policy):
    """Whatever comes, the fields fit a header and the message comes back behind them."""
    service, _ = with_policy
    head = st.sampled_from([b"From: ", b"Authentication-Results: mx.example.org; ", b"Subject: "])
    names = st.one_of(st.text(max_size=60), st.just("\udcff@\udcff"), st.just("a@" + "ü" * 300))

    @given(st.lists(st.tuples(head, st.binary(max_size=80))), st.binary(max_size=300), names)
    def check(fields, body, name):
        raw = b"\r\n".join([*(start + rest for start, rest in fields), b"", body])
        envelope = to(name, ANA, sender=name)
        rulings = [*service.rule(raw, envelope), service.rule_together(raw, envelope)]
        assert rulings[0].recipient == name
        for ruling in rulings:
            assert all(value.isascii() and value.isprintable() for _, value in ruling.fields)
            made = with_fields(raw, ruling.fields)
            assert message_id_in(made) == ruling.judgement.id

    check()


# One answer for all.


def test_one_answer_is_the_one_on_which_all_agree(of_two_minds):
    together = of_two_minds.rule_together(news(99), to(ANA, BOB))
    assert together.action is Action.NO_ACTION
    assert not together.is_spam
    sure = of_two_minds.rule_together(PILLS + b"99", to(ANA, BOB))
    assert sure.action is Action.ADD_HEADER


@pytest.mark.parametrize(
    ("rule", "recipients", "action"),
    [
        ("first", (ANA, BOB), Action.NO_ACTION),
        ("first", (BOB, ANA), Action.REJECT),
        ("worst", (ANA, BOB), Action.REJECT),
        ("agree", (BOB, ANA), Action.NO_ACTION),
        ("agree", (BOB,), Action.REJECT),
    ],
)
def test_the_rule_for_one_answer_is_a_setting(of_two_minds, rule, recipients, action):
    of_two_minds.reload(settings_with(actions={"together": rule, "reject": 0.8}))
    ruling = of_two_minds.rule_together(news(99), to(*recipients))
    assert ruling.action is action
    assert ruling.is_spam == (action is Action.REJECT)
    assert (ruling.text is not None) == ruling.is_spam


def test_one_answer_shows_nothing_personal(of_two_minds):
    """The fields are the same whoever of the two wants it."""
    ruling = of_two_minds.rule_together(news(99), to(ANA, BOB))
    assert ruling.recipient == ""
    assert ruling.judgement.personal == 0
    assert ", you " not in dict(ruling.fields)["X-Mtspam-Why"]
    assert "MTSPAM_YOU" not in str(ruling.fields)
    assert ruling.judgement.group == one(of_two_minds, news(99), "new@example.org").judgement.group
    mixed = of_two_minds.rule_together(news(99), to(ANA, EVE))
    assert mixed.judgement.group == 0


def test_one_person_by_two_addresses_is_one_recipient(of_two_minds):
    ruling = of_two_minds.rule_together(news(99), to(ANA, "ana+x@example.org"))
    assert ruling == one(of_two_minds, news(99), ANA)


# Lists and limits.


@pytest.fixture
def with_policy(open_service, tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(
        '[everyone]\ndeny = ["@letters.example"]\n'
        f'[user."{ANA}"]\nallow = ["deals@pills.invalid"]\n'
        f'[user."{BOB}"]\nreject = 0.0\n'
    )
    service = open_service(
        actions={"policy_file": str(path)}, identity={"trusted_authserv": "mx.example.org"}
    )
    return service, path


PROVEN = b"Authentication-Results: mx.example.org; dmarc=pass header.from=pills.invalid\r\n"


def test_an_allowed_sender_must_be_proven(with_policy):
    service, _ = with_policy
    for n in range(3):
        learn(service, PILLS + b"%d" % n, Label.SPAM, ANA)
    assert one(service, PILLS, ANA).is_spam
    assert "MTSPAM_ALLOW_UNPROVEN" in str(one(service, PILLS, ANA).symbols)
    assert not one(service, PROVEN + PILLS, ANA).is_spam
    assert one(service, PROVEN + PILLS, EVE).is_spam


def test_a_denied_sender_needs_no_proof(with_policy):
    service, _ = with_policy
    assert one(service, news(1), ANA).action is Action.ADD_HEADER
    assert one(service, LUNCH, EVE, sender="x@letters.example").action is Action.ADD_HEADER


def test_a_user_has_limits_of_their_own(with_policy):
    service, _ = with_policy
    assert one(service, LUNCH, BOB).action is Action.REJECT
    assert one(service, LUNCH, BOB).text.startswith("550 5.7.1 ")
    assert one(service, LUNCH, EVE).action is not Action.REJECT


def test_files_are_read_anew_and_kept_if_they_do_not_hold(with_policy):
    service, path = with_policy
    settings = service._settings
    path.write_text(f'[user."{EVE}"]\nreject = 0.0\n')
    service.reload(settings)
    assert one(service, LUNCH, EVE).action is Action.REJECT
    assert one(service, LUNCH, BOB).action is not Action.REJECT
    path.write_text("[user\n")
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        service.reload(settings)
    assert one(service, LUNCH, EVE).action is Action.REJECT


# Learning.


def test_a_label_shows_at_once_and_is_counted_once(service):
    before = one(service, PILLS, ANA).judgement.score
    assert learn(service, PILLS, Label.SPAM, ANA).outcome is LearnOutcome.NEW
    assert one(service, PILLS, ANA).judgement.score > before
    again = learn(service, PILLS, Label.SPAM, "Ana+x@example.org")
    assert again.outcome is LearnOutcome.SAME
    assert learn(service, PILLS, Label.HAM, ANA).outcome is LearnOutcome.CHANGED


def test_what_is_taken_back_was_never_said(service):
    before = one(service, PILLS, ANA).judgement
    learn(service, PILLS, Label.SPAM, ANA)
    assert unlearn(service, PILLS, BOB).outcome is LearnOutcome.UNKNOWN
    taken = unlearn(service, PILLS, ANA)
    assert (taken.outcome, taken.id) == (LearnOutcome.REMOVED, before.id)
    assert one(service, PILLS, ANA).judgement == before
    assert unlearn(service, before.id, ANA).outcome is LearnOutcome.UNKNOWN


def delivered(service, raw, user):
    """A message as it lies in a mailbox: with our fields and those of the servers behind us."""
    marked = with_fields(raw, one(service, raw, user).fields)
    return b"Return-Path: <x@y.example>\r\nReceived: by mail.example.org\r\n" + marked


def test_a_delivered_message_is_learnt_as_it_was_judged(service):
    ruling = one(service, PILLS, ANA)
    judged = service._recent._recent.recall(bytes.fromhex(ruling.judgement.id))
    done = learn(service, delivered(service, PILLS, ANA), Label.SPAM, ANA)
    assert done.id == ruling.judgement.id
    assert learn(service, PILLS, Label.SPAM, ANA).outcome is LearnOutcome.SAME
    assert learn_id(service, done.id, Label.SPAM, ANA).outcome is LearnOutcome.SAME
    (stored,) = service._recent._journal.find(done.id)
    for learnt, seen in zip(stored.example.views, judged.example.views, strict=True):
        assert learnt.tolist() == seen.tolist()
    assert stored.prior == judged.prior != 0


def test_a_mind_changed_after_all_is_forgotten_finds_its_label(open_service):
    service = open_service(serve={"recent_bytes": 0})
    raw = delivered(service, PILLS, ANA)
    first = learn(service, raw, Label.SPAM, ANA)
    assert first.outcome is LearnOutcome.NEW
    assert first.id == one(service, PILLS, ANA).judgement.id
    later = b"X-Another: field\r\n" + raw
    assert learn(service, later, Label.HAM, ANA).outcome is LearnOutcome.CHANGED
    assert learn_id(service, first.id, Label.SPAM, ANA).outcome is LearnOutcome.CHANGED
    assert unlearn(service, later, ANA).outcome is LearnOutcome.REMOVED


def test_the_id_of_another_message_is_not_believed(service):
    ham = one(service, LUNCH, ANA).judgement.id
    forged = b"X-Mtspam-Id: " + ham.encode() + b"\r\n" + PILLS
    done = learn(service, forged, Label.SPAM, ANA)
    assert done.id == one(service, PILLS, ANA).judgement.id
    assert learn_id(service, ham, Label.HAM, ANA).outcome is LearnOutcome.NEW


def test_a_borrowed_id_takes_nothing_else_back(service):
    ham = learn(service, LUNCH, Label.HAM, ANA).id
    forged = b"X-Mtspam-Id: " + ham.encode() + b"\r\n" + PILLS
    spam = learn(service, forged, Label.SPAM, ANA).id
    assert spam != ham
    assert unlearn(service, forged, ANA).id == spam
    assert learn(service, LUNCH, Label.HAM, ANA).outcome is LearnOutcome.SAME


@pytest.mark.parametrize("message_id", ["", "0" * 32, "x" * 32, "é" * 32, "../../etc", "0" * 31])
def test_an_unknown_id(service, message_id):
    assert learn_id(service, message_id, Label.SPAM, ANA).outcome is LearnOutcome.UNKNOWN
    assert unlearn(service, message_id, ANA).outcome is LearnOutcome.UNKNOWN


def test_phishing_is_told_of_and_taken_back_whole(service):
    for n in range(4):
        learn(service, PILLS + b"%d" % n, Label.PHISHING, ANA)
    assert one(service, PILLS, ANA).judgement.phishing > 0.5
    assert "MTSPAM_PHISHING" in dict(one(service, PILLS, ANA).fields)["X-Spam-Status"]
    assert unlearn(service, PILLS + b"1", ANA).outcome is LearnOutcome.REMOVED
    assert learn(service, PILLS + b"2", Label.HAM, ANA).outcome is LearnOutcome.CHANGED


def test_explanations_are_bounded_and_for_one_user(of_two_minds):
    found = of_two_minds.explain(news(99), BOB, limit=3)
    assert len(found.reasons) == 3
    assert found.judgement == one(of_two_minds, news(99), BOB).judgement
    assert any(reason.personal for reason in found.reasons)
    assert not any(reason.personal for reason in of_two_minds.explain(news(99), EVE).reasons)


def test_what_is_done_is_counted(open_service):
    counters = Counters(1)
    service = open_service(counters=counters)
    service.rule(LUNCH, to(ANA, BOB))
    service.rule_together(LUNCH, to(ANA, BOB))
    learn(service, LUNCH, Label.HAM, ANA)
    totals = counters.totals()
    assert totals["rulings"] == 3
    assert totals["learned:new"] == 1
    assert totals["seconds"] > 0


def test_the_state_is_the_one_of_the_command_line(open_service, tmp_path):
    from mtspam.spam import SpamFilter

    with open_local_service(tmp_path / "s", settings_with()) as service:
        learn(service, PILLS, Label.SPAM, ANA)
        learn(service, LUNCH, Label.HAM, None)
        service_says = one(service, news(1), ANA).judgement
    with SpamFilter.open(tmp_path / "s", settings_with()) as spam_filter:
        assert spam_filter.judge(news(1), user=ANA, group="example.org") == service_says
        assert spam_filter.check().is_equal
        assert spam_filter.unlearn(PILLS, user=ANA) == 1
    with Journal.open(tmp_path / "s" / "journal.sqlite", read_only=True) as journal:
        assert journal.counts().n_live == 1


def test_the_memory_of_examples_is_bounded(service):
    memory = MemoryExamples(20_000)
    recalled = []
    for n in range(100):
        raw = news(n)
        service.rule(raw, to(ANA))
        digest = bytes.fromhex(one(service, raw, ANA).judgement.id)
        example = service._recent.recall(digest).example
        memory.remember(digest, example, 0.0)
        memory.remember(digest, example, 0.0)
        recalled.append(digest)
    assert memory._used <= 20_000
    assert memory.recall(recalled[-1]) is not None
    assert memory.recall(recalled[0]) is None
    assert without_forged(news(1)) == news(1)
