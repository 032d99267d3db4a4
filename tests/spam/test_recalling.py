import pytest

from mtspam.journal import Journal
from mtspam.journal.recent import LEAST_BYTES, RecentRing
from mtspam.mail.views import N_VIEWS
from mtspam.spam.hashing import MailHasher, load_starter
from mtspam.spam.keys import message_digest
from mtspam.spam.recalling import Recalled, StateMemory, digests_of, settled
from mtspam.types import Label
from tests.spam.conftest import LUNCH, PILLS, SECRET, mail

ID = "00112233445566778899aabbccddeeff"
DIGEST = bytes.fromhex(ID)
PLAIN = mail(PILLS, 1)
MARKED = f"X-Mtspam-Id: {ID}\n".encode() + PLAIN


@pytest.fixture
def example(small):
    hasher = MailHasher(small, SECRET, load_starter())
    return lambda raw, prior=0.0: Recalled(hasher.examples(hasher.hash([raw])[0])[0], prior)


def known(digest, recalled):
    return {digest: recalled}.get


def test_a_message_without_an_id_is_what_it_is(example):
    said = example(PLAIN)
    digest = message_digest(PLAIN, SECRET)
    assert settled(PLAIN, said, known(digest, example(PLAIN, 1.0)), SECRET) == (digest, said)
    assert digests_of(PLAIN, SECRET) == (digest,)


def test_what_was_judged_is_what_is_learnt(example):
    said, judged = example(MARKED, 2.0), example(PLAIN, 1.0)
    assert settled(MARKED, said, known(DIGEST, judged), SECRET) == (DIGEST, judged)


def test_a_starter_that_was_not_asked_is_asked_now(example):
    _, learnt = settled(MARKED, example(MARKED, 2.0), known(DIGEST, example(PLAIN)), SECRET)
    assert learnt.prior == 2.0


def test_a_forgotten_message_is_learnt_under_its_id(example):
    said = example(MARKED)
    assert settled(MARKED, said, lambda _: None, SECRET) == (DIGEST, said)
    assert digests_of(MARKED, SECRET) == (message_digest(PLAIN, SECRET), DIGEST)


def test_an_id_of_another_message_counts_for_nothing(example):
    said = example(MARKED)
    found = settled(MARKED, said, known(DIGEST, example(mail(LUNCH, 1))), SECRET)
    assert found == (message_digest(PLAIN, SECRET), said)


def test_a_state_knows_what_was_judged_and_what_was_labelled(taught, example):
    ring = RecentRing.make(taught / "recent.1", LEAST_BYTES, n_views=N_VIEWS)
    ring.put(DIGEST, example(PLAIN).example, 0.5)
    (taught / "recent.0").write_bytes(b"torn")
    with Journal.open(taught / "journal.sqlite", read_only=True) as journal:
        memory = StateMemory(taught, journal, SECRET)
        assert memory.settle(MARKED, example(MARKED))[1].prior == 0.5
        assert memory.recall(message_digest(mail(LUNCH, 3), SECRET)) is not None
        assert memory.recall(b"x" * 16) is None


def test_taking_back_finds_a_label_under_either_id(open_state):
    with open_state() as spam_filter:
        for raw in (MARKED, b"X-Mtspam-Id: " + b"a" * 32 + b"\n" + mail(LUNCH, 1)):
            assert spam_filter.learn(raw, Label.SPAM).ids == (raw[13:45].decode(),)
            assert spam_filter.unlearn(raw) == 1
        assert spam_filter.learn(PLAIN, Label.SPAM).ids == (spam_filter.ids(PLAIN)[0],)
        assert spam_filter.unlearn(MARKED) == 1
        assert spam_filter.unlearn(MARKED) == 0
