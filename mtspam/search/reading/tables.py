"""Tables of candidates, a row each: CSV, TSV, Parquet, NDJSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mtspam.errors import DataError
from mtspam.search.events import Event, Interaction, RankingShown, ShownItem
from mtspam.search.reading.lines import naming_errors, plain_suffix
from mtspam.search.reading.values import field_value, milliseconds, name_of, number_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TABLES", "TableColumns", "read_frame", "read_table"]

TABLES = (".csv", ".tsv", ".parquet", ".pq")


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
    score: str = "score"
    label: str = "label"
    conversion: str = "conversion"


def read_frame(path: str) -> "pl.DataFrame":
    """Read a whole table.

    Raises
    ------
    DataError
        If it cannot be read or is no table.
    """
    import polars as pl  # noqa: PLC0415 - it starts threads, which who reads events does without

    suffix = plain_suffix(path)
    try:
        with naming_errors(path):
            if suffix in {".parquet", ".pq"}:
                return pl.read_parquet(path)
            separator = "\t" if suffix == ".tsv" else ","
            return pl.read_csv(
                path, separator=separator, infer_schema_length=10_000, try_parse_dates=True
            )
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()
        raise DataError(
            f"{path}: no table that can be read: {reason[0] if reason else ''}"
        ) from error


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
    for name in (columns.query_id, columns.item):
        if name not in frame.columns:
            raise DataError(
                f"{path}: no column {name!r}; there are {', '.join(frame.columns)}. Options name "
                "the columns."
            )
    own = {getattr(columns, one.name) for one in fields(columns)}
    features = [name for name in frame.columns if name not in own]
    # Stable, so that a request whose rows lie apart keeps their order.
    frame = frame.with_row_index("\0row").sort(columns.query_id, maintain_order=True)
    starts = frame.group_by(columns.query_id, maintain_order=True).first()
    firsts = dict(zip(starts[columns.query_id].to_list(), starts["\0row"].to_list(), strict=True))
    requests = [
        (firsts[query], list(group))
        for query, group in groupby(frame.iter_rows(named=True), lambda row: row[columns.query_id])
    ]
    requests.sort(key=lambda one: one[0])
    for _, rows in requests:
        yield from _request(rows, columns, features, path)


def _request(
    rows: list[dict[str, Any]], columns: TableColumns, features: Sequence[str], path: str
) -> Iterator[Event]:
    place = f"{path}: row {rows[0][chr(0) + 'row'] + 1}"
    if rows[0].get(columns.position) is not None:
        rows.sort(key=lambda row: number_of(row, columns.position, place, default=0.0))
    first = rows[0]
    shown = RankingShown(
        id=name_of(first, columns.query_id, place),
        time=0 if first.get(columns.time) is None else milliseconds(first[columns.time], place),
        items=tuple(_candidate(row, columns, features, path) for row in rows),
        query=name_of(first, columns.query, place, default=""),
        user=name_of(first, columns.user, place, default=""),
        market=name_of(first, columns.market, place, default=""),
        session=name_of(first, columns.session, place, default=""),
    )
    yield shown
    for kind, column in (("click", columns.label), ("conversion", columns.conversion)):
        if kind == "click" and not shown.user:
            continue
        for row, one in zip(rows, shown.items, strict=True):
            value = number_of(row, column, place, default=0.0)
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


def _candidate(
    row: Mapping[str, Any], columns: TableColumns, features: Sequence[str], path: str
) -> ShownItem:
    place = f"{path}: row {row[chr(0) + 'row'] + 1}"
    found = {name: field_value(row[name], place) for name in features}
    label = row.get(columns.label)
    return ShownItem(
        item=name_of(row, columns.item, place),
        score=number_of(row, columns.score, place, default=float("nan")),
        fields={name: value for name, value in found.items() if value is not None},
        label=None if label is None else number_of(row, columns.label, place, default=0.0),
    )
