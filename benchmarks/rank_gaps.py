"""How much better one order is than another, ranking by ranking, with an interval."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtspam.evaluate.ranking import RankRow
from mtspam.metrics.ranking import difference_interval, ndcg
from mtspam.search.features import FeatureTable

__all__ = ["Gap", "Outcome", "gap_of", "print_gaps", "print_rows"]

_WIDTH = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A difference of nDCG@10, paired by ranking, and its 95 % bootstrap interval.

    Parameters
    ----------
    what
        Which order over which other.
    split
        Of which rankings.
    n_queries
        Those with anything relevant.
    """

    what: str
    split: str
    n_queries: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task found."""

    rows: list[RankRow]
    gaps: list[Gap] = field(default_factory=list)


def gap_of(
    what: str,
    table: FeatureTable,
    scores: tuple[NDArray[np.floating], NDArray[np.floating]],
    *,
    split: str = "all",
    chosen: NDArray[np.bool_] | None = None,
) -> Gap:
    """Compare two orders of a table's candidates.

    Parameters
    ----------
    what, split
        To be told.
    table
        Its clicks are the truth.
    scores
        Of both, shape ``(n_rows,)`` each.
    chosen
        Which rankings count, shape ``(n_queries,)``; None: all.
    """
    one, other = (ndcg(given, table.click, table.offsets) for given in scores)
    if chosen is not None:
        one, other = one[chosen], other[chosen]
    interval = difference_interval(one, other)
    gaps = (one - other)[~np.isnan(one)]
    return Gap(
        what=what,
        split=split,
        n_queries=gaps.size,
        value=float(gaps.mean()) if gaps.size else float("nan"),
        low=interval.low,
        high=interval.high,
    )


def print_rows(rows: list[RankRow]) -> None:
    """Print nDCG@10 of each order, a block for each split."""
    split = ""
    for row in rows:
        if row.split != split:
            split = row.split
            print(f"  {split}: {row.n_queries:,} rankings")
        best = row.ndcg_at_10
        print(f"    {row.name:{_WIDTH}} {best.value:.4f} [{best.low:.4f}, {best.high:.4f}]")


def print_gaps(gaps: list[Gap]) -> None:
    """Print differences."""
    if gaps:
        print("  difference of nDCG@10, paired by ranking")
    for one in gaps:
        name = f"{one.what}, {one.split}"
        figure = f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
        print(f"    {name:{_WIDTH}} {figure} {one.n_queries:6,}")
