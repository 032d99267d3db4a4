"""The one way in: what each file is, by its name and its first line, and its events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mtspam.errors import DataError
from mtspam.search.events import Event
from mtspam.search.reading.letor import read_letor
from mtspam.search.reading.lines import numbered_lines, plain_suffix
from mtspam.search.reading.metarank import event_of
from mtspam.search.reading.tables import TABLES, TableColumns, read_table
from mtspam.search.reading.ubi import is_ubi, ubi_event
from mtspam.search.text import TextMatcher

__all__ = ["read_events"]

_FORMATS = ("metarank", "ubi", "letor", "table")
_decode = msgspec.json.Decoder().decode


def read_events(
    paths: Sequence[str], *, columns: TableColumns | None = None, form: str | None = None
) -> Iterator[Event]:
    r"""Yield the events of files, in the order of the files.

    Rankings of a query whose candidates have no numbers are given text features, by what their
    own fields and items before them say.

    Parameters
    ----------
    paths
        Each one of: JSON lines of Metarank or of UBI, packed or not (``-``: standard input); a
        table of candidates (CSV, TSV, Parquet, known by its name); lines for learning to rank.
    columns
        How a table names its columns.
    form
        ``metarank``, ``ubi``, ``letor`` or ``table``, where the first line would mislead.

    Raises
    ------
    DataError
        If a file cannot be read or a line does not fit; the text names file and line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "shown.csv")
    ...     _ = path.write_text("query_id,item,label\nq1,a,0\nq1,b,1\n")
    ...     [shown] = read_events([str(path)])
    >>> [(one.item, one.label) for one in shown.items]
    [('a', 0.0), ('b', 1.0)]
    """
    if form is not None and form not in _FORMATS:
        raise DataError(f"format {form!r} is not known; it must be one of {', '.join(_FORMATS)}")
    matcher = TextMatcher()
    for event in _events(paths, columns or TableColumns(), form):
        yield matcher.enriched(event)


def _events(paths: Sequence[str], columns: TableColumns, form: str | None) -> Iterator[Event]:
    for path in paths:
        if form == "table" or (form is None and plain_suffix(path) in TABLES):
            yield from read_table(path, columns)
        elif form == "letor" or (form is None and _begins_with_grade(path)):
            yield from read_letor(path)
        else:
            yield from _json_events(path, form)


def _begins_with_grade(path: str) -> bool:
    if path == "-":
        return False
    first = next((text for _, text in numbered_lines(path)), "")
    return first[:1].isdigit()


def _json_events(path: str, form: str | None) -> Iterator[Event]:
    for place, text in numbered_lines(path):
        try:
            found = _decode(text)
        except msgspec.DecodeError as error:
            raise DataError(f"{place}: no JSON: {error}") from None
        # A line may hold one event or several, as a request to /feedback does.
        for record in found if isinstance(found, list) else [found]:
            if not isinstance(record, dict):
                raise DataError(f"{place}: {text[:60]!r} is no event")
            yield _event(record, form, place)


def _event(record: Mapping[str, Any], form: str | None, place: str) -> Event:
    if form == "ubi" or (form is None and is_ubi(record)):
        return ubi_event(record, place)
    try:
        return event_of(record)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
