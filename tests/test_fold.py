"""The journal's labels learnt in any pieces: the same bits."""

from dataclasses import replace

import numpy as np
import pytest

from mtspam.config import ModelSettings
from mtspam.errors import JournalError
from mtspam.fold import JustWritten, batch_of, catch_up, fold_journal
from mtspam.journal import Journal, LabelEvent
from mtspam.model import Learner
from mtspam.types import Example, GroupKey, LabelKind, UserKey

N_VIEWS = 4
MODEL = ModelSettings(
    shared_bits=10,
    personal_bits=10,
    group_bits=8,
    auxiliary_bits=8,
    max_users=16,
    max_groups=4,
    replay_messages=20,
)
KINDS = tuple(LabelKind)


def label(rng, n, value):
    views = [np.unique(rng.integers(0, 2**32, 12, dtype=np.uint32)) for _ in range(N_VIEWS)]
    user, group = rng.integers(0, 5), rng.integers(0, 3)
    return LabelEvent(
        time=1_700_000_000 + 10_000 * n,
        user=UserKey(bytes([user]) * 16 if user else b""),
        group=GroupKey(bytes([group]) * 16 if group else b""),
        kind=KINDS[int(rng.choice([0, 0, 0, 1, 2]))],
        value=value,
        weight=float(rng.choice([1.0, 0.5])),
        digest=int(n).to_bytes(16, "big"),
        source="test",
        example=Example(tuple(views)),
        prior=float(rng.normal()),
    )


@pytest.fixture
def labels():
    """Runs of one answer, so that remembered messages are learnt again."""
    rng = np.random.default_rng(3)
    return [label(rng, n, value=n // 25 % 2) for n in range(120)]


@pytest.fixture
def journal(tmp_path):
    with Journal.open(tmp_path / "journal.sqlite") as journal:
        yield journal


def bits(learner):
    return {name: array.tobytes() for name, array in learner.arrays().items()}


def folded(journal, **options):
    return bits(fold_journal(journal, MODEL, N_VIEWS, **options))


def test_a_batch_has_all_that_the_journal_has(journal, labels):
    journal.append(labels)
    (events,) = journal.live()
    batch = batch_of(events)
    assert batch.values.tolist() == [one.value for one in labels]
    assert [KINDS[number] for number in batch.kinds] == [one.kind for one in labels]
    assert batch.users == [one.user for one in labels]
    assert batch.groups == [one.group for one in labels]
    assert batch.times.tolist() == [one.time for one in labels]
    assert batch.priors.tolist() == [one.prior for one in labels]
    assert batch.weights.tolist() == [one.weight for one in labels]
    for row, one in zip(batch.features.offsets, labels, strict=True):
        for k, view in enumerate(one.example.views):
            assert (batch.features.values[row[k] : row[k + 1]] == view).all()


@pytest.mark.parametrize("size", [1, 7, 50, 119])
def test_any_pieces_give_the_same_bits(journal, labels, size):
    learner, position = Learner(MODEL, N_VIEWS), 0
    for start in range(0, len(labels), size):
        journal.append(labels[start : start + size])
        catch_up(learner, journal, position)
        position = journal.head()
        # As if it had been closed and opened again.
        arrays = {name: array.copy() for name, array in learner.arrays().items()}
        learner = Learner.from_arrays(MODEL, arrays)
    assert bits(learner) == folded(journal)
    assert learner.n_events == len(labels)


@pytest.mark.parametrize("room_bytes", [1 << 20, 5_000, 0])
def test_what_was_just_written_is_learnt_to_the_same_bits(journal, labels, room_bytes):
    learner, position = Learner(MODEL, N_VIEWS), 0
    labels[5] = replace(labels[5], prior=-0.0)
    batches = [labels[:40], labels[30:40], labels[20:90], labels[90:]]
    for half in (batches[:2], batches[2:]):
        written = JustWritten(room_bytes)
        done = journal.append_all(half, written.note)
        assert done.n_changed == 0
        position = written.learn(learner, position)
        catch_up(learner, journal, position)
        position = journal.head()
    assert bits(learner) == folded(journal)
    assert learner.n_events == len(labels)


def test_remembered_messages_have_a_part_in_it(journal, labels):
    journal.append(labels)
    forgetful = ModelSettings(**{**MODEL.__dict__, "replay_messages": 0})
    without = fold_journal(journal, forgetful, N_VIEWS).arrays()["shared_weights"]
    assert without.tobytes() != folded(journal)["shared_weights"]


def test_a_place_in_the_past(journal, labels):
    journal.append(labels[:60])
    then, place = folded(journal), journal.head()
    journal.append(labels[60:])
    journal.unlabel(labels[3].user, labels[3].digest)
    assert folded(journal, upto=place) == then
    assert folded(journal) != then


def test_what_was_taken_back_was_never_there(tmp_path, journal, labels):
    journal.append(labels)
    for one in labels[10:90:8]:
        journal.unlabel(one.user, one.digest)
    with Journal.open(tmp_path / "other.sqlite") as other:
        gone = {one.digest for one in labels[10:90:8]}
        other.append([one for one in labels if one.digest not in gone])
        assert folded(journal) == folded(other)


def test_an_empty_journal_is_a_new_learner(journal):
    assert folded(journal) == bits(Learner(MODEL, N_VIEWS))


def test_progress_counts_labels(journal, labels):
    journal.append(labels)
    counts = []
    fold_journal(journal, MODEL, N_VIEWS, on_progress=counts.append)
    assert sum(counts) == len(labels)


def test_a_damaged_example_is_named(tmp_path, labels):
    import sqlite3

    path = tmp_path / "journal.sqlite"
    with Journal.open(path) as journal:
        journal.append(labels)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE examples SET packed = zeroblob(9) WHERE seq = 77")
    connection.close()
    with (
        Journal.open(path, read_only=True) as journal,
        pytest.raises(JournalError, match="77"),
    ):
        fold_journal(journal, MODEL, N_VIEWS)
