import numpy as np
import pytest

from mtspam.errors import DataError, JournalError
from mtspam.journal import Appended, Journal, StoredEvent, pack_example, unpack_many
from mtspam.types import NOBODY, LabelKind

SPAM, PHISHING, BULK = LabelKind.SPAM, LabelKind.PHISHING, LabelKind.BULK


def seqs(journal, **limits):
    return [seq for batch in journal.live(**limits) for seq in batch.seq.tolist()]


def test_what_was_appended_comes_back(journal, make_label, make_user, make_digest):
    labels = [make_label(1), make_label(2, user=0, value=0, kind=BULK)]
    assert journal.append(labels) == Appended(2, 0, 0, 1, 2)
    (batch,) = journal.live()
    assert len(batch) == 2
    assert batch.seq.tolist() == [1, 2]
    assert batch.time.tolist() == [1_700_000_001, 1_700_000_002]
    assert batch.user == [make_user(1), NOBODY]
    assert batch.group == [b"g" * 16] * 2
    assert batch.kind == [SPAM, BULK]
    assert batch.value.tolist() == [1, 0]
    assert batch.weight.tolist() == [1.5, 1.5]
    assert batch.digest == [make_digest(1), make_digest(2)]
    assert batch.packed == [pack_example(one.example) for one in labels]
    assert (batch.seq.dtype, batch.value.dtype) == (np.int64, np.uint8)


def test_it_lasts(path, make_label, rows):
    with Journal.open(path) as journal:
        journal.append([make_label(n) for n in range(9)])
        before, identity = rows(journal), journal.identity
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    with Journal.open(path) as journal:
        assert rows(journal) == before
        assert journal.identity == identity
        assert journal.append([make_label(10)]).first_seq == 10


def test_every_journal_has_its_own_identity(tmp_path):
    with Journal.open(tmp_path / "a") as a, Journal.open(tmp_path / "b") as b:
        assert a.identity != b.identity


def test_the_same_again_adds_nothing(journal, make_label):
    labels = [make_label(1), make_label(2), make_label(1)]
    assert journal.append(labels) == Appended(2, 1, 0, 1, 2)
    assert journal.append(labels) == Appended(0, 3, 0, 3, 2)
    assert journal.append([]) == Appended(0, 0, 0, 3, 2)
    assert journal.head() == 2


def test_another_user_kind_or_message_is_another_label(journal, make_label):
    labels = [
        make_label(1),
        make_label(1, user=2),
        make_label(1, kind=PHISHING),
        make_label(2),
    ]
    assert journal.append(labels).n_new == 4


def test_a_changed_mind_replaces(journal, make_label):
    journal.append([make_label(1), make_label(2)])
    assert journal.append([make_label(1, value=0)]) == Appended(0, 0, 1, 3, 3)
    assert seqs(journal) == [2, 3]
    assert seqs(journal, upto=2) == [1, 2]
    assert seqs(journal, after=2) == [3]


def test_minds_changed_within_one_call(journal, make_label):
    labels = [make_label(1, value=value) for value in (1, 0, 0, 1)]
    assert journal.append(labels) == Appended(1, 1, 2, 1, 3)
    assert [seqs(journal, upto=upto) for upto in (1, 2, 3)] == [[1], [2], [3]]
    assert journal.append([make_label(1, value=0)]).n_changed == 1
    assert journal.check() == 4


def test_more_keys_than_one_query_takes(journal, make_label):
    labels = [make_label(n, size=2) for n in range(450)]
    assert journal.append(labels[:430]).n_new == 430
    assert journal.append(labels) == Appended(20, 430, 0, 431, 450)


@pytest.mark.parametrize("batch_size", [1, 3, 512])
def test_batches_cut_the_same_rows(journal, make_label, rows, batch_size):
    journal.append([make_label(n) for n in range(7)])
    sizes = [len(batch) for batch in journal.live(batch_size=batch_size)]
    assert max(sizes) <= batch_size
    assert sum(sizes) == 7
    assert rows(journal, batch_size=batch_size) == rows(journal)


def test_live_shows_the_journal_as_it_was_when_it_began(journal, make_label):
    journal.append([make_label(n) for n in range(4)])
    reading = journal.live(batch_size=2)
    first = next(reading)
    journal.append([make_label(3, value=0), make_label(9)])
    rest = [seq for batch in reading for seq in batch.seq.tolist()]
    assert [*first.seq.tolist(), *rest] == [1, 2, 3, 4]
    assert seqs(journal) == [1, 2, 3, 5, 6]


def test_unlabel_takes_back(journal, make_label, make_user, make_digest):
    journal.append([make_label(1), make_label(1, kind=PHISHING), make_label(1, user=2)])
    assert journal.unlabel(make_user(1), make_digest(1), [PHISHING, BULK]) == 1
    assert seqs(journal) == [1, 3]
    assert journal.unlabel(make_user(1), make_digest(1), time=5, source="cli") == 1
    assert journal.unlabel(make_user(1), make_digest(1)) == 0
    assert seqs(journal) == [3]
    assert seqs(journal, upto=3) == [1, 2, 3]
    assert journal.head() == 5
    assert journal.append([make_label(1)]) == Appended(1, 0, 0, 6, 6)
    assert journal.check() == 6


def test_unlabel_everywhere_takes_back_from_all(journal, make_label, make_digest):
    journal.append([make_label(1, user=user) for user in range(4)] + [make_label(2)])
    assert journal.unlabel_everywhere(make_digest(1)) == 4
    assert journal.unlabel_everywhere(make_digest(3)) == 0
    assert seqs(journal) == [5]


def test_is_intact_until_something_older_goes(journal, make_label, make_user, make_digest):
    journal.append([make_label(1), make_label(2, user=2)])
    assert journal.is_intact(2)
    journal.append([make_label(3, user=3), make_label(3, user=3, value=0)])
    assert journal.is_intact(2)
    assert not journal.is_intact(3)
    journal.forget(make_user(3))
    assert journal.is_intact(2)
    journal.unlabel(make_user(2), make_digest(2))
    assert journal.is_intact(1)
    assert not journal.is_intact(2)
    journal.forget(make_user(1))
    assert not journal.is_intact(1)
    assert journal.is_intact(journal.head())


def test_counts_and_users(journal, make_label, make_user, make_digest):
    assert journal.counts().n_live == 0
    assert journal.users() == {}
    journal.append(
        [
            make_label(1, user=2),
            make_label(2, user=2, value=0),
            make_label(3, user=1, kind=BULK),
            make_label(4, user=0),
            make_label(2, user=2, value=1),
            make_label(6, user=3),
        ]
    )
    journal.unlabel(make_user(3), make_digest(6))
    counts = journal.counts()
    assert (counts.n_events, counts.n_users, counts.n_live) == (7, 2, 4)
    assert counts.labels == {(BULK, 1): 1, (SPAM, 1): 3}
    users = journal.users()
    assert list(users) == [make_user(1), make_user(2)]
    two = users[make_user(2)]
    assert two.labels == {(SPAM, 1): 2}
    assert (two.n_live, two.first_time, two.last_time) == (2, 1_700_000_001, 1_700_000_002)


def test_find_by_the_beginning_of_a_digest(journal, make_label, make_digest):
    journal.append([make_label(n, user=user) for n in range(40) for user in (1, 2)])
    wanted = make_digest(7)
    found = journal.find(wanted.hex())
    assert [(one.digest, one.user[0]) for one in found] == [(wanted, 1), (wanted, 2)]
    assert isinstance(found[0], StoredEvent)
    assert (found[0].seq, found[0].source, found[0].time) == (15, "test", 1_700_000_007)
    assert pack_example(found[0].example) == pack_example(make_label(7).example)
    by_nibble = {one.digest for one in journal.find(wanted.hex()[:1].upper())}
    assert by_nibble == {
        make_digest(n) for n in range(40) if make_digest(n)[0] >> 4 == wanted[0] >> 4
    }
    assert len(journal.find("", limit=5)) == 5


def test_find_one_users_labels(journal, make_label, make_user, make_digest):
    journal.append([make_label(n, user=user) for n in range(9) for user in (0, 1, 2)])
    for user in (0, 2):
        found = journal.find("", user=make_user(user), limit=9)
        assert {one.digest for one in found} == {make_digest(n) for n in range(9)}
        assert {one.user for one in found} == {make_user(user)}


@pytest.mark.parametrize("prefix", ["xy", "0 1", "a" * 33, "é"])
def test_find_refuses_what_is_no_digest(journal, prefix):
    with pytest.raises(DataError, match="is no digest"):
        journal.find(prefix)


def test_unpacked_batches_feed_a_fold(journal, make_label):
    labels = [make_label(n) for n in range(5)]
    journal.append(labels)
    (batch,) = journal.live()
    features, offsets = unpack_many(batch.packed)
    view = labels[3].example.views[1]
    assert features[offsets[3, 1] : offsets[3, 2]].tolist() == view.tolist()


def test_a_reader_opens_what_a_writer_has_open(path, journal, make_label, rows):
    journal.append([make_label(1)])
    with Journal.open(path, read_only=True) as reader:
        journal.append([make_label(2)])
        assert rows(reader) == rows(journal)
        with pytest.raises(JournalError, match="reading only"):
            reader.append([make_label(3)])


def test_a_url_is_a_path(path):
    with Journal.open(f"sqlite:///{path}") as journal:
        assert journal.head() == 0
    assert path.exists()


@pytest.mark.parametrize("url", ["postgresql://here/db", "sqlite://", "sqlite:///"])
def test_other_databases_are_refused(url):
    with pytest.raises(JournalError, match="only files"):
        Journal.open(url)


def test_strange_names_are_only_names(tmp_path):
    with Journal.open(tmp_path / "a?mode=memory#%20 ü.sqlite") as journal:
        assert journal.head() == 0
    assert [one.name for one in tmp_path.iterdir()] == ["a?mode=memory#%20 ü.sqlite"]


def test_a_closed_journal_says_so(path, make_label):
    journal = Journal.open(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.head()
    with pytest.raises(JournalError, match="closed"):
        journal.append([make_label(1)])


def test_only_its_owner_may_read_it(path, journal):
    assert path.stat().st_mode & 0o077 == 0
