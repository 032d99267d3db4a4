"""Three witnesses: cases by hand, the plain-Python twin, and laws."""

import dataclasses
import inspect
import math
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.config import ModelSettings
from mtspam.kernels import crossing, learning
from mtspam.kernels.crossing import crossed_weights
from mtspam.model import Batch, Learner, replay
from mtspam.model.replay import Replay
from mtspam.types import Example, Features
from tests.reference.learning import Message, Twin, cross

SMALL = ModelSettings(
    shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8, max_users=8, max_groups=8
)
DAY = 86_400
COLUMNS = ("blend", "shared", "group", "personal", "phishing", "bulk", "starter", "mistake")
USERS = [b"", b"a" * 16, b"b" * 16]
GROUPS = [b"", b"g" * 16, b"h" * 16]


def batch_of(messages):
    """The messages as columns."""

    def column(name, kind):
        return np.array([getattr(message, name) for message in messages], kind)

    examples = [Example(tuple(np.array(v, np.uint32) for v in m.views)) for m in messages]
    return Batch(
        features=Features.from_examples(examples),
        users=[m.user for m in messages],
        groups=[m.group for m in messages],
        values=column("value", np.int8),
        kinds=column("kind", np.int8),
        times=column("day", np.int64) * DAY,
        priors=column("prior", np.float64),
        weights=column("weight", np.float64),
    )


def messages_of(n_views):
    view = st.lists(st.integers(0, 40), unique=True, max_size=6)
    return st.lists(
        st.builds(
            Message,
            st.lists(view, min_size=n_views, max_size=n_views),
            value=st.sampled_from([1, 1, 0, 0, -1]),
            kind=st.sampled_from([0, 0, 0, 1, 2]),
            user=st.sampled_from(USERS),
            group=st.sampled_from(GROUPS),
            day=st.integers(0, 3),
            prior=st.sampled_from([0.0, 2.0, -30.0]),
            weight=st.sampled_from([1.0, 1.0, 0.3, 50.0]),
        ),
        min_size=1,
        max_size=15,
    )


SETTINGS = st.sampled_from(
    [
        SMALL,
        # Voices that are soon used up, in a model that is still young.
        dataclasses.replace(SMALL, voice_per_day=0.3, young_labels=4.0),
        dataclasses.replace(SMALL, voice_per_day=0.0),
        # Bounds that are soon reached, rates that show.
        dataclasses.replace(SMALL, largest_step=0.2, mixing_rate=0.9, bias_rate=0.5),
        dataclasses.replace(
            SMALL, joint_share=1.0, noise_rate=0.5, noise_prior=0.3, noise_labels=1.0
        ),
        dataclasses.replace(
            SMALL, starter_labels=0.0, evidence_labels=0.0, initial_accumulator=1.0
        ),
    ]
)


def _bits(learner):
    return {name: array.tobytes() for name, array in learner.arrays().items()}


def test_a_first_label_by_hand():
    learner = Learner(SMALL, 1)
    message = Message([[1, 2, 3, 4]], value=1)
    before = learner.learn_many(batch_of([message]))
    assert before.blend.tolist() == [0.0]
    # A first label is a mistake with the prior's 0.1; what is left of the gradient 0.5, over the
    # root of four features, steps by AdaGrad from an accumulator of 1e-4.
    assert before.mistake == pytest.approx(0.1)
    g = 0.5 * 0.9 / 2
    weight = g / math.sqrt(1e-4 + g * g)
    assert learner.arrays()["shared_weights"][0, :6].tolist() == pytest.approx(
        [0, weight, weight, weight, weight, 0]
    )
    bias = 0.0015 * 0.45 / math.sqrt(1 + 0.45**2)
    after = learner.predict_many(batch_of([message]))
    assert after.blend.tolist() == pytest.approx([0.4 * 4 * weight / 2 + bias])


def test_one_label_makes_no_longer_step_than_allowed_by_hand():
    learner = Learner(dataclasses.replace(SMALL, largest_step=1.0, noise_caution=0.0), 1)
    learner.learn_many(batch_of([Message([[1, 2, 3, 4]], value=1)]))
    assert learner.arrays()["shared_weights"][0, 1:5].tolist() == pytest.approx([0.5] * 4)


def test_a_voice_ends_for_the_day_by_hand():
    learner = Learner(dataclasses.replace(SMALL, voice_per_day=1.0, young_labels=0.0), 1)
    # The second message is another one, the third comes a day later.
    for day, features in enumerate(([1, 2], [3, 4], [5, 6])):
        label = Message([features], value=1, user=USERS[1], day=1 + day // 2)
        learner.learn_many(batch_of([label]))
    weights = learner.arrays()["shared_weights"][0]
    assert weights[1:7:2].tolist() == pytest.approx(
        [1 / math.sqrt(2), 0, 1 / math.sqrt(2)], rel=0.1
    )
    assert weights[3] == 0.0


@pytest.mark.parametrize(("level", "column"), [("shared", "shared"), ("group", "group")])
def test_no_input_of_the_combiner_says_more_than_its_limit_by_hand(level, column):
    learner = Learner(SMALL, 1)
    message = Message([[1, 2]], value=1, group=GROUPS[1])
    learner.learn_many(batch_of([message]))
    arrays = learner.arrays()
    arrays[f"{level}_weights"][:] *= 1_000
    scores = Learner.from_arrays(SMALL, arrays).predict_many(batch_of([message]))
    assert getattr(scores, column)[0] == pytest.approx(0.4 * 20, abs=0.01)


def test_heads_know_nothing_before_the_first_yes():
    learner = Learner(SMALL, 1)
    learner.learn_many(batch_of([Message([[1]], value=0, kind=1), Message([[1]], value=0)]))
    assert learner.predict_many(batch_of([Message([[1]])])).phishing.tolist() == [0.0]
    learner.learn_many(batch_of([Message([[1]], value=1, kind=1)]))
    scores = learner.predict_many(batch_of([Message([[1]])]))
    assert scores.phishing[0] > 0.4
    assert scores.bulk[0] == 0.0


@settings(deadline=None)
@given(st.sampled_from([1, 2, 5]), SETTINGS, st.data())
def test_the_twin_says_the_same(n_views, model, data):
    messages = data.draw(messages_of(n_views))
    learner, twin = Learner(model, n_views), Twin(model, n_views)
    scores = learner.learn_many(batch_of(messages))
    expected = [twin.step(message) for message in messages]
    for name in COLUMNS:
        assert getattr(scores, name).tolist() == pytest.approx(
            [row[name] for row in expected], rel=2e-3, abs=2e-4
        ), name
    assert learner.noise == pytest.approx(twin.noise, rel=1e-3)
    assert learner.n_labels == pytest.approx(twin.n_labels, rel=1e-3)
    for key, figures in learner.users.items():
        assert figures[3] == pytest.approx(twin.users[key].spent, rel=2e-3, abs=2e-4)


def recalled(learner, messages):
    """The messages in the order of learning, those learnt again put between."""
    model = learner.settings
    memory = Replay(model.replay_messages, model.replay_share, model.replay_memory)
    told = [i for i, m in enumerate(messages) if m.value >= 0 and m.kind == 0]
    rows = memory.plan(batch_of(messages), np.array(told, np.int64))
    if rows is None:
        yield from messages
        return
    for source, again in zip(rows.sources.tolist(), rows.again, strict=True):
        caller = messages[source]
        if again is None:
            yield caller
            continue
        views = [again.values[a:b].tolist() for a, b in pairwise(again.bounds)]
        yield Message(
            views,
            value=1 - caller.value,
            user=again.user if again.user == caller.user else b"",
            day=caller.day,
            prior=again.prior,
            is_again=True,
            caller=caller.user,
        )


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([1, 2, 5]), SETTINGS, st.data())
def test_the_twin_says_the_same_of_messages_learnt_again(n_views, model, data):
    messages = data.draw(messages_of(n_views))
    learner, twin = Learner(model, n_views), Twin(model, n_views)
    with mock.patch.object(replay, "_LEAST", 1):
        scores = learner.learn_many(batch_of(messages))
        rows = list(recalled(learner, messages))
    expected = [said for row in rows for said in [twin.step(row)] if not row.is_again]
    for name in COLUMNS:
        assert getattr(scores, name).tolist() == pytest.approx(
            [row[name] for row in expected], rel=2e-3, abs=2e-4
        ), name
    for key, figures in learner.users.items():
        assert figures[0] == twin.users[key].labels
        assert figures[3] == pytest.approx(twin.users[key].spent, rel=2e-3, abs=2e-4)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([1, 2, 5]), SETTINGS, st.data())
def test_many_are_as_one_by_one(n_views, model, data):
    messages = data.draw(messages_of(n_views))
    together, alone = Learner(model, n_views), Learner(model, n_views)
    scores = together.learn_many(batch_of(messages))
    singles = [alone.learn_many(batch_of([message])) for message in messages]
    for name in COLUMNS:
        assert getattr(scores, name).tolist() == [getattr(one, name)[0] for one in singles]
    assert _bits(together) == _bits(alone)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([1, 2, 5]), st.data())
def test_the_order_of_features_makes_no_difference(n_views, data):
    messages = data.draw(messages_of(n_views))
    turned = [
        dataclasses.replace(message, views=[view[::-1] for view in message.views])
        for message in messages
    ]
    straight = Learner(SMALL, n_views).learn_many(batch_of(messages))
    reverse = Learner(SMALL, n_views).learn_many(batch_of(turned))
    assert straight.blend.tolist() == pytest.approx(reverse.blend.tolist(), rel=1e-3, abs=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([1, 2, 5]), SETTINGS, st.data())
def test_predicting_changes_nothing(n_views, model, data):
    learner = Learner(model, n_views)
    batch = batch_of(data.draw(messages_of(n_views)))
    learner.learn_many(batch)
    before = _bits(learner)
    learner.predict_many(batch)
    assert _bits(learner) == before


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 10), st.data())
def test_no_label_steps_further_than_allowed(largest, data):
    learner = Learner(dataclasses.replace(SMALL, largest_step=largest), 2)
    for message in data.draw(messages_of(2)):
        before = learner.arrays()["shared_weights"].astype(np.float64)
        learner.learn_many(batch_of([message]))
        steps = learner.arrays()["shared_weights"] - before
        assert np.linalg.norm(steps, axis=1).max() <= largest * (1 + 1e-4) + 1e-6


@given(st.lists(st.integers(0, 2**32 - 1), max_size=8), st.binary(min_size=16, max_size=16))
def test_crossed_weights_are_where_the_twin_has_them(features, key):
    table = np.random.default_rng(0).normal(size=64).astype(np.float32)
    out = np.empty(len(features))
    salt = np.uint64(int.from_bytes(key[:8], "little"))
    crossed_weights(np.array(features, np.uint32), salt, table, out)
    expected = [sign * float(table[x % 64]) for x, sign in (cross(f, key) for f in features)]
    assert out.tolist() == expected


@pytest.mark.parametrize("name", ["_cross", "_sign"])
def test_kernels_repeated_in_two_files_are_the_same(name):
    kernels = [getattr(module, name) for module in (crossing, learning)]
    sources = {inspect.getsource(getattr(one, "py_func", one)) for one in kernels}
    assert len(sources) == 1
