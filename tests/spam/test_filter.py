import numpy as np
import pytest

from mtspam.errors import DataError, JournalError
from mtspam.spam import SpamFilter
from mtspam.types import Label, Verdict
from tests.spam.conftest import (
    LUNCH,
    NEWS,
    PILLS,
    arrays_of,
    basics,
    contents,
    mail,
    said,
    some_labels,
    with_model,
)

NEW_PILLS, NEW_LUNCH, NEW_NEWS = (mail(template, 900) for template in (PILLS, LUNCH, NEWS))


def columns(found):
    names = ("score", "probability", "shared", "group", "personal", "starter")
    # None and "not a number" say the same, of one message and in a column.
    return np.array([getattr(found, name) for name in (*names, "phishing", "bulk")], float)


# Judging.


def test_it_learns(open_state):
    with open_state() as spam_filter:
        spam_filter.learn_many(basics())
        assert spam_filter.judge(NEW_PILLS).verdict is Verdict.SPAM
        assert spam_filter.judge(NEW_LUNCH).verdict is Verdict.HAM


def test_many_as_one_by_one(open_state, rng):
    with open_state() as spam_filter:
        spam_filter.learn_many(some_labels(rng, 60))
        raws = [mail(t, n) for n in range(95, 100) for t in (PILLS, LUNCH, NEWS)] + [b"", b"\0"]
        users = [[None, "ana", "stranger"][n % 3] for n in range(len(raws))]
        groups = [[None, "org"][n % 2] for n in range(len(raws))]
        many = spam_filter.judge_many(raws, users, groups)
        for n, row in enumerate(zip(raws, users, groups, strict=True)):
            one = spam_filter.judge(row[0], user=row[1], group=row[2])
            assert one.verdict is many.verdicts[n]
            assert np.array_equal(columns(one), columns(many)[:, n], equal_nan=True)
        alone = spam_filter.judge_many(raws)
        assert (alone.personal == 0).all()
        assert len(alone) == len(raws)
        assert len(spam_filter.judge_many([])) == 0


def test_levels_sum_up(open_state, rng):
    with open_state() as spam_filter:
        spam_filter.learn_many(some_labels(rng, 60))
        found = spam_filter.judge(NEW_NEWS, user="ana", group="org")
        assert found.shared + found.group + found.personal == pytest.approx(found.score)
        assert found.group
        assert found.personal
        assert 0 < found.bulk < 1


def test_heads_speak_once_taught(open_state):
    with open_state() as spam_filter:
        spam_filter.learn_many(basics())
        before = spam_filter.judge(NEW_NEWS)
        assert (before.phishing, before.bulk) == (None, None)
        for n in range(8):
            spam_filter.learn(mail(NEWS, n), Label.BULK)
            spam_filter.learn(mail(PILLS, 50 + n), Label.PHISHING)
        news, pills = spam_filter.judge(NEW_NEWS), spam_filter.judge(NEW_PILLS)
        assert news.bulk > pills.bulk
        assert pills.phishing > news.phishing


def test_mail_never_raises(open_state, taught):
    with open_state(read_only=True) as spam_filter:
        for raw in (b"", b"\n", b"\0" * 5000, b"a" * 70_000, bytes(range(256)) * 20):
            assert 0 < spam_filter.judge(raw).probability < 1
        assert "no-boundary" in spam_filter.judge(b"Content-Type: multipart/mixed\n\nx").defects


def test_judging_changes_nothing(open_state, taught):
    with open_state() as spam_filter:
        before = arrays_of(spam_filter)
        for n in range(50):
            spam_filter.judge(NEW_PILLS, user=f"stranger{n}", group=f"group{n}")
        spam_filter.judge_many([NEW_NEWS] * 9, [f"other{n}" for n in range(9)])
        spam_filter.explain(NEW_LUNCH, user="somebody")
        assert arrays_of(spam_filter) == before
        assert spam_filter.users() == []


# Whose word counts.


@pytest.fixture
def careful(small):
    """Settings under which one user's day moves nobody else far."""
    return with_model(small, voice_per_day=0.5, young_labels=0.0)


def test_opposite_users_get_opposite_verdicts(open_state, careful):
    with open_state(settings=careful) as spam_filter:
        spam_filter.learn_many(basics())
        before = spam_filter.judge(NEW_NEWS, user="chloe")
        for n in range(12):
            spam_filter.learn_many(
                [
                    said(mail(NEWS, n), Label.SPAM, "ana"),
                    said(mail(NEWS, n), Label.HAM, "ben"),
                ]
            )
        assert spam_filter.judge(NEW_NEWS, user="ana").verdict is Verdict.SPAM
        assert spam_filter.judge(NEW_NEWS, user="Ben+news ").verdict is not Verdict.SPAM
        assert spam_filter.judge(NEW_NEWS, user="ben").score < -1
        after = spam_filter.judge(NEW_NEWS, user="chloe")
        assert after.personal == 0
        assert abs(after.score - before.score) <= 2 * 0.5 * 1.02 + 1e-4
        assert {user.n_labels for user in spam_filter.users()} == {12}


def test_administrators_labels_are_not_bounded(open_state, careful):
    with open_state(settings=careful) as spam_filter:
        spam_filter.learn_many(basics())
        before = spam_filter.judge(NEW_NEWS)
        spam_filter.learn_many(said(mail(NEWS, n), Label.SPAM) for n in range(12))
        assert spam_filter.judge(NEW_NEWS).score > before.score + 2 * 0.5


def test_a_group_has_a_level_of_its_own(open_state):
    with open_state() as spam_filter:
        spam_filter.learn_many(basics())
        for n in range(12):
            spam_filter.learn(mail(NEWS, n), Label.SPAM, group="org")
            spam_filter.learn(mail(NEWS, n + 50), Label.HAM, user="ben", group="club")
        org, club = (spam_filter.judge(NEW_NEWS, group=group) for group in (" ORG", "club"))
        assert org.group > 0 > club.group
        assert org.score > club.score
        assert org.shared == club.shared
        assert spam_filter.judge(NEW_NEWS, group="nobody").group == 0


# Learning.


def test_the_same_label_twice_is_one(open_state, taught):
    with open_state() as spam_filter:
        before = arrays_of(spam_filter)
        done = spam_filter.learn_many(basics())
        assert (done.n_messages, done.n_new, done.n_same, done.n_changed) == (24, 0, 24, 0)
        assert arrays_of(spam_filter) == before
        done = spam_filter.learn_many(
            said(mail(PILLS, 0).replace(b"\n", b"\r\n"), Label.SPAM, user) for user in "aAb"
        )
        assert (done.n_new, done.n_same) == (2, 1)
        assert len(set(done.ids)) == 1
        assert spam_filter.judge(mail(PILLS, 0)).id == done.ids[0]


def test_a_changed_mind_replaces(open_state, taught, state, is_exact):
    with open_state() as spam_filter:
        done = spam_filter.learn(mail(LUNCH, 3), Label.SPAM)
        assert (done.n_new, done.n_changed) == (0, 1)
        assert spam_filter.status().labels == {"ham": 11, "spam": 13}
        assert not spam_filter.status().is_exact
    assert not is_exact(state)
    with open_state() as spam_filter:
        assert not spam_filter.status().is_exact
        assert not spam_filter.check().is_equal
        spam_filter.fold()
        assert spam_filter.status().is_exact
    assert is_exact(state)
    with open_state("straight") as spam_filter:
        labels = [one for one in basics() if one.raw != mail(LUNCH, 3)]
        spam_filter.learn_many([*labels, said(mail(LUNCH, 3), Label.SPAM)])
    assert contents(state.with_name("straight"))[1] == contents(state)[1]


def test_a_mind_changed_at_once_needs_no_fold(open_state, state, is_exact):
    with open_state() as spam_filter:
        raw = mail(LUNCH, 3)
        done = spam_filter.learn_many([said(raw, Label.SPAM), said(raw, Label.HAM), *basics()])
        assert done.n_changed == 1
        assert spam_filter.status().is_exact
    assert is_exact(state)


def test_any_sessions_give_the_same_bits(open_state, state, rng, is_exact):
    labels = list(dict.fromkeys(some_labels(rng, 120)))
    seen = {}
    for one in labels:  # without changed minds, which only a fold undoes
        seen.setdefault((one.raw, one.user, one.label is Label.BULK), one)
    labels = list(seen.values())
    with open_state() as spam_filter:
        spam_filter.learn_many(labels)
        assert spam_filter.status().is_exact
    for start in range(0, len(labels), 23):
        with open_state("pieces") as spam_filter:
            part = labels[start : start + 23]
            for one in part[:3]:
                spam_filter.learn(
                    one.raw, one.label, user=one.user, group=one.group, time=one.time
                )
            spam_filter.learn_many(part[3:])
    assert is_exact(state)
    pieces = contents(state.with_name("pieces"))
    assert pieces[1] == contents(state)[1]
    assert pieces[0]["n_corrections"] == 0
    with open_state() as spam_filter:
        assert spam_filter.check().is_equal
        assert spam_filter.status().is_current
        before = arrays_of(spam_filter)
        report = spam_filter.fold()
        assert arrays_of(spam_filter) == before
        assert report.n_events == spam_filter.status().n_events


def test_a_source_that_fails_leaves_all_as_it_was(open_state, taught):
    def broken():
        yield from basics(300)
        raise DataError("mail.mbox: torn")

    with open_state() as spam_filter:
        before, status = arrays_of(spam_filter), spam_filter.status()
        with pytest.raises(DataError, match="torn"):
            spam_filter.learn_many(broken())
        assert arrays_of(spam_filter) == before
        assert spam_filter.status() == status
        # And it goes on from there.
        spam_filter.learn_many(basics(13))
        assert spam_filter.status().is_exact
        assert spam_filter.status().n_events == 26


def test_learning_nothing(open_state, state):
    with open_state() as spam_filter:
        assert spam_filter.learn_many([]).ids == ()
    assert contents(state)[0]["position"] == 0


def test_progress_counts_messages(open_state):
    with open_state() as spam_filter:
        counts = []
        spam_filter.learn_many(basics(150), counts.append)
        assert counts == [256, 44]


class Interrupted:
    """A learner that is interrupted after it has learnt so many batches."""

    def __init__(self, monkeypatch, after):
        from mtspam.model import Learner

        real, self.left = Learner.learn_many, after

        def learn_many(learner, batch):
            scores = real(learner, batch)
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return scores

        monkeypatch.setattr(Learner, "learn_many", learn_many)


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupt_while_learning_loses_and_doubles_nothing(
    open_state, state, monkeypatch, after, is_exact
):
    with open_state() as spam_filter:
        spam_filter.learn_many(basics(3))
        Interrupted(monkeypatch, after)
        with pytest.raises(KeyboardInterrupt):
            spam_filter.learn_many(basics(300))
    with open_state() as spam_filter:
        assert spam_filter.status().n_events == 600
    assert is_exact(state)


def test_an_interrupt_is_made_good_by_the_next_label(open_state, state, monkeypatch, is_exact):
    with open_state() as spam_filter:
        spam_filter.learn_many(basics(3))
        Interrupted(monkeypatch, after=1)
        with pytest.raises(KeyboardInterrupt):
            spam_filter.learn_many(basics(300))
        spam_filter.learn(NEW_PILLS, Label.SPAM)
        assert spam_filter.status().is_exact
    assert is_exact(state)


def test_an_interrupt_while_unlearning(open_state, taught, monkeypatch, is_exact):
    Interrupted(monkeypatch, after=1)
    with pytest.raises(KeyboardInterrupt), open_state() as spam_filter:
        spam_filter.unlearn(mail(PILLS, 1))
    with open_state() as spam_filter:
        assert spam_filter.status().labels["spam"] == 11
        assert spam_filter.status().is_exact
    assert is_exact(taught)


# Opened for reading, and closed.


def test_a_reader_learns_nothing(open_state, taught):
    with open_state(read_only=True) as spam_filter:
        for verb in (
            lambda: spam_filter.learn(NEW_PILLS, Label.SPAM),
            lambda: spam_filter.unlearn(mail(PILLS, 1)),
            lambda: spam_filter.forget("ana"),
            spam_filter.fold,
        ):
            with pytest.raises(JournalError, match="reading"):
                verb()
        assert spam_filter.check().is_equal


def test_a_closed_filter_learns_nothing(open_state, taught):
    spam_filter = open_state()
    spam_filter.close()
    spam_filter.close()
    with pytest.raises(JournalError, match="closed"):
        spam_filter.learn(NEW_PILLS, Label.SPAM)
    with open_state():
        pass


def test_state_as_text_and_default_settings(tmp_path):
    with SpamFilter.open(str(tmp_path / "none"), read_only=True) as spam_filter:
        assert spam_filter.judge(NEW_PILLS).score > spam_filter.judge(NEW_LUNCH).score


def test_one_label_decides_about_the_next_mail_of_a_sender(open_state):
    """Whoever takes a message out of Junk expects the sender's next one elsewhere."""
    words = iter(range(10_000))

    def issue():
        text = " ".join(f"word{next(words)}" for _ in range(30))
        return b"From: Deals <deals@shop.example>\nSubject: offer\n\n" + text.encode() + b"\n"

    with open_state() as spam_filter:
        spam_filter.learn_many(basics(40))
        spam_filter.learn_many(
            said(issue(), Label.SPAM, user=f"user{n}@example.org") for n in range(100)
        )
        assert spam_filter.judge(issue(), user="ana").verdict is Verdict.SPAM
        spam_filter.learn(issue(), Label.HAM, user="ana")
        assert spam_filter.judge(issue(), user="ana").verdict is not Verdict.SPAM
        assert spam_filter.judge(issue(), user="ben").verdict is Verdict.SPAM
