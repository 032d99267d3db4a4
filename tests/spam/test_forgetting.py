"""A user forgotten: the state equals one that never knew them, and no file has a trace."""

import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.fold import fold_journal
from mtspam.journal import Journal, pack_example
from mtspam.spam.keys import user_key
from mtspam.types import Label
from tests.spam.conftest import (
    LUNCH,
    NEWS,
    PILLS,
    SECRET,
    basics,
    contents,
    mail,
    said,
    some_labels,
    with_model,
)

GONE = "Eve@example.org"


def story(rng):
    """Sessions of steps of several users, Eve's among them: labels, changed minds, regrets."""
    labels = []
    for one in some_labels(rng, 150, (None, "ana", "ben", GONE, GONE), (None, "org", "club")):
        labels.append(one)
        if rng.random() < 0.1 and one.label is not Label.BULK:
            other = Label.HAM if one.label is not Label.HAM else Label.SPAM
            labels.append(said(one.raw, other, one.user, one.group, 9))
    # A run of each answer, so that remembered messages are learnt again, hers with them.
    labels += [said(mail(PILLS, 500 + n), Label.SPAM, (GONE, "ana")[n % 2]) for n in range(40)]
    labels += [
        said(mail(LUNCH, 500 + n), Label.HAM, (GONE, None)[n % 2], "org") for n in range(40)
    ]
    return [labels[n : n + 60] for n in range(0, len(labels), 60)]


def live(open_state, name, sessions, *, is_kept=lambda _user: True):
    for session in sessions:
        with open_state(name) as spam_filter:
            spam_filter.learn_many(one for one in session if is_kept(one.user))
            for one in session[::12]:
                if is_kept(one.user):
                    spam_filter.unlearn(one.raw, user=one.user)


def files(state):
    return {path.name: path.read_bytes() for path in state.iterdir()}


def traces(state, key):
    """Bytes that only this user's events brought into the journal."""
    with Journal.open(state / "journal.sqlite", read_only=True) as journal:
        events = journal.find("", limit=10_000)
    others = {event.digest for event in events if event.user != key}
    mine = [event for event in events if event.user == key and event.digest not in others]
    packed = [pack_example(event.example) for event in mine]
    # From the middle on, away from what all messages have in common.
    return [key, *{event.digest for event in mine}, *{one[-60:-20] for one in packed}]


@pytest.fixture
def sessions(rng):
    return story(rng)


def test_as_if_they_had_never_been_here(open_state, state, sessions, small, is_exact):
    live(open_state, "state", sessions)
    live(open_state, "never", sessions, is_kept=lambda user: user != GONE)
    key = user_key(GONE, SECRET)
    searched = traces(state, key)
    before = files(state)
    assert len(searched) > 40
    assert all(trace in before["journal.sqlite"] for trace in searched)
    assert key in before["model.snapshot"]
    with open_state() as spam_filter:
        assert spam_filter.forget("eve+spam@EXAMPLE.org") > 40
        assert spam_filter.status().is_exact
    for name, content in files(state).items():
        assert [trace.hex() for trace in searched if trace in content] == [], name
    with open_state("never") as spam_filter:
        spam_filter.fold()
    assert contents(state)[1] == contents(state.with_name("never"))[1]
    assert is_exact(state)
    with open_state(read_only=True) as spam_filter:
        assert spam_filter.check().is_equal
        assert key.hex() not in {user.key for user in spam_filter.users()}
        assert len(spam_filter.users()) == 2


def test_the_story_has_memories_and_all_answers(open_state, state, sessions, small):
    """Or the test above would hold less than it says."""
    live(open_state, "state", sessions)
    forgetful = with_model(small, replay_messages=0)
    with Journal.open(state / "journal.sqlite", read_only=True) as journal:
        found = journal.counts()
        learners = [fold_journal(journal, one.model, 5) for one in (small, forgetful)]
    assert {kind.value for kind, _ in found.labels} == {"spam", "phishing", "bulk"}
    assert found.n_events > found.n_live + 20
    remembered = learners[0].arrays()["replay_counts"][0]
    assert remembered == small.model.replay_messages
    weights = [one.arrays()["shared_weights"] for one in learners]
    assert not np.array_equal(*weights)
    assert (learners[0].arrays()["head_weights"] != 0).any(axis=1).all()
    assert (learners[0].arrays()["group_weights"] != 0).any()


def test_nobody_to_forget(open_state, taught):
    with open_state() as spam_filter:
        spam_filter.learn(mail(NEWS, 1), Label.SPAM, user="ana")
        before = spam_filter.status()
        assert spam_filter.forget("eve") == 0
        assert spam_filter.status() == before
        for name in ("", "  "):
            with pytest.raises(DataError, match="empty"):
                spam_filter.forget(name)
        assert spam_filter.forget("ana") == 1
        assert spam_filter.forget("ana") == 0


def test_the_snapshot_goes_at_once(open_state, taught):
    """Whatever stops the program before the next snapshot, no file knows the user any more."""
    with open_state() as spam_filter:
        spam_filter.learn(mail(NEWS, 1), Label.SPAM, user="ana")
    assert user_key("ana", SECRET) in files(taught)["model.snapshot"]
    with open_state() as spam_filter:
        spam_filter.forget("ana")
        assert not (taught / "model.snapshot").exists()
        with open_state(read_only=True) as reader:
            assert reader.judge(mail(NEWS, 1)) == spam_filter.judge(mail(NEWS, 1))
    assert (taught / "model.snapshot").exists()


def test_a_forgotten_user_may_come_back(open_state, taught, is_exact):
    for n in range(3):
        with open_state() as spam_filter:
            spam_filter.learn_many(
                said(mail(NEWS, 5 + i), Label.SPAM, "ana") for i in range(n + 1)
            )
            assert [user.n_labels for user in spam_filter.users()] == [n + 1]
            assert spam_filter.forget("ana") == n + 1
    assert is_exact(taught)
    with open_state("never") as spam_filter:
        spam_filter.learn_many(basics())
    assert contents(taught)[1] == contents(taught.with_name("never"))[1]
