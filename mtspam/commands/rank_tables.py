"""Tables of candidates, taken apart into requests and written again with what was found."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mtspam.errors import DataError
from mtspam.search.events import FieldValue, RankingShown, ShownItem

if TYPE_CHECKING:
    import polars as pl

    from mtspam.search.reading.tables import TableColumns

__all__ = ["read_candidates", "requests"]

_JSON_LINES = (".ndjson", ".jsonl")


def read_candidates(path: str) -> "pl.DataFrame":
    """Read a table: CSV, TSV, Parquet or NDJSON by its name.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    import polars as pl

    from mtspam.search.reading.tables import read_frame

    if not path.endswith(_JSON_LINES):
        return read_frame(path)
    try:
        return pl.read_ndjson(path, infer_schema_length=10_000)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: no table that can be read: {error}") from error


def requests(
    frame: "pl.DataFrame", columns: "TableColumns", path: str
) -> Iterator[tuple[list[int], RankingShown]]:
    """Yield each request with the rows of its candidates.

    Raises
    ------
    DataError
        If a column is missing or a value does not fit.
    """
    from mtspam.search.reading.values import milliseconds
    from mtspam.search.text import with_text_features

    for name in (columns.query_id, columns.item):
        if name not in frame.columns:
            known = ", ".join(frame.columns)
            raise DataError(f"{path}: no column {name!r}; there are {known}")
    own = {getattr(columns, one.name) for one in fields(columns)}
    features = [name for name in frame.columns if name not in own]
    rows = frame.to_dicts()
    by_query: dict[object, list[int]] = {}
    for place, row in enumerate(rows):
        by_query.setdefault(row[columns.query_id], []).append(place)
    for query, places in by_query.items():
        if columns.position in frame.columns:
            places.sort(key=lambda place: _number(rows[place].get(columns.position)))
        first = rows[places[0]]
        time = first.get(columns.time)
        asked = RankingShown(
            id=str(query),
            time=0 if time is None else milliseconds(time, f"{path}: row {places[0] + 1}"),
            items=tuple(_candidate(rows[place], columns, features) for place in places),
            query=_text(first.get(columns.query)),
            user=_text(first.get(columns.user)),
            market=_text(first.get(columns.market)),
        )
        yield places, with_text_features(asked, [one.fields for one in asked.items])


def _candidate(row: dict[str, Any], columns: "TableColumns", features: list[str]) -> ShownItem:
    return ShownItem(
        item=_text(row[columns.item]),
        score=_number(row.get(columns.score)),
        fields={name: _field(row[name]) for name in features if row[name] is not None},
    )


def _field(value: object) -> FieldValue:
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, bool | float | int | str) else str(value)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, float | int) else float("nan")
