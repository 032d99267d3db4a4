import pytest

from mtspam.errors import DataError
from mtspam.types import Label
from tests.spam.conftest import LUNCH, NEWS, PILLS, arrays_of, basics, contents, mail, said

# Two messages whose ids begin with the same eight digits under the secret of these tests.
TWINS = [f"Subject: order\n\nNumber {n}\n".encode() for n in (4583, 63708)]


def labels_of(spam_filter):
    return spam_filter.status().labels


@pytest.mark.parametrize("n_digits", [8, 9, 32])
def test_by_id(open_state, taught, n_digits):
    with open_state() as spam_filter:
        message_id = spam_filter.judge(mail(PILLS, 4)).id
        assert spam_filter.unlearn(message_id[:n_digits].upper()) == 1
        assert labels_of(spam_filter) == {"ham": 12, "spam": 11}
        assert spam_filter.unlearn(message_id) == 0


@pytest.mark.parametrize(
    "change",
    [bytes, lambda raw: raw.replace(b"\n", b"\r\n"), lambda raw: b"X-MTSpam-Score: 7\n" + raw],
)
def test_by_message(open_state, taught, change):
    with open_state() as spam_filter:
        assert spam_filter.unlearn(change(mail(PILLS, 4))) == 1


def test_as_if_it_had_never_been_said(open_state, taught, is_exact):
    raw = mail(PILLS, 4)
    with open_state("never") as spam_filter:
        spam_filter.learn_many(one for one in basics() if one.raw != raw)
        expected = spam_filter.judge(raw).score
    with open_state() as spam_filter:
        assert spam_filter.judge(raw).score > expected
        spam_filter.unlearn(raw)
        assert spam_filter.judge(raw).score == expected
        assert spam_filter.status().is_exact
        assert spam_filter.status().is_current
    assert is_exact(taught)
    assert contents(taught)[1] == contents(taught.with_name("never"))[1]


def test_a_label_that_taught_nothing_does_no_harm(open_state, state, is_exact):
    """To learn the contrary of a label that was known before would teach much that is wrong."""
    with open_state() as spam_filter:
        spam_filter.learn_many(basics())
        known = [said(mail(LUNCH, n), Label.HAM, user="ana") for n in range(12)]
        before = [spam_filter.judge(mail(LUNCH, n)).score for n in range(20, 30)]
        spam_filter.learn_many(known)
        for one in known:
            assert spam_filter.unlearn(one.raw, user="ana") == 1
        assert [spam_filter.judge(mail(LUNCH, n)).score for n in range(20, 30)] == before
    assert is_exact(state)


def test_folded_when_it_is_closed(open_state, taught, is_exact):
    with open_state() as spam_filter:
        spam_filter.unlearn(mail(PILLS, 4))
    assert is_exact(taught)


def test_nothing_to_take_back(open_state, taught):
    with open_state() as spam_filter:
        before = arrays_of(spam_filter)
        assert spam_filter.unlearn(mail(PILLS, 99)) == 0
        assert spam_filter.unlearn("0123456789abcdef") == 0
        assert spam_filter.unlearn(mail(PILLS, 1), user="ana") == 0
        assert spam_filter.unlearn(mail(PILLS, 99), everyone=True) == 0
        assert arrays_of(spam_filter) == before
        assert spam_filter.status().is_exact


@pytest.mark.parametrize("wrong", ["", "0", "1234567", "0123456g", "0" * 33, "../../etc"])
def test_what_is_no_id(open_state, taught, wrong):
    with open_state() as spam_filter:
        spam_filter.unlearn(mail(PILLS, 1))
        with pytest.raises(DataError):
            spam_filter.unlearn(wrong, everyone=True)
        assert labels_of(spam_filter) == {"ham": 12, "spam": 11}


def test_an_ambiguous_id(open_state):
    with open_state() as spam_filter:
        ids = [spam_filter.learn(raw, Label.SPAM).ids[0] for raw in TWINS]
        (begin,) = {message_id[:8] for message_id in ids}
        with pytest.raises(DataError, match="2 messages; give more digits"):
            spam_filter.unlearn(begin)
        assert labels_of(spam_filter) == {"spam": 2}
        assert spam_filter.unlearn(ids[0][:12]) == 1
        # What is left of it is not ambiguous any more.
        assert spam_filter.unlearn(begin) == 1


def test_whose_label(open_state):
    raw = mail(NEWS, 1)
    with open_state() as spam_filter:
        spam_filter.learn(raw, Label.SPAM)
        spam_filter.learn(raw, Label.SPAM, user="ana@example.org")
        spam_filter.learn(raw, Label.HAM, user="ben", group="org")
        assert spam_filter.unlearn(raw, user="Ana+x@Example.org") == 1
        assert labels_of(spam_filter) == {"ham": 1, "spam": 1}
        assert spam_filter.unlearn(raw) == 1
        assert labels_of(spam_filter) == {"ham": 1}
        spam_filter.learn(raw, Label.BULK, user="chloe")
        assert spam_filter.unlearn(raw, everyone=True) == 2
        assert labels_of(spam_filter) == {}


def test_a_newsletter_that_very_many_labelled(open_state, small, taught, is_exact):
    raw, n = mail(NEWS, 1), 130
    with open_state() as spam_filter:
        spam_filter.learn_many(said(raw, Label.SPAM, f"user{i}") for i in range(n))
        last = max(range(n), key=lambda i: spam_filter.user_key(f"user{i}"))
        assert spam_filter.unlearn(raw, user=f"user{last}") == 1
        assert spam_filter.unlearn(raw, everyone=True) == n - 1
        assert spam_filter.users() == []
        spam_filter.fold()
    assert is_exact(taught)


def test_all_answers_of_a_label_go(open_state):
    with open_state() as spam_filter:
        spam_filter.learn(mail(PILLS, 1), Label.PHISHING, user="ana")
        assert labels_of(spam_filter) == {"phishing": 1, "spam": 1}
        assert spam_filter.unlearn(mail(PILLS, 1), user="ana") == 2
        assert labels_of(spam_filter) == {}


def test_who_says_ham_takes_back_phishing(open_state, state, is_exact):
    raw, other = mail(LUNCH, 1), mail(PILLS, 1)
    with open_state() as spam_filter:
        spam_filter.learn_many(
            said(raw, Label.PHISHING, user) for user in ("ana", "ben", "chloe", None)
        )
        spam_filter.learn(other, Label.PHISHING, user="ana")
        done = spam_filter.learn(raw, Label.HAM, user="ana")
        assert (done.n_new, done.n_changed) == (0, 1)
        assert labels_of(spam_filter) == {"ham": 1, "phishing": 4, "spam": 4}
        # Spam is no contrary of phishing, and what was said last counts.
        spam_filter.learn(raw, Label.SPAM, user="ben")
        spam_filter.learn_many(said(raw, one, "chloe") for one in (Label.HAM, Label.PHISHING))
        assert labels_of(spam_filter) == {"ham": 1, "phishing": 4, "spam": 4}
        spam_filter.learn_many(said(raw, one) for one in (Label.SPAM, Label.HAM))
        assert labels_of(spam_filter) == {"ham": 2, "phishing": 3, "spam": 3}
        spam_filter.fold()
    assert is_exact(state)


def test_phishing_and_ham_at_once(open_state, state, is_exact):
    with open_state() as spam_filter:
        raw = mail(LUNCH, 1)
        spam_filter.learn_many(said(raw, one, "ana") for one in (Label.PHISHING, Label.HAM))
        assert labels_of(spam_filter) == {"ham": 1}
        assert spam_filter.judge(raw).phishing is None
        assert spam_filter.status().is_exact
    assert is_exact(state)


def test_taken_back_and_said_again(open_state, taught, is_exact):
    with open_state() as spam_filter:
        spam_filter.unlearn(mail(PILLS, 1))
        assert spam_filter.learn(mail(PILLS, 1), Label.SPAM).n_new == 1
        assert labels_of(spam_filter) == {"ham": 12, "spam": 12}
        assert spam_filter.status().is_exact
    assert is_exact(taught)
