"""Tables of candidates as requests to a reranker, and what is odd about them."""

import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import polars as pl

    from mtspam.config import Settings
    from mtspam.ranking import Reranker
    from mtspam.search.events import RankingShown
    from mtspam.search.reading.tables import TableColumns

__all__ = ["read_candidates", "requests"]


def read_candidates(path: str, columns: "TableColumns") -> "pl.DataFrame":
    """Read a table of candidates.

    Raises
    ------
    DataError
        If it cannot be read, or is another kind of file that `mtspam rank learn` takes.
    """
    from mtspam.errors import DataError
    from mtspam.search.reading.reader import form_of
    from mtspam.search.reading.tables import read_frame

    if path != "-" and form_of(path, columns) != "table":
        raise DataError(
            f"{path}: no table; it must have a row for each candidate, as CSV, TSV, Parquet or "
            "NDJSON, and a name that says so (.csv, .tsv, .parquet, .ndjson)"
        )
    return read_frame(path)


def requests(
    frame: "pl.DataFrame",
    columns: "TableColumns",
    path: str,
    ranker: "Reranker",
    settings: "Settings",
) -> Iterator[tuple[list[int], "RankingShown"]]:
    """Yield each request with the rows of its candidates, ready to be ranked.

    A table without times is asked as of the last event that was taken in. What the trees cannot
    make much of is told on standard error.

    Raises
    ------
    DataError
        If a column is missing or a value does not fit.
    """
    from mtspam.search.reading.tables import requests_of
    from mtspam.search.text import with_spam_scores, with_text_features
    from mtspam.spam.documents import MODEL_FACT, OTHER_MODEL, model_of, scorer_of

    scorer = scorer_of(settings)
    if ranker.versions.differs(MODEL_FACT, model_of(scorer)):
        _tell(OTHER_MODEL)
    _tell_of_features(frame, columns, ranker)
    is_timeless = columns.time not in frame.columns
    now = ranker.latest_time
    for rows, asked in requests_of(frame, columns, path):
        ranking = replace(asked, time=now) if is_timeless else asked
        texts = [one.fields for one in ranking.items]
        ranking = with_text_features(ranking, texts)
        yield rows, ranking if scorer is None else with_spam_scores(ranking, texts, scorer)


def _tell_of_features(frame: "pl.DataFrame", columns: "TableColumns", ranker: "Reranker") -> None:
    from mtspam.search.reading.cells import first_text
    from mtspam.search.reading.tables import feature_names

    version = ranker.versions.current()
    if version is None:
        _tell("no trees were grown here yet (`mtspam rank train`): clicks alone move the order")
        return
    known = ranker.versions.columns(version)
    for name in feature_names(frame, columns):
        near = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if near and near[0] not in frame.columns:
            _tell(f"the trees know no feature {name!r}; did you mean {near[0]!r}?")
        row = first_text(frame[name]) if name in known else None
        if row is not None:
            _tell(
                f"row {row}: {name!r} is {frame[name][row - 1]!r}; the trees know numbers of that "
                "name, and go without all of this column"
            )


def _tell(text: str) -> None:
    click.echo(f"mtspam: {text}", err=True)
