"""Figures of several orders of the same candidates, whole and by parts of the queries."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.metrics.ranking import (
    EmptyQueries,
    Gain,
    average_precision,
    mean_figure,
    mean_interval,
    ndcg,
    reciprocal_rank,
)
from mtspam.search.features import FeatureTable

__all__ = ["HISTORY_SPLITS", "RankFigure", "RankRow", "earlier_queries", "rank_rows"]

HISTORY_SPLITS = (("0", 0, 0), ("1-2", 1, 2), ("3-5", 3, 5), ("more", 6, 1 << 62))
"""How many earlier rankings a user had: name, least, most."""

_NUMBERED = 5
"""Up to this one, a user's rankings are also told apart one by one."""


@dataclass(frozen=True, slots=True)
class RankFigure:
    """A mean over queries and its 95 % bootstrap interval, by query."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRow:
    """How good one order is on some of the queries.

    Parameters
    ----------
    name
        The order.
    split
        ``all``, ``history 1-2``, ``ranking 5`` (of its user) or ``market NAME``.
    n_queries
        Queries that count by the rule for those without a relevant document.
    ndcg_at_10, ndcg_at_5
        With the exponential gain.
    ndcg_at_10_linear, ndcg_at_5_linear
        With the grade as gain: the same where grades are 0 and 1.
    mrr, map
        Over all places.
    """

    name: str
    split: str
    n_queries: int
    ndcg_at_10: RankFigure
    ndcg_at_5: RankFigure
    ndcg_at_10_linear: RankFigure
    ndcg_at_5_linear: RankFigure
    mrr: RankFigure
    map: RankFigure


def earlier_queries(table: FeatureTable) -> NDArray[np.int64]:
    """Count the earlier queries of each query's user, 0 for nobody's; shape ``(n_queries,)``."""
    earlier = np.zeros(table.n_queries, np.int64)
    seen: dict[int, int] = {}
    for query in np.argsort(table.time, kind="stable").tolist():
        user = int(table.user[query])
        if user:
            earlier[query] = seen.get(user, 0)
            seen[user] = seen.get(user, 0) + 1
    return earlier


def rank_rows(
    table: FeatureTable,
    scores: Mapping[str, NDArray[np.float64]],
    earlier: NDArray[np.int64],
    *,
    empty: EmptyQueries = EmptyQueries.SKIP,
    seed: int = 0,
) -> list[RankRow]:
    """Measure orders of a table's candidates.

    Parameters
    ----------
    table
        Its clicks are the truth.
    scores
        For each order its scores, shape ``(n_rows,)``; ties stand in the host's order.
    earlier
        How many rankings each query's user had before, shape ``(n_queries,)``.
    empty
        What queries without a relevant document count for.
    seed
        Of the bootstrap.

    Returns
    -------
    list of RankRow
        By split, then by order.

    Raises
    ------
    DataError
        If shapes do not fit or a score is no number.
    """
    splits: dict[str, NDArray[np.bool_]] = {"all": np.ones(table.n_queries, np.bool_)}
    if table.user.any():
        for name, least, most in HISTORY_SPLITS:
            splits[f"history {name}"] = (earlier >= least) & (earlier <= most)
        for number in range(1, _NUMBERED + 1):
            is_known = table.user != 0
            splits[f"ranking {number}"] = is_known & (earlier == number - 1)
    if len(table.markets) > 1:
        for place, name in enumerate(table.markets):
            splits[f"market {name}"] = table.market == place
    figures = {name: _by_query(table, one) for name, one in scores.items()}
    rows = []
    for split, chosen in splits.items():
        if not chosen.any():
            continue
        for name, by_figure in figures.items():
            first = by_figure["ndcg_at_10"][chosen]
            is_counted = ~np.isnan(first) | (empty is not EmptyQueries.SKIP)
            found = {
                what: _figure(values[chosen], empty, seed) for what, values in by_figure.items()
            }
            rows.append(RankRow(name=name, split=split, n_queries=int(is_counted.sum()), **found))
    return rows


def _by_query(table: FeatureTable, scores: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    truth = scores, table.click, table.offsets
    return {
        "ndcg_at_10": ndcg(*truth, cutoff=10),
        "ndcg_at_5": ndcg(*truth, cutoff=5),
        "ndcg_at_10_linear": ndcg(*truth, cutoff=10, gain=Gain.LINEAR),
        "ndcg_at_5_linear": ndcg(*truth, cutoff=5, gain=Gain.LINEAR),
        "mrr": reciprocal_rank(*truth),
        "map": average_precision(*truth),
    }


def _figure(values: NDArray[np.float64], empty: EmptyQueries, seed: int) -> RankFigure:
    interval = mean_interval(values, empty, seed=seed)
    return RankFigure(mean_figure(values, empty), interval.low, interval.high)
