import math

import pytest

from mtspam.mail.views import View
from mtspam.model.register import BIAS
from mtspam.spam.keys import group_key, user_key
from mtspam.types import Label
from tests.spam.conftest import NEWS, PILLS, SECRET, basics, mail, said, with_model

NEW_PILLS, NEW_NEWS = mail(PILLS, 900), mail(NEWS, 900)


@pytest.fixture
def opinionated(open_state):
    with open_state() as spam_filter:
        spam_filter.learn_many(basics())
        for n in range(10):
            spam_filter.learn(mail(NEWS, n), Label.SPAM, user="ana", group="org")
            spam_filter.learn(mail(NEWS, n), Label.HAM, user="ben")
    with open_state(read_only=True) as spam_filter:
        yield spam_filter


@pytest.mark.parametrize(("user", "group"), [(None, None), ("ana", "org"), ("ben", None)])
@pytest.mark.parametrize("raw", [NEW_PILLS, NEW_NEWS])
def test_views_sum_up_to_the_judgement(opinionated, raw, user, group):
    found = opinionated.explain(raw, user=user, group=group)
    judgement = opinionated.judge(raw, user=user, group=group)
    assert found.judgement == judgement
    names, *levels = zip(*found.views, strict=True)
    assert list(names) == [view.name.lower() for view in View]
    # What no feature says: the bias of each level.
    learner = opinionated._kept.learner
    biases = [learner.arrays()["state"][0], 0.0, 0.0]
    if group:
        biases[1] = learner.groups.figures[learner.groups.row(group_key(group, SECRET)), BIAS]
    if user:
        biases[2] = learner.users.figures[learner.users.row(user_key(user, SECRET)), BIAS]
    sums = [sum(column) + bias for column, bias in zip(levels, biases, strict=True)]
    assert sums == pytest.approx([judgement.shared, judgement.group, judgement.personal], abs=1e-6)


def test_reasons_sum_up_to_views(opinionated):
    found = opinionated.explain(NEW_NEWS, user="ana", group="org", limit=10_000)
    for name, *levels in found.views:
        mine = [reason for reason in found.reasons if reason.view == name]
        for level, whole in zip(("shared", "group", "personal"), levels, strict=True):
            assert math.fsum(getattr(one, level) for one in mine) == pytest.approx(whole, abs=1e-9)


def test_the_strongest_first(opinionated):
    every = opinionated.explain(NEW_NEWS, user="ana", limit=10_000).reasons
    sizes = [abs(reason.total) for reason in every]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] > 0
    few = opinionated.explain(NEW_NEWS, user="ana", limit=4).reasons
    assert [abs(reason.total) for reason in few] == sizes[:4]
    assert opinionated.explain(NEW_NEWS, limit=0).reasons == ()
    assert len(opinionated.explain(NEW_NEWS).reasons) == 15


def test_reasons_are_readable(opinionated):
    found = opinionated.explain(NEW_PILLS, limit=10_000)
    words = {reason.text.lower(): reason for reason in found.reasons if reason.view == "text"}
    assert words["pills"].shared > 0
    assert all(reason.text.isprintable() for reason in found.reasons)
    assert {reason.view for reason in found.reasons} >= {"head", "body", "text", "identity"}
    for_ana = opinionated.explain(NEW_NEWS, user="ana", limit=10_000).reasons
    for_ben = opinionated.explain(NEW_NEWS, user="ben", limit=10_000).reasons
    ana, ben = (
        {reason.text: reason.personal for reason in reasons if reason.view == "identity"}
        for reasons in (for_ana, for_ben)
    )
    (sender,) = [text for text in ana if text == "news@example.com"]
    assert ana[sender] > 0 > ben[sender]


def test_strangers_have_no_personal_reasons(opinionated):
    for reason in opinionated.explain(NEW_NEWS, user="eve", group="none").reasons:
        assert (reason.group, reason.personal) == (0, 0)


def test_before_the_first_label_the_starter_speaks(open_state):
    with open_state("none", read_only=True) as spam_filter:
        raw = b"Subject: You won money\n\nClick here to claim free money, viagra, guaranteed\n"
        found = spam_filter.explain(raw)
        assert found.judgement.starter > 0
        assert found.reasons[0].shared
        whole = sum(shared for _, shared, _, _ in found.views)
        assert 0 < whole <= found.judgement.starter + 1e-9


def test_a_silent_starter_is_not_among_the_reasons(open_state, small):
    with open_state(settings=with_model(small, starter_labels=10.0)) as spam_filter:
        spam_filter.learn_many(basics())
        found = spam_filter.explain(NEW_PILLS)
        assert found.judgement.starter == 0
        whole = sum(shared for _, shared, _, _ in found.views)
        bias = spam_filter._kept.learner.arrays()["state"][0]
        assert whole + bias == pytest.approx(found.judgement.shared, abs=1e-4)


@pytest.mark.parametrize("raw", [b"", b"\0" * 9, b"\n\n\n", bytes(range(256)) * 9])
def test_odd_mail_is_explained(opinionated, raw):
    found = opinionated.explain(raw, user="ana")
    assert found.judgement == opinionated.judge(raw, user="ana")
    assert len(found.views) == len(View)


def test_one_message_among_others(opinionated):
    """An explanation is of its own message, whatever was read before and after."""
    first = opinionated.explain(NEW_PILLS)
    opinionated.judge_many([NEW_NEWS, b""])
    assert opinionated.explain(NEW_PILLS) == first


def test_explaining_what_was_said(opinionated):
    message = said(mail(NEWS, 3), Label.SPAM, "ana", "org")
    found = opinionated.explain(message.raw, user=message.user, group=message.group)
    assert sum(personal for *_, personal in found.views) > 0
    assert sum(group for _, _, group, _ in found.views) > 0
