"""Three witnesses: a case by hand, the plain-Python twin, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels.residual import add_click, gather_hashes, level_margins, step_levels
from tests.reference import residual as twin

HASHES = st.integers(0, 2**64 - 1)
CANDIDATES = st.lists(st.lists(HASHES, max_size=5), min_size=1, max_size=6)
KEYS = st.tuples(st.just(0), st.sampled_from([0, 7]), st.sampled_from([0, 2**63 + 5]))
SIZE = 16


def packed(candidates):
    sizes = [len(one) for one in candidates]
    flat = [hash_ for one in candidates for hash_ in one]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return np.array(flat, np.uint64), offsets


def tables(seed):
    return np.random.default_rng(seed).normal(size=(3, SIZE)).astype(np.float32)


def margins(candidates, keys, weights):
    out = np.empty((len(candidates), 3))
    level_margins(*packed(candidates), np.array(keys, np.uint64), weights, out)
    return out


def push_of(scores, clicked, is_clicked, below):
    out = np.zeros(len(scores))
    add_click(np.array(scores, float), clicked, np.array(is_clicked), below, out)
    return out


def stepped(candidates, keys, push, weights, squares, decay=0.01):
    step_levels(
        *packed(candidates), np.array(keys, np.uint64), weights, squares, np.array(push, float),
        np.array([0.1, 0.2, 0.3]), decay,
    )  # fmt: skip


def test_a_click_by_hand():
    # Nobody is ahead: half of a push from each that was passed over, the one below counts half.
    push = push_of([0.0, 0.0, 0.0], 1, [False, True, False], 0.5)
    assert push.tolist() == pytest.approx([-1 / 3, 0.5, -1 / 6])
    assert push_of([0.0, 5.0], 1, [True, True], 0.5).tolist() == [0.0, 0.0]
    assert push_of([0.0, 5.0], 0, [True, False], 0.0).tolist() == [0.0, 0.0]


@given(CANDIDATES, KEYS, st.integers(0, 99))
def test_margins_are_the_twins(candidates, keys, seed):
    weights = tables(seed)
    expected = twin.margins(candidates, keys, weights.tolist())
    assert margins(candidates, keys, weights) == pytest.approx(np.array(expected), abs=1e-6)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=7), st.data(),
    st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
def test_pushes_are_the_twins_and_cancel_out(shown, data, below):
    scores, is_clicked = (list(side) for side in zip(*shown, strict=True))
    clicked = data.draw(st.integers(0, len(scores) - 1))
    is_clicked[clicked] = True
    push = push_of(scores, clicked, is_clicked, below)
    assert push.tolist() == pytest.approx(twin.pushes(scores, clicked, is_clicked, below))
    assert sum(push) == pytest.approx(0.0, abs=1e-12)
    assert 0.0 <= push[clicked] <= 1.0


@given(CANDIDATES, KEYS, st.integers(0, 99), st.data())
def test_steps_are_the_twins(candidates, keys, seed, data):
    n = len(candidates)
    push = data.draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n))
    weights, squares = tables(seed), np.full(SIZE, 0.01, np.float32)
    theirs, sums = weights.tolist(), squares.tolist()
    stepped(candidates, keys, push, weights, squares)
    twin.step(candidates, keys, (theirs, sums), push, [0.1, 0.2, 0.3], 0.01)
    assert weights == pytest.approx(np.array(theirs), abs=1e-4)
    assert squares == pytest.approx(np.array(sums), rel=1e-4)


def test_who_is_not_known_moves_only_what_all_share():
    weights, squares = np.zeros((3, SIZE), np.float32), np.full(SIZE, 0.01, np.float32)
    stepped([[1, 2], [3]], (0, 0, 0), [0.5, -0.5], weights, squares)
    assert weights[0].any()
    assert not weights[1:].any()


def test_hashes_are_joined():
    pool = np.array([9, 8, 7], np.uint64)
    places = np.array([[1, 2], [0, 0], [0, 1]])
    extra = np.array([[1], [2], [3]], np.uint64)
    out, offsets = np.zeros(6, np.uint64), np.zeros(4, np.int64)
    gather_hashes(pool, places, extra, out, offsets)
    assert out.tolist() == [8, 7, 1, 2, 9, 3]
    assert offsets.tolist() == [0, 3, 4, 6]
