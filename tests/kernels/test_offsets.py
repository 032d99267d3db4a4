"""Three witnesses: a case by hand, the plain-Python twin, and a law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels.offsets import are_offsets_sound
from tests.reference import offsets as twin

ROW = st.lists(st.integers(-1, 9), min_size=3, max_size=3)
BLOCK = st.lists(ROW | ROW.map(sorted), max_size=4)


def _are_sound(rows, n_values):
    return are_offsets_sound(np.array(rows, np.int64).reshape(len(rows), 3), n_values)


@pytest.mark.parametrize(
    ("row", "is_sound"),
    [
        ([0, 2, 5], True),
        ([5, 5, 5], True),
        ([0, 2, 6], False),
        ([-1, 2, 5], False),
        ([0, 3, 2], False),
        ([2, 0, 5], False),
    ],
)
def test_by_hand(row, is_sound):
    assert _are_sound([row], 5) == is_sound
    # Rows may lie in any order, and one message may stand in several.
    assert _are_sound([[0, 5, 5], row, [0, 0, 0]], 5) == is_sound


@given(BLOCK, st.integers(0, 9))
def test_the_twin_says_the_same(rows, n_values):
    assert _are_sound(rows, n_values) == twin.are_offsets_sound(rows, n_values)


@given(BLOCK, st.integers(0, 9))
def test_a_block_is_as_sound_as_each_of_its_rows(rows, n_values):
    assert _are_sound(rows, n_values) == all(_are_sound([row], n_values) for row in rows)
