"""Rows and columns are added in any order, and each number stays where it was put."""

import numpy as np
import pytest

from mtspam.ranking.rowstore import RowStore


@pytest.mark.parametrize("seed", range(6))
def test_each_number_stays_where_it_was_put(seed, monkeypatch):
    monkeypatch.setattr("mtspam.ranking.rowstore._BLOCK_ROWS", 7)
    monkeypatch.setattr("mtspam.ranking.rowstore._MORE_BYTES", 64)
    rng = np.random.default_rng(seed)
    n_behind = int(rng.integers(0, 4))
    store, expected, n_front = RowStore(n_behind), [], 0
    for _ in range(60):
        if rng.random() < 0.3:
            n_front += int(rng.integers(1, 5))
            store.widen(n_front)
        n = int(rng.integers(0, 9))
        front, behind = store.add(n)
        assert front.shape == (n, n_front)
        front[:], behind[:] = rng.normal(size=front.shape), rng.normal(size=behind.shape)
        expected += [(front.copy(), behind.copy())]
    found, row = store.matrix(), 0
    assert found.flags.c_contiguous
    assert found.shape[1] == n_front + n_behind
    for front, behind in expected:
        block = found[row : row + len(front)]
        assert np.array_equal(block[:, : front.shape[1]], front)
        assert np.isnan(block[:, front.shape[1] : n_front]).all()
        assert np.array_equal(block[:, n_front:], behind)
        row += len(front)
    assert row == len(found)
