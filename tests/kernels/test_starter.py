"""Three witnesses: a case by hand, the plain-Python twin, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels.distinct import seal
from mtspam.kernels.starter import starter_margin, starter_margins
from mtspam.types import Example, Features
from tests.reference import distinct as sealing
from tests.reference import starter as twin

VIEW = st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=10)
BASES = st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=10)
N_VIEWS = 2
MESSAGES = st.lists(st.lists(VIEW, min_size=N_VIEWS, max_size=N_VIEWS), min_size=1, max_size=4)
TABLES = st.lists(
    st.lists(st.integers(-127, 127), min_size=8, max_size=8), min_size=N_VIEWS, max_size=N_VIEWS
)
SCALES = st.lists(st.sampled_from([0.0, 0.01, 0.5]), min_size=N_VIEWS, max_size=N_VIEWS)


def _run(messages, weights, scales, limit, bias=0.0):
    features = Features.from_examples(
        [Example(tuple(np.array(view, np.uint32) for view in views)) for views in messages]
    )
    out = np.full(len(messages), bias)
    starter_margins(
        features.values,
        features.offsets,
        np.array(weights, np.int8),
        np.array(scales, np.float64),
        limit,
        out,
    )
    return out.tolist()


def test_by_hand():
    weights = [[0, 10, 20, -30], [1, 1, 1, 1]]
    # Features 1, 2, 3 and 6 (which is 2 again) of the first view, one of the second.
    said = _run([[[1, 2, 3, 6], [0]]], weights, [0.1, 0.5], 8.0, bias=-1.0)
    assert said == pytest.approx([-1 + (10 + 20 - 30 + 20) * 0.1 / 2 + 0.5])


def test_one_view_says_no_more_than_the_limit():
    assert _run([[[1], [0]]], [[0, 100], [0, 0]], [1.0, 1.0], 8.0) == [8.0]
    assert _run([[[1], [0]]], [[0, -100], [0, 0]], [1.0, 1.0], 8.0) == [-8.0]


def test_an_empty_message_has_the_bias():
    assert _run([[[], []]], [[1, 1], [1, 1]], [1.0, 1.0], 8.0, bias=0.25) == [0.25]


@given(MESSAGES, TABLES, SCALES)
def test_the_twin_says_the_same(messages, weights, scales):
    expected = [twin.starter_margin(views, weights, scales, 8.0) for views in messages]
    assert _run(messages, weights, scales, 8.0) == pytest.approx(expected, abs=1e-12)


@given(MESSAGES, TABLES, SCALES)
def test_order_and_company_make_no_difference(messages, weights, scales):
    together = _run(messages, weights, scales, 8.0)
    alone = [_run([views], weights, scales, 8.0)[0] for views in messages]
    turned = _run([[view[::-1] for view in views] for views in messages], weights, scales, 8.0)
    assert together == alone == turned


def _unsealed(message):
    bases = np.zeros((N_VIEWS, 10), np.uint64)
    for row, view in enumerate(message):
        bases[row, : len(view)] = view
    return bases, np.array([len(view) for view in message], np.int64)


@given(
    st.lists(BASES, min_size=N_VIEWS, max_size=N_VIEWS), TABLES, SCALES, st.integers(0, 2**64 - 1)
)
def test_hashes_not_yet_sealed_say_the_same_to_the_bit(message, weights, scales, seed):
    bases, counts = _unsealed(message)
    tables = np.array(weights, np.int8), np.array(scales, np.float64)
    said = starter_margin(bases, counts, np.uint64(seed), *tables, 8.0, 0.25)
    sealed, offsets = np.zeros(int(counts.sum()), np.uint32), np.zeros((1, N_VIEWS + 1), np.int64)
    assert seal(bases, counts, np.uint64(seed), sealed, offsets[0]) == len(sealed)
    out = np.array([0.25])
    starter_margins(sealed, offsets, *tables, 8.0, out)
    assert said == out[0]
    views = [[sealing.seal(base, seed) for base in view] for view in message]
    assert said - 0.25 == pytest.approx(
        twin.starter_margin(views, weights, scales, 8.0), abs=1e-12
    )
