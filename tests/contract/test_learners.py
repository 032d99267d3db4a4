"""One suite of behaviours, crossed with every learner of an explicit list."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mtspam.config import ModelSettings
from mtspam.errors import ModelError
from mtspam.model import Batch, Learner, contributions
from mtspam.types import Example, Features

SMALL = ModelSettings(
    shared_bits=12, personal_bits=16, group_bits=16, auxiliary_bits=12, max_users=16, max_groups=4
)
USERS = [b"", *(bytes([at]) * 16 for at in (3, 99, 200))]
GROUPS = [b"", b"g" * 16, b"h" * 16]
DAY = 86_400
COLUMNS = ("blend", "shared", "group", "personal", "phishing", "bulk", "starter", "mistake")


@dataclass(frozen=True)
class Kind:
    """A learner of the list, and the kind of mail it is shown."""

    settings: ModelSettings
    n_views: int
    has_groups: bool


LEARNERS = {
    "one view": Kind(SMALL, 1, has_groups=False),
    "one view, groups": Kind(SMALL, 1, has_groups=True),
    "two views": Kind(SMALL, 2, has_groups=False),
    "two views, groups": Kind(SMALL, 2, has_groups=True),
    "five views": Kind(SMALL, 5, has_groups=False),
    "five views, groups": Kind(SMALL, 5, has_groups=True),
    "quiet voices": Kind(replace(SMALL, voice_per_day=1.0, young_labels=0.0), 5, has_groups=True),
    "no evidence asked for": Kind(replace(SMALL, evidence_labels=0.0), 2, has_groups=True),
    "no starter": Kind(replace(SMALL, starter_labels=0.0), 5, has_groups=False),
}


@pytest.fixture(params=LEARNERS.values(), ids=LEARNERS.keys())
def kind(request):
    return request.param


def mail(kind, seed, n=60, users=USERS):
    """Labelled mail of several people, of whom most agree."""
    rng = np.random.default_rng(seed)
    is_spam = rng.integers(0, 2, n).astype(np.int8)
    examples = []
    for spam in is_spam:
        words = [rng.choice(100, rng.integers(0, 12), replace=False) for _ in range(kind.n_views)]
        examples.append(Example(tuple((word + 50 * spam).astype(np.uint32) for word in words)))
    return Batch(
        features=Features.from_examples(examples),
        users=[users[at] for at in rng.integers(0, len(users), n)],
        groups=[GROUPS[at] for at in rng.integers(0, 3, n)] if kind.has_groups else None,
        values=np.where(rng.random(n) < 0.1, -1, is_spam).astype(np.int8),
        kinds=rng.choice([0, 0, 0, 1, 2], n).astype(np.int8),
        times=np.sort(rng.integers(0, 5 * DAY, n)),
        priors=rng.normal(size=n),
        weights=rng.choice([1.0, 0.5], n),
    )


def part(batch, begin, end):
    """Some messages of a batch."""
    rows = slice(begin, end)
    columns = {
        name: None if getattr(batch, name) is None else getattr(batch, name)[rows]
        for name in ("users", "groups", "values", "kinds", "times", "priors", "weights")
    }
    offsets = batch.features.offsets[rows]
    return Batch(features=Features(batch.features.values, offsets), **columns)


def trained(kind, seed=1, users=USERS):
    learner = Learner(kind.settings, kind.n_views)
    learner.learn_many(mail(kind, seed, users=users))
    return learner


def bits(learner):
    return {name: array.tobytes() for name, array in learner.arrays().items()}


def copy_of(learner):
    arrays = {name: array.copy() for name, array in learner.arrays().items()}
    return Learner.from_arrays(learner.settings, arrays)


def said(scores):
    return {name: getattr(scores, name).tolist() for name in COLUMNS}


def test_it_learns(kind):
    learner, batch = Learner(kind.settings, kind.n_views), mail(kind, 2, 400)
    learner.learn_many(replace(mail(kind, 1, 200), priors=None))
    batch = replace(batch, priors=None)
    is_full = np.diff(batch.features.offsets[:, [0, -1]]).ravel() > 2 * kind.n_views
    is_told = (batch.values >= 0) & is_full
    is_right = (learner.predict_many(batch).blend > 0) == (batch.values == 1)
    assert is_right[is_told].mean() > 0.75


def test_the_input_stays_as_it_is(kind):
    batch = mail(kind, 1)
    arrays = [batch.features.values, batch.features.offsets, batch.values, batch.kinds]
    arrays += [batch.times, batch.priors, batch.weights]
    before = [array.tobytes() for array in arrays]
    users = list(batch.users)
    Learner(kind.settings, kind.n_views).learn_many(batch)
    assert [array.tobytes() for array in arrays] == before
    assert batch.users == users


def test_the_order_of_features_makes_no_difference(kind):
    batch = mail(kind, 1)
    values = batch.features.values.copy()
    for begin, end in zip(
        batch.features.offsets[:, :-1].ravel(), batch.features.offsets[:, 1:].ravel(), strict=True
    ):
        values[begin:end] = values[begin:end][::-1]
    turned = replace(batch, features=Features(values, batch.features.offsets))
    one, other = (Learner(kind.settings, kind.n_views).learn_many(b) for b in (batch, turned))
    assert one.blend.tolist() == pytest.approx(other.blend.tolist(), rel=1e-3, abs=1e-4)


def test_one_by_one_is_as_many(kind):
    batch = mail(kind, 1)
    together, alone = (Learner(kind.settings, kind.n_views) for _ in range(2))
    scores = together.learn_many(batch)
    singles = [alone.learn_many(part(batch, i, i + 1)) for i in range(len(batch))]
    for name in COLUMNS:
        assert getattr(scores, name).tolist() == [getattr(one, name)[0] for one in singles]
    assert bits(together) == bits(alone)


def test_what_was_saved_goes_on_with_the_same_bits(kind):
    learner = trained(kind)
    again = copy_of(learner)
    batch = mail(kind, 3)
    assert said(again.predict_many(batch)) == said(learner.predict_many(batch))
    learner.learn_many(batch)
    again.learn_many(batch)
    assert bits(again) == bits(learner)


def test_the_same_mail_makes_the_same_bits(kind):
    assert bits(trained(kind)) == bits(trained(kind))


def test_a_score_changes_nothing(kind):
    learner = trained(kind)
    before = bits(learner)
    learner.predict_many(mail(kind, 4))
    assert bits(learner) == before


def test_levels_add_up(kind):
    scores = trained(kind).predict_many(mail(kind, 2))
    parts = scores.shared + scores.group + scores.personal
    assert scores.blend.tolist() == pytest.approx(parts.tolist(), abs=1e-9)


def test_an_empty_message_is_scored_and_learnt(kind):
    learner = trained(kind)
    empty = Example(tuple(np.empty(0, np.uint32) for _ in range(kind.n_views)))
    n = learner.n_events
    for value in (1, 0):
        learner.learn_one(empty, value, USERS[1], GROUPS[1])
    assert np.isfinite(learner.predict_one(empty, USERS[1], GROUPS[1]).blend).all()
    assert learner.n_events == n + 2


def test_nothing_at_all_is_no_message(kind):
    learner = trained(kind)
    before = bits(learner)
    assert len(learner.learn_many(Batch(features=Features.from_examples([]))).blend) == 0
    assert bits(learner) == before


def test_strangers_leave_no_trace_and_get_what_all_share(kind):
    learner = trained(kind)
    before, n_users = bits(learner), len(learner.users)
    batch = mail(kind, 5, 300)
    rng = np.random.default_rng(6)
    strangers = replace(batch, users=[rng.bytes(16) for _ in range(300)], groups=None)
    scores = learner.predict_many(strangers)
    assert scores.blend.tolist() == scores.shared.tolist()
    # Mail that comes without a label makes nobody known either.
    learner.learn_many(replace(strangers, values=np.full(300, -1, np.int8)))
    assert (bits(learner), len(learner.users)) == (before, n_users)


def test_without_a_label_everything_is_even(kind):
    batch = replace(mail(kind, 1), priors=None)
    assert Learner(kind.settings, kind.n_views).predict_many(batch).blend.tolist() == [0.0] * 60


def test_reasons_add_up_to_the_score(kind):
    learner = trained(kind)
    user, group = USERS[1], GROUPS[1] if kind.has_groups else b""
    rng = np.random.default_rng(8)
    words = [np.sort(rng.choice(150, 8, replace=False)) for _ in range(kind.n_views)]
    views = tuple(word.astype(np.uint32) for word in words)
    scores = learner.predict_one(Example(views), user, group)
    reasons = [
        contributions(learner, k, view, user=user, group=group) for k, view in enumerate(views)
    ]
    levels = {
        "personal": sum(one.personal.sum() for one in reasons),
        "group": sum(one.group.sum() for one in reasons),
    }
    for name, total in levels.items():
        # Biases are below a hundredth so early.
        assert getattr(scores, name)[0] == pytest.approx(total, abs=0.02)


# Merging.


def test_an_empty_learner_brings_nothing(kind):
    learner = trained(kind)
    before = bits(learner)
    learner.merge(Learner(kind.settings, kind.n_views))
    assert bits(learner) == before


def test_an_empty_learner_takes_everything(kind):
    learner, empty = trained(kind), Learner(kind.settings, kind.n_views)
    empty.merge(learner)
    batch = mail(kind, 3)
    for name in COLUMNS:
        merged, own = (getattr(one.predict_many(batch), name) for one in (empty, learner))
        assert merged.tolist() == pytest.approx(own.tolist(), rel=1e-5, abs=1e-5)


def test_who_takes_in_whom_makes_no_difference(kind):
    # Nobody and no group is in both.
    alone = replace(kind, has_groups=False)
    sides = trained(alone, 1, USERS[:2]), trained(kind, 2, USERS[2:])
    batch = mail(kind, 3)
    scores = []
    for first, second in (sides, sides[::-1]):
        merged = copy_of(first)
        merged.merge(second)
        assert merged.n_labels == pytest.approx(first.n_labels + second.n_labels)
        assert merged.n_events == first.n_events + second.n_events
        assert {key for key, _ in merged.users.items()} == set(USERS[1:])
        scores.append(merged.predict_many(batch))
    for name in COLUMNS:
        one, other = (getattr(score, name).tolist() for score in scores)
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_the_merged_learner_takes_no_part_of_what_it_took_in(kind):
    learner, other = trained(kind, 1), trained(kind, 2)
    before = bits(other)
    learner.merge(other)
    learner.learn_many(mail(kind, 3))
    assert bits(other) == before


# What does not fit is refused before anything is touched.


def test_examples_of_other_views_are_refused(kind):
    learner = trained(kind)
    before = bits(learner)
    wrong = mail(replace(kind, n_views=kind.n_views + 1), 1, users=[b"n" * 16])
    for verb in (learner.predict_many, learner.learn_many):
        with pytest.raises(ModelError, match="views"):
            verb(wrong)
    assert bits(learner) == before


def test_learners_of_other_sizes_are_not_merged(kind):
    learner = trained(kind)
    before = bits(learner)
    with pytest.raises(ModelError, match="cannot be merged"):
        learner.merge(Learner(replace(kind.settings, auxiliary_bits=9), kind.n_views))
    assert bits(learner) == before


def test_learners_over_the_same_memory_are_one(kind):
    batch = mail(kind, 5)
    alone = Learner(kind.settings, kind.n_views)
    room = {name: array.copy() for name, array in alone.room().items()}
    teacher = Learner.over(kind.settings, room, (0, 0))
    listener = Learner.over(kind.settings, room, (0, 0))
    for one in (alone, teacher):
        one.learn_many(batch)
    listener.users.follow(len(teacher.users))
    listener.groups.follow(len(teacher.groups))
    asked = replace(batch, values=None, kinds=None)
    expected = alone.predict_many(asked)
    for one in (teacher, listener):
        found = one.predict_many(asked)
        for name in COLUMNS:
            assert np.array_equal(getattr(found, name), getattr(expected, name))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(alone.arrays().values(), teacher.arrays().values(), strict=True)
    )


def test_a_learner_over_arrays_insists_on_all_of_them(kind):
    room = Learner(kind.settings, kind.n_views).room()
    for name in ("shared_weights", "user_salts", "state"):
        with pytest.raises(ModelError, match=name):
            Learner.over(kind.settings, {k: v for k, v in room.items() if k != name}, (0, 0))
