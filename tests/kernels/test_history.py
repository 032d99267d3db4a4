"""The kernels of history beside plain twins: ridge regression, counters, pairs."""

import numpy as np
import pytest

from mtspam.kernels.affinity import affinity, fill_weights
from mtspam.kernels.history import add_count, add_pairs, pair_features, read_counts


def _documents(seed: int = 0, n: int = 30) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    tokens = np.zeros((n, 8), np.uint32)
    fields = np.zeros((n, 8), np.uint8)
    n_tokens = rng.integers(2, 8, n).astype(np.int32)
    frequency = np.zeros(64, np.int32)
    for i in range(n):
        drawn = rng.choice(40, n_tokens[i], replace=False)
        tokens[i, : n_tokens[i]] = drawn
        fields[i, : n_tokens[i]] = np.sort(rng.integers(0, 3, n_tokens[i]))
        frequency[drawn] += 1
    weights, stamps = np.zeros((n, 8), np.float32), np.zeros(n, np.int64)
    fill_weights(np.arange(n), tokens, fields, n_tokens, weights, stamps, frequency, n)
    return tokens, fields, n_tokens, weights


def test_each_field_has_unit_length() -> None:
    _, fields, n_tokens, weights = _documents()
    for i in range(len(n_tokens)):
        for name in np.unique(fields[i, : n_tokens[i]]):
            own = weights[i, : n_tokens[i]][fields[i, : n_tokens[i]] == name]
            assert float((own**2).sum()) == pytest.approx(1.0, abs=1e-5) or not own.any()


def test_affinity_is_the_posterior_mean_of_ridge_regression() -> None:
    tokens, _, n_tokens, weights = _documents()
    rng = np.random.default_rng(1)
    ring, candidates = np.arange(12), np.arange(10, 30)
    residual, noise = rng.normal(size=12), rng.uniform(0.5, 1.0, 12)
    found = np.zeros((20, 2))
    affinity(ring, residual, noise, candidates, tokens, n_tokens, weights, 0.3, 0.1, 100, found)
    plain = np.zeros((30, 40))
    for i in range(30):
        np.add.at(plain[i], tokens[i, : n_tokens[i]], weights[i, : n_tokens[i]])
    kernel = 0.3 * plain @ plain.T + 0.1
    solved = np.linalg.solve(kernel[:12, :12] + np.diag(noise), residual)
    np.testing.assert_allclose(found[:, 0], kernel[10:30, :12] @ solved, atol=2e-3)


def test_counters_are_kept_apart_by_scope_and_kind() -> None:
    tags, counts = np.zeros(256, np.uint64), np.zeros((256, 3), np.float32)
    worth, when = np.zeros(256, np.float32), np.zeros(256)
    values = np.arange(1, 6, dtype=np.uint64)
    scopes = np.array([1, 9], np.uint64)
    table = tags, counts, worth, when
    add_count(*table, scopes[0], values, 0, np.arange(1.0, 6.0), 0.0, 0.0)
    add_count(*table, scopes[1], values[:2], 1, np.ones(2), 0.0, 0.0)
    out = np.empty((5, 2, 3))
    read_counts(tags, counts, when, scopes, values, 0.0, 0.0, out)
    assert out[:, 0, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert out[:, 1, 1].tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert out.sum() == 17.0


def test_pairs_are_cosines_of_who_took_both() -> None:
    marks = np.zeros(32, np.uint8)
    tags, together = np.zeros(256, np.uint64), np.zeros(256, np.float32)
    one = np.uint64(1)
    taken = np.array([5, 6], np.uint64)
    add_pairs(marks, tags, together, one, np.uint64(7), taken, 3.0)
    add_pairs(marks, tags, together, one, taken[0], taken[1:], 1.0)
    out = np.zeros((2, 8))
    candidates = np.array([7, 8], np.uint64)
    pair_features(
        marks, tags, together, one, taken, np.array([4.0, 9.0]), candidates,
        np.array([3.0, 2.0]), 1.0, out,
    )  # fmt: skip
    nearest, second = 3.0 / np.sqrt(4.0 * 5.0), 3.0 / np.sqrt(4.0 * 10.0)
    gram = np.diag([14.0, 19.0])  # the user's own pair counts for nothing
    ridge = 3.0 * np.linalg.solve(gram, np.ones(2)).sum() / np.sqrt(4.0)
    jaccard = (3.0 / (4.0 + 2.0) + 3.0 / (9.0 + 2.0)) / 2.0  # of 3, 4 and 9 takers 3 are the same
    expected = [nearest + second, 3.0 / 5.0 + 3.0 / 10.0, nearest, second, 2.0, ridge]
    expected += [jaccard, 3.0 / (4.0 + 0.5)]
    np.testing.assert_allclose(out[0], expected, rtol=1e-6)
    assert not out[1].any()


@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_ridge_regression_stays_bounded_where_counts_faded_and_pairs_did_not(kept: float) -> None:
    rng = np.random.default_rng(2)
    taken_by = (rng.random((300, 60)) < 0.7).astype(np.float64)
    keys = np.arange(1, 61, dtype=np.uint64)
    marks, tags = np.zeros(1 << 12, np.uint8), np.zeros(1 << 14, np.uint64)
    together = np.zeros(1 << 14, np.float32)
    scope = np.uint64(1)
    for i in range(60):
        others = np.arange(i)
        for j in others:
            both = float(taken_by[:, i] @ taken_by[:, j])
            add_pairs(marks, tags, together, scope, keys[i], keys[j : j + 1], both)
    faded = taken_by.sum(axis=0) * rng.uniform(kept, 1.0, 60)
    out = np.empty((10, 8))
    pairs = marks, tags, together, scope
    taken = keys[:50], np.ascontiguousarray(faded[:50])
    candidates = keys[50:], np.ascontiguousarray(faded[50:])
    pair_features(*pairs, *taken, *candidates, 5.0, out)
    assert np.isfinite(out).all()
    assert np.abs(out[:, 5]).max() < 100.0
