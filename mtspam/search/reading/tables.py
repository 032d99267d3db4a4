"""Tables of candidates, a row each: CSV, TSV, Parquet, NDJSON."""

import difflib
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.search.events import Event, FieldValue, Interaction, RankingShown, ShownItem
from mtspam.search.reading.broken import insist_on_columns, long_row, no_json
from mtspam.search.reading.cells import as_numbers, bounded_column, feature_of
from mtspam.search.reading.lines import STDIN, content, naming_errors, plain_suffix
from mtspam.search.reading.values import grade_of, milliseconds, number_of

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "JSON_LINES",
    "RANK",
    "SCORE",
    "TABLES",
    "TableColumns",
    "feature_names",
    "is_of_table",
    "read_frame",
    "read_table",
    "requests_of",
]

TABLES = (".csv", ".tsv", ".parquet", ".pq")
"""Endings of what can be nothing but a table."""
JSON_LINES = (".ndjson", ".jsonl")
"""Endings of lines of JSON, events or rows of a table."""
SCORE, RANK = "mtspam_score", "mtspam_rank"
"""Columns that `mtspam rank score` writes; read again, they are no features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumns:
    """How a table names what is not a feature; a column that is not there is not known.

    Parameters
    ----------
    query_id
        Which rows are one request; must be there.
    item
        The candidate; must be there.
    query
        The text of the query.
    user, market, session
        Who asks, and where.
    time
        Milliseconds or seconds since 1970, or a date and time.
    position
        Place in the host's order; without it rows stand in that order.
    shown_position
        Place at which the candidate was shown, where results were put in another order.
    score
        The host's score.
    label
        Clicked or not, or a grade.
    conversion
        Bought or not.
    """

    query_id: str = "query_id"
    item: str = "item"
    query: str = "query"
    user: str = "user"
    market: str = "market"
    session: str = "session"
    time: str = "time"
    position: str = "position"
    shown_position: str = "shown_position"
    score: str = "score"
    label: str = "label"
    conversion: str = "conversion"


def read_frame(path: str) -> "pl.DataFrame":
    """Read a whole table.

    Parameters
    ----------
    path
        Of what form it is, its name says; packed or not. ``-`` is standard input: JSON lines if
        it begins with a brace, else CSV.

    Raises
    ------
    DataError
        If it cannot be read or is no table.
    """
    import polars as pl  # noqa: PLC0415 - it starts threads, which who reads events does without

    suffix = plain_suffix(path)
    is_plain = path != STDIN and path.lower().endswith(suffix)
    source: str | io.BytesIO = path if is_plain else io.BytesIO(content(path))
    if isinstance(source, io.BytesIO) and source.getvalue().lstrip()[:1] == b"{":
        suffix = JSON_LINES[0]
    try:
        with naming_errors(path):
            if suffix in {".parquet", ".pq"}:
                return pl.read_parquet(source)
            if suffix in JSON_LINES:
                return pl.read_ndjson(source, infer_schema_length=10_000)
            separator = "\t" if suffix == ".tsv" else ","
            frame = pl.read_csv(
                source, separator=separator, infer_schema_length=10_000, try_parse_dates=True
            )
            _insist_on_names(frame, source, separator, path)
            return frame
    except pl.exceptions.PolarsError as error:
        raise DataError(_misread(path, suffix, error)) from error


def _insist_on_names(
    frame: "pl.DataFrame", source: str | io.BytesIO, separator: str, path: str
) -> None:
    """Complain of two columns of one name, the second of which the reader has called otherwise."""
    import polars as pl  # noqa: PLC0415 - see read_frame

    if any("_duplicated_" in name for name in frame.columns):
        if isinstance(source, io.BytesIO):
            source.seek(0)
        header = pl.read_csv(source, separator=separator, has_header=False, n_rows=1)
        insist_on_columns([str(name) for name in header.row(0)], path)


def _misread(path: str, suffix: str, error: Exception) -> str:
    """Say why a table cannot be read, by its line where that is known."""
    place = None
    if path != STDIN and suffix in JSON_LINES:
        place = no_json(path)
    elif path != STDIN and suffix not in {".parquet", ".pq"}:
        place = long_row(path, "\t" if suffix == ".tsv" else ",")
    reason = (str(error).strip().splitlines() or [""])[0]
    return place or f"{path}: no table that can be read: {reason}"


def is_of_table(record: Mapping[str, Any], columns: TableColumns) -> bool:
    """Say whether a JSON object is a row of a table rather than an event.

    Examples
    --------
    >>> is_of_table({"query_id": "q", "item": "a", "bm25": 2.5}, TableColumns())
    True
    """
    return {columns.query_id, columns.item} <= record.keys() and "event" not in record


def read_table(path: str, columns: TableColumns) -> Iterator[Event]:
    """Yield a ranking for each request, then what people did with its candidates.

    All other columns are features. A label above 0 is a click of the user, if the table names
    one; a conversion above 0 is a conversion.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, or a value does not fit; the text names
        the row.
    """
    frame = read_frame(path)
    labels = [
        None if math.isnan(grade) else grade_of(grade, f"{path}: row {row}: {columns.label!r}")
        for row, grade in enumerate(_numbers(frame, columns.label, path), 1)
    ]
    conversions = _numbers(frame, columns.conversion, path)
    for rows, asked in requests_of(frame, columns, path):
        items = tuple(
            replace(one, label=labels[row]) for row, one in zip(rows, asked.items, strict=True)
        )
        shown = replace(asked, items=items)
        yield shown
        if shown.user:
            yield from _done(shown, "click", [labels[row] or 0.0 for row in rows])
        yield from _done(shown, "conversion", [conversions[row] for row in rows])


def _done(shown: RankingShown, kind: str, values: list[float]) -> Iterator[Interaction]:
    """Yield what was done with candidates, by a value of each: above 0, something was."""
    for one, value in zip(shown.items, values, strict=True):
        if value > 0:
            yield Interaction(
                id=f"{shown.id}/{kind}/{one.item}",
                time=shown.time,
                kind=kind,
                item=one.item,
                ranking=shown.id,
                user=shown.user,
                session=shown.session,
                market=shown.market,
                value=value,
            )


def feature_names(frame: "pl.DataFrame", columns: TableColumns) -> list[str]:
    """Name the columns that have no other meaning, and that we did not write ourselves."""
    own = {getattr(columns, one.name) for one in fields(columns)} | {SCORE, RANK}
    return [name for name in frame.columns if name not in own]


def requests_of(
    frame: "pl.DataFrame", columns: TableColumns, path: str
) -> Iterator[tuple[list[int], RankingShown]]:
    """Yield each request, in the order of their first rows, with the rows of its candidates.

    Nothing is said of what became of the candidates: labels are no features.

    Parameters
    ----------
    frame
        As `read_frame` gave it.
    columns
        Which columns are no features.
    path
        What an error names.

    Raises
    ------
    DataError
        If a column is missing or a value does not fit; the text names the row.
    """
    _insist(frame, columns, path)
    items = _names(frame, columns.item, path)
    texts = {
        name: _names(frame, getattr(columns, name), path, default="")
        for name in ("query", "user", "market", "session")
    }
    times = frame[columns.time].to_list() if columns.time in frame.columns else None
    positions = _numbers(frame, columns.position, path)
    shown_positions = _numbers(frame, columns.shown_position, path)
    scores = _numbers(frame, columns.score, path)
    features = _Features(frame, columns, path)
    by_query: dict[str, list[int]] = {}
    for row, query in enumerate(_names(frame, columns.query_id, path)):
        by_query.setdefault(query, []).append(row)
    for query, rows in by_query.items():
        host_place = {row: place for place, row in enumerate(_by_place(rows, positions))}
        rows[:] = _by_place(_by_place(rows, positions), shown_positions)
        first = rows[0]
        time = None if times is None else times[first]
        candidates = enumerate(zip(rows, features.of(rows), strict=True))
        shown = RankingShown(
            id=query,
            time=0 if time is None else milliseconds(time, f"{path}: row {first + 1}"),
            items=tuple(
                ShownItem(
                    items[row],
                    scores[row],
                    known,
                    host_place=None if host_place[row] == place else host_place[row],
                )
                for place, (row, known) in candidates
            ),
            query=texts["query"][first],
            user=texts["user"][first],
            market=texts["market"][first],
            session=texts["session"][first],
        )
        yield rows, shown


def _by_place(rows: list[int], places: list[float]) -> list[int]:
    """Return rows by their places; where none is known they come last, as they came."""
    return sorted(rows, key=lambda row: math.inf if math.isnan(places[row]) else places[row])


def _insist(frame: "pl.DataFrame", columns: TableColumns, path: str) -> None:
    """Complain of a column that must be there, or was named, and is not."""
    for one in fields(columns):
        name = getattr(columns, one.name)
        is_wanted = one.name in {"query_id", "item"} or name != one.default
        if is_wanted and name not in frame.columns:
            near = difflib.get_close_matches(name, frame.columns, n=1)
            there = ", ".join(frame.columns) or "none"
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            option = f"--{one.name.replace('_', '-')}-column"
            raise DataError(
                f"{path}: no column {name!r}{hint}; there are {there}. {option} says which it is"
            )


def _names(
    frame: "pl.DataFrame", column: str, path: str, *, default: str | None = None
) -> list[str]:
    """Return a column of names; numbers are names, too."""
    if column not in frame.columns:
        return [default or ""] * frame.height
    found: list[str] = []
    for row, value in enumerate(frame[column].to_list(), 1):
        name = value
        if isinstance(value, float):  # whole numbers of which one was missing, often
            name = None if math.isnan(value) else int(value) if value.is_integer() else value
        if name is None or (name == "" and default is None):
            name = default
        if name is None or isinstance(name, list | dict | bytes):
            raise DataError(f"{path}: row {row}: {column!r} is {value!r}, but must be a name")
        found.append(str(name))
    return found


def _numbers(frame: "pl.DataFrame", column: str, path: str) -> list[float]:
    """Return a column of numbers, NaN where there is none."""
    if column not in frame.columns:
        return [math.nan] * frame.height
    found = as_numbers(frame[column])
    if found.dtype.is_numeric():
        return list(bounded_column(found, path).tolist())
    return [
        number_of({column: value}, column, f"{path}: row {row}", default=math.nan)
        for row, value in enumerate(found.to_list(), 1)
    ]


class _Features:
    """The columns of a table that no other meaning has: numbers as one block, all else beside.

    A boolean is 0 or 1, a date milliseconds since 1970, a time of day and a span of time seconds.
    """

    def __init__(self, frame: "pl.DataFrame", columns: TableColumns, path: str) -> None:
        numbers: dict[str, NDArray[np.float64]] = {}
        self._others: dict[str, list[FieldValue | None]] = {}
        for name in feature_names(frame, columns):
            if frame[name].null_count() == frame.height:
                continue
            found = feature_of(frame[name], path)
            if isinstance(found, list):
                self._others[name] = found
            else:
                numbers[name] = found
        self._names = list(numbers)
        self._block = (
            np.stack(list(numbers.values()), axis=1) if numbers else np.empty((frame.height, 0))
        )

    def of(self, rows: list[int]) -> Iterator[dict[str, FieldValue]]:
        """Yield what is known of the candidates of some rows."""
        for row, numbers in zip(rows, self._block[rows].tolist(), strict=True):
            known: dict[str, FieldValue] = dict(zip(self._names, numbers, strict=True))
            for name, values in self._others.items():
                value = values[row]
                if value is not None:
                    known[name] = value
            yield known
