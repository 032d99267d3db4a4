import numpy as np
import pytest

from mtspam.config import ModelSettings
from mtspam.model import Batch, Learner
from mtspam.model.replay import Remembered, Replay, Rows, interleaved
from mtspam.types import Features, UserKey

SETTINGS = {
    "shared_bits": 14,
    "personal_bits": 12,
    "group_bits": 8,
    "auxiliary_bits": 8,
    "max_users": 8,
    "max_groups": 2,
}
ANA, BEN = UserKey(b"a" * 16), UserKey(b"b" * 16)


def mail(n, answer, seed):
    """Messages of 60 features each: half common to all mail, half of the kind's own 400."""
    rng = np.random.default_rng(seed)
    own = 10_000 * (answer + 1)
    rows = [
        np.unique(
            np.concatenate([rng.integers(0, 200, 30), rng.integers(own, own + 400, 30)])
        ).astype(np.uint32)
        for _ in range(n)
    ]
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return Features(np.concatenate(rows), np.stack([bounds[:-1], bounds[1:]], axis=1))


def batch(n, answer, seed, user=None):
    return Batch(
        features=mail(n, answer, seed),
        values=np.full(n, answer, np.int8),
        users=None if user is None else [user] * n,
        times=np.zeros(n, np.int64),
    )


def taught(blocks, **settings):
    learner = Learner(ModelSettings(**SETTINGS | settings), 1)
    for block in blocks:
        learner.learn_many(block)
    return learner


def errors(learner):
    spam = learner.predict_many(Batch(features=mail(300, 1, 8))).blend
    ham = learner.predict_many(Batch(features=mail(300, 0, 9))).blend
    return int((spam <= 0).sum() + (ham > 0).sum())


def same(mine, its):
    mine, its = mine.arrays(), its.arrays()
    assert mine.keys() == its.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, its[name], err_msg=name)


@pytest.mark.parametrize("first", [0, 1])
def test_what_was_taught_first_is_not_undone_by_what_came_after(first):
    blocks = [batch(40, first, 1), batch(200, 1 - first, 2)]
    assert errors(taught(blocks)) < errors(taught(blocks, replay_messages=0)) / 2


def test_mixed_mail_is_learnt_as_if_there_were_no_memory():
    blocks = [batch(1, n % 2, n) for n in range(80)]
    with_memory, without = taught(blocks), taught(blocks, replay_messages=0)
    for name, array in without.weights().items():
        np.testing.assert_array_equal(array, with_memory.weights()[name], err_msg=name)


def test_batches_may_be_cut_anywhere():
    whole = [batch(40, 1, 1, ANA), batch(90, 0, 2, BEN)]
    singles = []
    for block in whole:
        for row in range(len(block)):
            a, b = block.features.offsets[row]
            singles.append(
                Batch(
                    features=Features(block.features.values[a:b], np.array([[0, b - a]])),
                    values=block.values[row : row + 1],
                    users=block.users[row : row + 1],
                    times=block.times[row : row + 1],
                )
            )
    same(taught(whole), taught(singles))


def test_a_learner_brought_back_goes_on_as_if_it_had_not_stopped():
    settings = ModelSettings(**SETTINGS)
    blocks = [batch(40, 1, 1, ANA), batch(90, 0, 2)]
    first = taught(blocks[:1])
    again = Learner.from_arrays(
        settings, {name: array.copy() for name, array in first.arrays().items()}
    )
    again.learn_many(blocks[1])
    same(again, taught(blocks))


def test_memory_has_a_fixed_size():
    learner = taught([batch(60, 1, 1), batch(60, 0, 2)], replay_messages=20)
    assert learner.arrays()["replay_counts"][0] == 20
    assert len(learner.arrays()["replay_bounds"]) == 40


def test_messages_learnt_again_are_no_evidence():
    learner = taught([batch(40, 1, 1, ANA), batch(90, 0, 2, BEN)])
    assert learner.n_events == 130
    assert learner.users.n_labels(ANA) == 40
    assert learner.users.n_labels(BEN) == 90


def test_who_calls_a_memory_back_pays_for_it_and_its_owner_does_not():
    learner = taught([batch(40, 1, 1, ANA)])
    paid = learner.users.figures[learner.users.row(ANA), 5]
    learner.learn_many(batch(90, 0, 2, BEN))
    assert learner.users.figures[learner.users.row(ANA), 5] == paid
    alone = taught([batch(40, 1, 1, ANA), batch(90, 0, 2, BEN)], replay_messages=0)
    row = learner.users.row(BEN)
    assert learner.users.figures[row, 5] > alone.users.figures[row, 5]


def test_a_strangers_memory_is_learnt_again_for_nobody():
    remembered = Remembered(np.array([7, 9], np.uint32), np.array([0, 2]), ANA, 0.5)
    facts = np.array([[0, 0, 3, 1, 5, 3, 0]])
    columns = (np.array([1], np.uint32), np.array([[0, 1]]), facts, np.array([[0.0, 2.0]]))
    for caller, user in ((BEN, -1), (ANA, 3)):
        rows = Rows(np.array([0, 0]), [None, remembered], [caller, caller])
        values, offsets, facts, reals = interleaved(columns, rows)
        assert values.tolist() == [1, 7, 9]
        assert offsets.tolist() == [[0, 1], [1, 3]]
        assert facts.tolist() == [[0, 0, 3, 1, 5, 3, 0], [0, 1, user, -1, 5, 3, 1]]
        assert reals.tolist() == [[0.0, 2.0], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("n_rare", "n_common", "is_recalled"),
    [
        (15, 15, False),
        (16, 60, True),
        (16, 1_000, True),
    ],
)
def test_an_answer_is_brought_back_once_there_are_enough_of_it(n_rare, n_common, is_recalled):
    memory = Replay(1_024, 0.4, 4.0)
    assert memory.plan(batch(n_rare, 0, 1), np.arange(n_rare)) is None
    rows = memory.plan(batch(n_common, 1, 2), np.arange(n_common))
    again = (
        []
        if rows is None
        else [source for source, one in zip(rows.sources, rows.again, strict=True) if one]
    )
    assert (n_common - 1 in again) == is_recalled


def test_copies_of_a_mistake_are_judged_by_what_was_learnt_before():
    known = mail(1, 1, 999).values
    values = np.unique(np.concatenate([known, np.arange(90_000, 90_100)])).astype(np.uint32)
    copy = Features(values, np.array([[0, len(values)]]))
    after = {}
    for noise_labels in (300.0, 1e6):
        blocks = [batch(20, n % 2, n) for n in range(60)]
        learner = taught(blocks, noise_rate=0.0, noise_prior=0.25, noise_labels=noise_labels)
        said = learner.learn_many(Batch(features=copy, values=np.zeros(1, np.int8)))
        assert said.mistake > 0.5
        after[noise_labels] = learner.predict_many(Batch(features=copy)).blend - said.blend
    assert after[1e6] < 1.3 * after[300.0] < 0
