"""Tables of candidates as requests to a reranker."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import polars as pl

    from mtspam.ranking import Reranker
    from mtspam.search.events import RankingShown
    from mtspam.search.reading.tables import TableColumns
    from mtspam.spam.documents import DocumentScorer

__all__ = ["requests"]


def requests(
    frame: "pl.DataFrame",
    columns: "TableColumns",
    path: str,
    ranker: "Reranker",
    scorer: "DocumentScorer | None",
) -> Iterator[tuple[list[int], "RankingShown"]]:
    """Yield each request with the rows of its candidates, ready to be ranked.

    A table without times is asked as of the last event that was taken in.

    Raises
    ------
    DataError
        If a column is missing or a value does not fit.
    """
    from mtspam.search.reading.tables import requests_of
    from mtspam.search.text import with_spam_scores, with_text_features
    from mtspam.spam.documents import MODEL_FACT, OTHER_MODEL, model_of

    if ranker.versions.differs(MODEL_FACT, model_of(scorer)):
        click.echo(f"mtspam: {OTHER_MODEL}", err=True)
    is_timeless = columns.time not in frame.columns
    now = ranker.latest_time
    for rows, asked in requests_of(frame, columns, path):
        ranking = replace(asked, time=now) if is_timeless else asked
        texts = [one.fields for one in ranking.items]
        ranking = with_text_features(ranking, texts)
        yield rows, ranking if scorer is None else with_spam_scores(ranking, texts, scorer)
