from mtspam.spam.keys import user_key
from mtspam.types import Label
from tests.spam.conftest import DAY, LUNCH, MONDAY, NEWS, PILLS, SECRET, mail, said


def test_users(open_state):
    with open_state() as spam_filter:
        spam_filter.learn_many(
            [
                said(mail(PILLS, 1), Label.SPAM, "ana", day=3),
                said(mail(LUNCH, 1), Label.HAM, "Ana ", day=1),
                said(mail(PILLS, 2), Label.PHISHING, "ana", day=2),
                said(mail(PILLS, 1), Label.SPAM, "ben"),
                said(mail(NEWS, 1), Label.BULK, "chloe"),
                said(mail(PILLS, 3), Label.SPAM),
            ]
        )
        ana, *others = spam_filter.users()
        assert ana.key == spam_filter.user_key("ANA") == user_key("ana", SECRET).hex()
        assert (ana.n_labels, ana.n_spam) == (3, 2)
        assert (ana.first_time, ana.last_time) == (MONDAY + DAY, MONDAY + 3 * DAY)
        assert ana.moved > 0
        assert {(one.key, one.n_labels) for one in others} == {
            (spam_filter.user_key("ben"), 1),
            (spam_filter.user_key("chloe"), 0),
        }
        spam_filter.unlearn(mail(PILLS, 1), user="ben")
        assert len(spam_filter.users()) == 2


def test_moved_is_how_far_others_are_moved(open_state):
    with open_state() as spam_filter:
        moved = [0.0]
        for n in range(4):
            spam_filter.learn(mail(PILLS, n), Label.SPAM, user="ana")
            (ana,) = spam_filter.users()
            moved.append(ana.moved)
        assert moved == sorted(set(moved))


def test_who_found_no_place_is_listed_all_the_same(open_state, small):
    from tests.spam.conftest import with_model

    with open_state(settings=with_model(small, max_users=1)) as spam_filter:
        for user in ("ana", "ben"):
            spam_filter.learn(mail(PILLS, 1), Label.SPAM, user=user)
        found = {user.key: user.moved for user in spam_filter.users()}
        assert found[spam_filter.user_key("ana")] > 0
        assert found[spam_filter.user_key("ben")] == 0


def test_status(open_state, state, small):
    with open_state() as spam_filter:
        first = spam_filter.status()
        assert (first.state, first.n_events, first.labels) == (str(state), 0, {})
        spam_filter.learn_many(
            [
                said(mail(PILLS, 1), Label.PHISHING, "ana"),
                said(mail(LUNCH, 1), Label.HAM, "ben"),
                said(mail(LUNCH, 1), Label.HAM),
                said(mail(NEWS, 1), Label.BULK),
            ]
        )
        found = spam_filter.status()
        assert found.labels == {"ham": 2, "spam": 1, "phishing": 1, "bulk": 1}
        assert (found.n_events, found.n_users) == (5, 2)
        assert found.position == found.head == 5
        assert found.is_current
        assert found.is_exact
        assert 0 < found.noise < 0.5
        assert found.settings_digest == small.digest()
        spam_filter.unlearn(mail(LUNCH, 1), everyone=True)
        found = spam_filter.status()
        assert found.labels == {"spam": 1, "phishing": 1, "bulk": 1}
        assert (found.n_events, found.n_users, found.head) == (7, 1, 7)
        assert found.is_current
        assert found.is_exact
    with open_state(read_only=True) as reader:
        on_disk = sum(path.stat().st_blocks * 512 for path in state.iterdir())
        # Looking into the journal makes files for the time being.
        assert 0 < reader.status().bytes_on_disk <= on_disk + 65_536
