"""Rates of field values and moments last seen: equal to what NumPy says of the whole table."""

import numpy as np
import pytest

from mtspam.kernels.history import add_count, field_rates, latest_seen, read_counts

SCOPES = np.uint64(3), np.uint64(77)
RATE, NOW, MEAN, STRENGTH = 1e-3, 500.0, 0.07, 10.0


def shrunk(counts, above):
    shown = np.maximum(counts[:, 0], counts[:, 1])
    return (counts[:, 1] + STRENGTH * above) / (shown + STRENGTH)


@pytest.fixture
def table():
    rng = np.random.default_rng(2)
    size = 256
    tags, counts = np.zeros(size, np.uint64), np.zeros((size, 3), np.float32)
    worth, when = np.zeros(size, np.float32), np.zeros(size)
    for _ in range(300):
        values = rng.integers(1, 40, 3).astype(np.uint64)
        scope, what = SCOPES[rng.integers(2)], int(rng.integers(3))
        moment = float(rng.integers(400))
        add_count(tags, counts, worth, when, scope, values, what, np.ones(3), moment, RATE)
    return tags, counts, when


@pytest.mark.parametrize("has_market", [True, False])
def test_mean_rates_of_field_values(table, has_market):
    rng = np.random.default_rng(3)
    tokens = rng.integers(1, 50, (12, 4)).astype(np.uint32)
    n_tokens = rng.integers(0, 5, 12).astype(np.int32)
    slots = np.array([3, -1, 7, 7, 0, 11, 5])
    found = np.empty((slots.size, 2))
    own = SCOPES[1] if has_market else np.uint64(0)
    field_rates(
        table, slots, tokens, n_tokens, (SCOPES[0], own), (NOW, RATE), (MEAN, STRENGTH), found
    )
    for slot, row in zip(slots.tolist(), found.tolist(), strict=True):
        values = tokens[slot, : n_tokens[slot]].astype(np.uint64) if slot >= 0 else []
        values = np.array(values, np.uint64)
        counts = np.empty((values.size, 2, 3))
        read_counts(*table, np.array(SCOPES), values, NOW, RATE, counts)
        above = shrunk(counts[:, 0], MEAN)
        own_rates = shrunk(counts[:, 1], above) if has_market else above
        for rates, mean in ((above, row[0]), (own_rates, row[1])):
            assert mean == (sum(rates.tolist()) + MEAN) / (values.size + 1.0)


def test_nothing_known_is_the_rate_of_anything(table):
    found = np.empty((2, 2))
    field_rates(
        table, np.array([-1, 0]), np.zeros((1, 4), np.uint32), np.zeros(1, np.int32), SCOPES,
        (NOW, RATE), (MEAN, STRENGTH), found,
    )  # fmt: skip
    assert found.tolist() == [[MEAN, MEAN], [MEAN, MEAN]]


def test_the_latest_moment_in_a_ring():
    rng = np.random.default_rng(4)
    slots, ring, when = np.arange(-1, 9), rng.integers(0, 7, 30), rng.normal(size=30)
    found = np.empty(slots.size)
    latest_seen(slots, ring, when, found)
    same = slots[:, None] == ring[None, :]
    expected = np.where(same, when[None, :], -np.inf).max(axis=1)
    assert found.tolist() == pytest.approx(
        np.where(np.isfinite(expected), expected, np.nan).tolist(), rel=0, abs=0, nan_ok=True
    )
    latest_seen(slots, ring[:0], when[:0], found)
    assert np.isnan(found).all()
