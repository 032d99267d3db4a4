import numpy as np
import pytest

from mtspam.config import RankingSettings
from mtspam.search.features import FeatureTable

SMALL = RankingSettings(
    rounds=40, learning_rate=0.1, leaves=8, min_leaf_rows=5, patience=10, market_rounds=20,
    market_leaves=4, market_queries=10, threads=1, residual_bits=14,
)  # fmt: skip


def make_table(n_queries, seed=0, *, market_sizes=(1.0,), n_items=8, conversion=False):
    """Queries whose truth is shared plus a part of the market; clicks fall on the best."""
    rng = np.random.default_rng(seed)
    n_rows = n_queries * n_items
    n_markets = len(market_sizes)
    values = rng.normal(size=(n_rows, 5)).astype(np.float32)
    values[:, 4] = rng.integers(0, 6, n_rows)
    shares = np.array(market_sizes) / sum(market_sizes)
    market = rng.choice(n_markets, n_queries, p=shares).astype(np.int32)
    own = np.random.default_rng(99).normal(size=(n_markets, 2))[np.repeat(market, n_items)]
    truth = values[:, 0] + 0.5 * (values[:, 4] == 2) + (own * values[:, 1:3]).sum(axis=1)
    noisy = (truth + rng.normal(size=n_rows) * 0.5).reshape(n_queries, n_items)
    click = (noisy >= np.sort(noisy, axis=1)[:, -2:-1]).astype(np.float32).reshape(-1)
    converted = click * (values[:, 3] + rng.normal(size=n_rows) * 0.3 > 0.5)
    return FeatureTable(
        columns=("a", "b", "c", "d", "kind"),
        values=values,
        offsets=np.arange(0, n_rows + 1, n_items, dtype=np.int64),
        items=rng.integers(1, 10**6, n_rows).astype(np.uint64),
        position=np.tile(np.arange(n_items, dtype=np.int32), n_queries),
        click=click,
        conversion=(converted if conversion else np.full(n_rows, np.nan)).astype(np.float32),
        user=rng.integers(1, 20, n_queries).astype(np.uint64),
        market=market,
        time=np.arange(n_queries, dtype=np.int64),
        markets=tuple(f"m{i}" for i in range(n_markets)),
        categorical=("kind",),
    )


def mean_ndcg(table, scores, grades=None):
    """nDCG@5 with exponential gain, queries with nothing to find left out."""
    grades = table.click if grades is None else grades
    found = []
    for start, end in zip(table.offsets[:-1], table.offsets[1:], strict=True):
        gain = 2.0 ** grades[start:end] - 1
        if gain.max() > 0:
            discount = 1 / np.log2(np.arange(2, 7))
            shown = gain[np.argsort(-scores[start:end], kind="stable")][:5]
            best = np.sort(gain)[::-1][:5]
            found.append((shown * discount[: len(shown)]).sum() / (best * discount).sum())
    return float(np.mean(found))


@pytest.fixture
def small():
    return SMALL


@pytest.fixture
def tables():
    return make_table


@pytest.fixture
def ndcg():
    return mean_ndcg
