import numpy as np
import pytest

from mtspam.errors import SnapshotError
from mtspam.spam import hashing
from mtspam.spam.hashing import MailHasher, load_starter
from tests.spam.conftest import LUNCH, PILLS, SECRET, mail


@pytest.fixture
def hasher(small):
    return MailHasher(small, SECRET, load_starter())


def rows(features):
    bounds = features.offsets
    return [features.values[row[0] : row[-1]].tolist() for row in bounds]


def test_many_long_messages_as_one_by_one(hasher, rng):
    """Together they have more features than there is room for at first."""
    long = [b"Subject: a\n\n" + rng.bytes(20_000).hex(" ", 3).encode() for _ in range(6)]
    messages = [mail(PILLS, 1), *long, b"", mail(LUNCH, 1)]
    features, priors = hasher.hash(messages)
    assert len(features.values) > len(messages) * 4096
    for n, raw in enumerate(messages):
        one, prior = hasher.hash([raw])
        assert rows(one) == [rows(features)[n]]
        assert prior[0] == priors[n]


def test_a_starter_that_is_not_asked_says_nothing(hasher):
    messages = [mail(PILLS, 1), mail(LUNCH, 1)]
    asked, priors = hasher.hash(messages)
    silent, noughts = hasher.hash(messages, with_starter=False)
    assert rows(silent) == rows(asked)
    assert priors.all()
    assert not noughts.any()


def test_the_secret_decides_where_a_feature_lies(hasher, small):
    other = MailHasher(small, bytes(32), load_starter())
    (mine, priors), (theirs, same) = (one.hash([mail(PILLS, 1)]) for one in (hasher, other))
    assert (mine.offsets == theirs.offsets).all()
    assert not set(mine.values.tolist()) & set(theirs.values.tolist())
    assert (priors == same).all()


def test_examples_are_sorted_and_distinct(hasher):
    features, _ = hasher.hash([mail(PILLS, 1), b"", mail(LUNCH, 1)])
    before = [sorted(set(row)) for row in rows(features)]
    examples = hasher.examples(features)
    assert [len(one.views) for one in examples] == [5, 5, 5]
    found = [sorted(np.concatenate(one.views).tolist()) for one in examples]
    assert [sorted(set(row)) for row in found] == before


def test_without_a_starter(small, tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "STARTER_FILE", "no-such-file")
    assert load_starter() is None
    hasher = MailHasher(small, SECRET, None)
    features, priors = hasher.hash([mail(PILLS, 1)])
    assert len(features) == 1
    assert not priors.any()


def test_a_damaged_starter_is_named(tmp_path, monkeypatch):
    path = tmp_path / "starter"
    path.write_bytes(b"damaged")
    monkeypatch.setattr(hashing, "data_path", lambda _name: path)
    with pytest.raises(SnapshotError, match="starter"):
        load_starter()
