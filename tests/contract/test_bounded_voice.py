"""How far one user's labels of a day move anybody else's score: docs/adr/0006-bounded-voice.md."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.config import ModelSettings
from mtspam.model import Batch, Learner
from mtspam.types import Example, Features

N_VIEWS = 5
N_FEATURES = 64  # of each view; all fall into buckets of their own
LOUD, VICTIM, OTHER = (bytes([at]) * 16 for at in (201, 7, 90))
NOBODY = b""
OURS, THEIRS = b"g" * 16, b"h" * 16
DAY = 86_400
TODAY = 20_000
COLLISIONS = 1.02  # see the ADR

MODEL = ModelSettings(
    shared_bits=10,
    auxiliary_bits=10,
    personal_bits=20,
    group_bits=20,
    voice_per_day=2.0,
    young_labels=0.0,
    max_users=8,
    max_groups=8,
)
MODELS = st.builds(
    dataclasses.replace,
    st.just(MODEL),
    voice_per_day=st.sampled_from([0.0, 0.1, 2.0]),
    young_labels=st.sampled_from([0.0, 20.0]),
    largest_step=st.sampled_from([0.5, 10.0]),
    mixing_rate=st.sampled_from([0.005, 0.5]),
    bias_rate=st.sampled_from([0.0015, 0.5]),
    starter_labels=st.sampled_from([0.0, 1.0, 200.0]),
    auxiliary_rate=st.sampled_from([0.5, 5.0]),
    group_rate=st.sampled_from([0.6, 3.0]),
    evidence_labels=st.sampled_from([0.0, 4.0]),
)


def messages(views, **columns):
    """Messages from rows of bits: which features of each view each of them has."""
    n = len(views)
    start = np.arange(N_VIEWS, dtype=np.uint32) * N_FEATURES
    examples = [
        Example(
            tuple((np.flatnonzero(row[k]) + start[k]).astype(np.uint32) for k in range(N_VIEWS))
        )
        for row in views
    ]
    kinds = {"values": np.int8, "kinds": np.int8, "times": np.int64, "priors": float}
    arrays = {
        name: np.broadcast_to(np.asarray(column, kinds.get(name, float)), n)
        for name, column in columns.items()
        if name not in {"users", "groups"}
    }
    keys = {
        name: [column] * n if isinstance(column, bytes) else column
        for name, column in columns.items()
        if name in {"users", "groups"}
    }
    return Batch(features=Features.from_examples(examples), **arrays, **keys)


def some_views(rng, n):
    """Rows of bits; a tenth of the views are empty, some messages are near copies."""
    density = rng.choice([0.0, 0.02, 0.1, 0.5], (n, N_VIEWS, 1), p=[0.1, 0.3, 0.4, 0.2])
    views = rng.random((n, N_VIEWS, N_FEATURES)) < density
    copies = rng.random(n) < 0.3
    views[copies] = views[0]
    return views


def lived_in(model, rng, n):
    """A learner that has heard everybody before today."""
    learner = Learner(model, N_VIEWS)
    if n:
        learner.learn_many(
            messages(
                some_views(rng, n),
                values=rng.integers(0, 2, n),
                kinds=rng.choice([0, 0, 1, 2], n),
                users=[(NOBODY, VICTIM, OTHER, LOUD)[at] for at in rng.integers(0, 4, n)],
                groups=[(NOBODY, OURS, THEIRS)[at] for at in rng.integers(0, 3, n)],
                times=(TODAY - 1 - rng.integers(0, 3, n)) * DAY,
                priors=rng.choice([0.0, 5.0, -40.0], n),
            )
        )
    return learner


def weights_of(learner, group):
    """What each feature adds to its view, shape (views, features)."""
    from mtspam.model import contributions

    start = np.arange(N_VIEWS, dtype=np.uint32) * N_FEATURES
    rows = []
    for k in range(N_VIEWS):
        features = np.arange(N_FEATURES, dtype=np.uint32) + start[k]
        found = contributions(learner, k, features, group=group)
        rows.append((found.shared + found.group) * np.sqrt(N_FEATURES) / learner.mixing_weights[k])
    return np.array(rows)


def worst_views(change):
    """For each sign and view, the set of features whose margin changed most."""
    rows = []
    for sign in (1, -1):
        row = np.zeros((N_VIEWS, N_FEATURES), bool)
        for k in range(N_VIEWS):
            order = np.argsort(-sign * change[k])
            gain = np.cumsum(sign * change[k][order]) / np.sqrt(np.arange(1, N_FEATURES + 1))
            row[k, order[: 1 + gain.argmax()]] = True
        rows.append(row)
    return np.array(rows)


class Probe:
    """Scores of others, before and after."""

    def __init__(self, learner, rng):
        self.learner = learner
        self.views = some_views(rng, 20)
        self.before = self._copy()
        self.weights = {group: weights_of(learner, group) for group in (NOBODY, OURS)}

    def _copy(self):
        arrays = {name: array.copy() for name, array in self.learner.arrays().items()}
        return Learner.from_arrays(self.learner.settings, arrays)

    def largest_change(self):
        """Over random messages and the worst ones there are, for all who could be asked for."""
        worst = [worst_views(weights_of(self.learner, g) - w) for g, w in self.weights.items()]
        views = np.concatenate([self.views, *worst])
        changes = []
        for user in (VICTIM, OTHER, NOBODY, b"?" * 16):
            for group in (OURS, THEIRS, NOBODY):
                for prior in (0.0, 3.0, -1_000.0):
                    batch = messages(views, users=user, groups=group, priors=prior)
                    after, before = (x.predict_many(batch) for x in (self.learner, self.before))
                    changes += [
                        np.abs(getattr(after, name) - getattr(before, name)).max()
                        for name in ("blend", "phishing", "bulk")
                    ]
        return max(changes)


def bound(learner):
    """The bound as the settings state it, at the moment."""
    s = learner.settings
    return s.voice_per_day * (1 + s.young_labels / (1 + learner.n_labels))


def loud_day(rng, n, days):
    """Labels of one user, hostile ones too; `days` are the days that they are said to be from."""
    return messages(
        some_views(rng, n),
        values=rng.choice([rng.integers(0, 2, n), np.full(n, rng.integers(0, 2))]),
        kinds=rng.choice(rng.choice([[0, 0, 0], [0, 1, 2], [1, 1, 1], [2, 2, 0]]), n),
        users=LOUD,
        groups=[(NOBODY, OURS, THEIRS)[at] for at in rng.integers(0, 3, n)],
        times=rng.choice(days, n) * DAY,
        priors=rng.choice([0.0, 30.0, -1_000.0], n),
        weights=rng.choice([1.0, 0.01, 1_000.0, 1e300], n),
    )


@settings(deadline=None, max_examples=150)
@given(
    MODELS, st.integers(0, 2**32 - 1), st.sampled_from([0, 5, 80]), st.sampled_from([1, 9, 200])
)
def test_a_day_of_one_users_labels_moves_no_other_score_further_than_stated(
    model, seed, n, n_loud
):
    rng = np.random.default_rng(seed)
    learner = lived_in(model, rng, n)
    probe, most = Probe(learner, rng), bound(learner)
    learner.learn_many(loud_day(rng, n_loud, [TODAY]))
    assert probe.largest_change() <= most * COLLISIONS + 1e-4


@settings(deadline=None, max_examples=50)
@given(MODELS, st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_claiming_days_gives_no_more_than_one_voice_for_each_distinct_day(model, seed, n_days):
    rng = np.random.default_rng(seed)
    learner = lived_in(model, rng, 20)
    probe, most = Probe(learner, rng), bound(learner)
    days = rng.choice([TODAY, TODAY + 1, TODAY + 500, 3, -7], n_days, replace=False)
    for _ in range(3):
        learner.learn_many(loud_day(rng, 40, days))
    assert probe.largest_change() <= n_days * most * COLLISIONS + 1e-4


def test_days_that_go_back_and_forth_are_two_days():
    learner = Learner(MODEL, N_VIEWS)
    rng = np.random.default_rng(1)
    probe = Probe(learner, rng)
    views = np.zeros((400, N_VIEWS, N_FEATURES), bool)
    views[:, :, :20] = rng.random((400, N_VIEWS, 20)) < 0.5
    days = TODAY + np.arange(400) % 2
    learner.learn_many(messages(views, values=1, users=LOUD, times=days * DAY))
    assert 0.2 * bound(learner) < probe.largest_change() <= 2 * bound(learner) * COLLISIONS


@pytest.mark.parametrize("group", [NOBODY, OURS])
def test_the_bound_is_not_far_from_what_a_loud_user_reaches(group):
    model = dataclasses.replace(MODEL, mixing_weight=1.0)
    learner = lived_in(model, np.random.default_rng(2), 300)
    probe = Probe(learner, np.random.default_rng(3))
    views = np.zeros((50, N_VIEWS, N_FEATURES), bool)
    views[:, :, ::7] = True
    learner.learn_many(
        messages(views, values=1, users=LOUD, groups=group, times=np.full(50, TODAY * DAY))
    )
    assert probe.largest_change() > 0.4 * bound(learner)


def test_nobodys_labels_are_the_administrators_and_not_bounded():
    learner = Learner(MODEL, N_VIEWS)
    probe = Probe(learner, np.random.default_rng(4))
    learner.learn_many(messages(some_views(np.random.default_rng(5), 100), values=1))
    assert probe.largest_change() > 2 * bound(learner)


def test_who_found_no_row_in_the_register_moves_nothing():
    model = dataclasses.replace(MODEL, max_users=1)
    learner = Learner(model, N_VIEWS)
    rng = np.random.default_rng(6)
    learner.learn_many(messages(some_views(rng, 10), values=1, users=VICTIM))
    before = {name: array.tobytes() for name, array in learner.arrays().items()}
    learner.learn_many(messages(some_views(rng, 10), values=0, users=LOUD))
    assert {name: array.tobytes() for name, array in learner.arrays().items()} == before


def test_who_fills_the_personal_table_lifts_nobodys_score():
    """Many weights in one bucket add up to noise around nought, since each has a sign."""
    model = dataclasses.replace(MODEL, personal_bits=8, max_users=256)
    rng = np.random.default_rng(7)
    victims = [rng.bytes(16) for _ in range(200)]
    learner = Learner(model, N_VIEWS)
    learner.learn_many(messages(some_views(rng, 200), values=1, users=victims))
    asked = messages(np.ones((200, N_VIEWS, N_FEATURES), bool), users=victims)
    before = learner.predict_many(asked).personal
    for _ in range(3):
        learner.learn_many(messages(some_views(rng, 300), values=1, users=LOUD))
    change = learner.predict_many(asked).personal - before
    assert change.std() > 0.01
    assert abs(change.mean()) < 4 * change.std() / np.sqrt(len(victims))
