"""Tables of candidates as requests to a reranker."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from mtspam.ranking import Reranker
    from mtspam.search.events import RankingShown
    from mtspam.search.reading.tables import TableColumns

__all__ = ["requests"]


def requests(
    frame: "pl.DataFrame", columns: "TableColumns", path: str, ranker: "Reranker"
) -> Iterator[tuple[list[int], "RankingShown"]]:
    """Yield each request with the rows of its candidates, ready to be ranked.

    A table without times is asked as of the last event that was taken in.

    Raises
    ------
    DataError
        If a column is missing or a value does not fit.
    """
    from mtspam.search.reading.tables import requests_of
    from mtspam.search.text import with_text_features

    is_timeless = columns.time not in frame.columns
    now = ranker.latest_time
    for rows, asked in requests_of(frame, columns, path):
        ranking = replace(asked, time=now) if is_timeless else asked
        yield rows, with_text_features(ranking, [one.fields for one in ranking.items])
