"""Three witnesses: a case by hand, the plain-Python twin, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels.sorting import sort_views
from tests.reference import sorting as twin

HASH = st.integers(0, 2**32 - 1) | st.sampled_from([0, 255, 256, 65535, 2**31, 2**32 - 1])
# Short views are sorted by insertion, long ones by their first bits, or by all digits.
VIEW = st.lists(HASH, max_size=8) | st.lists(HASH, min_size=20, max_size=80)
MESSAGES = st.integers(1, 3).flatmap(
    lambda n_views: st.lists(st.lists(VIEW, min_size=n_views, max_size=n_views), max_size=4)
)


def _run(messages):
    n_views = len(messages[0]) if messages else 1
    sizes = np.array([[len(view) for view in views] for views in messages], np.int64)
    ends = np.cumsum(sizes).reshape(len(messages), n_views)
    begins = (ends[:, :1] - sizes[:, :1]) if messages else np.empty((0, 1), np.int64)
    offsets = np.ascontiguousarray(np.concatenate([begins, ends], axis=1))
    values = np.array([f for views in messages for view in views for f in view], np.uint32)
    n = sort_views(values, offsets, np.empty(max(1, sizes.max(initial=0)), np.uint32))
    found = [
        [values[row[k] : row[k + 1]].tolist() for k in range(n_views)] for row in offsets.tolist()
    ]
    return found, offsets, n


def test_by_hand():
    found, offsets, n = _run([[[7, 3, 7], []], [[9], [2, 1, 2, 1]]])
    assert found == [[[3, 7], []], [[9], [1, 2]]]
    assert offsets.tolist() == [[0, 2, 2], [2, 3, 5]]
    assert n == 5


def test_many_hashes_are_sorted_by_all_their_digits():
    view = np.random.default_rng(1).integers(0, 2**32, 5_000, np.uint32)
    found, _, n = _run([[[*view.tolist(), *view.tolist()]]])
    assert found == [[np.unique(view).tolist()]]
    assert n == len(np.unique(view))


@pytest.mark.parametrize("step", [1, 3, 1 << 16, (1 << 32) // 20_000])
def test_hashes_are_sorted_however_close_together_they_lie(step):
    view = np.random.default_rng(1).permutation(20_000).astype(np.int64) * step % (1 << 32)
    repeated = [*view.tolist(), *view[:100].tolist()]
    found, _, n = _run([[[5, 1], repeated, [2]]])
    assert found == [[[1, 5], np.unique(view).tolist(), [2]]]
    assert n == len(np.unique(view)) + 3


@given(MESSAGES)
def test_the_twin_finds_the_same(messages):
    found, _, n = _run(messages)
    assert found == twin.sort_views(messages)
    assert n == sum(len(view) for views in found for view in views)


@given(MESSAGES)
def test_sorting_again_changes_nothing(messages):
    found, offsets, n = _run(messages)
    again, same_offsets, same_n = _run(found)
    assert again == found
    assert same_offsets.tolist() == offsets.tolist()
    assert same_n == n
