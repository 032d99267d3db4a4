"""The one way in: what each file is, by its name and its first line, and its events."""

from collections.abc import Iterator, Sequence

import msgspec

from mtspam.errors import DataError
from mtspam.search.events import Event
from mtspam.search.reading.letor import read_letor
from mtspam.search.reading.lines import STDIN, numbered_lines, plain_suffix
from mtspam.search.reading.metarank import event_of
from mtspam.search.reading.tables import (
    JSON_LINES,
    TABLES,
    TableColumns,
    is_of_table,
    read_table,
)
from mtspam.search.reading.ubi import is_ubi, ubi_event
from mtspam.search.text import SpamScore, TextMatcher

__all__ = ["form_of", "read_events"]

_FORMATS = ("metarank", "ubi", "letor", "table")
_decode = msgspec.json.Decoder().decode


def read_events(
    paths: Sequence[str],
    *,
    columns: TableColumns | None = None,
    form: str | None = None,
    spam_score: SpamScore | None = None,
) -> Iterator[Event]:
    r"""Yield the events of files, in the order of the files.

    Rankings of a query whose candidates have no numbers are given text features, by what their
    own fields and items before them say.

    Parameters
    ----------
    paths
        Each one of: JSON lines of Metarank or of UBI, packed or not (``-``: standard input); a
        table of candidates (CSV, TSV, Parquet, known by its name, or JSON lines that each are a
        row); lines for learning to rank.
    columns
        How a table names its columns.
    form
        ``metarank``, ``ubi``, ``letor`` or ``table``, where the first line would mislead.
    spam_score
        The log-odds that a text is spam, which documents then have as a field; None: not asked.

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
    matcher = TextMatcher(spam_score)
    for event in _events(paths, columns or TableColumns(), form):
        yield matcher.enriched(event)


def form_of(path: str, columns: TableColumns) -> str | None:
    """Say what a file is: ``table``, ``letor``, or None for JSON lines of events.

    Its name says so, or else its first line.

    Raises
    ------
    DataError
        If it cannot be read, or its name promises lines of JSON and the first is none.
    """
    if plain_suffix(path) in TABLES:
        return "table"
    if path == STDIN:
        return None
    place, first = next(numbered_lines(path), ("", ""))
    if first.removeprefix("-")[:1].isdigit():
        return "letor"
    try:
        record = _decode(first)
    except msgspec.DecodeError as error:
        if first and plain_suffix(path) in JSON_LINES:
            raise DataError(f"{place}: no JSON: {error}") from None
        return None
    return "table" if isinstance(record, dict) and is_of_table(record, columns) else None


def _events(paths: Sequence[str], columns: TableColumns, form: str | None) -> Iterator[Event]:
    for path in paths:
        found = form or form_of(path, columns)
        if found == "table":
            yield from read_table(path, columns)
        elif found == "letor":
            yield from read_letor(path)
        else:
            yield from _json_events(path, form)


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
            if form == "ubi" or (form is None and is_ubi(record)):
                yield ubi_event(record, place)
            else:
                yield event_of(record, place)
