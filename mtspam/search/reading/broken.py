"""Where a table that cannot be read is broken: the line that an error names."""

import csv
import io

import msgspec

from mtspam.errors import DataError
from mtspam.search.reading.lines import content, numbered_lines

__all__ = ["insist_on_columns", "long_row", "no_json"]


def no_json(path: str) -> str | None:
    """Return the place of the first line that is no JSON, and what is wrong with it.

    Raises
    ------
    DataError
        If the file cannot be read, or is no UTF-8.
    """
    for place, text in numbered_lines(path):
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return f"{place}: no JSON: {error}"
    return None


def long_row(path: str, separator: str) -> str | None:
    """Return the place of the first row that has more values than the table has columns.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    rows = csv.reader(io.StringIO(content(path).decode(errors="replace")), delimiter=separator)
    try:
        n_columns = len(next(rows, []))
        for row in rows:
            if len(row) > n_columns:
                return f"{path}:{rows.line_num}: {len(row)} values for {n_columns} columns"
    except csv.Error as error:
        return f"{path}:{rows.line_num}: {error}"
    return None


def insist_on_columns(header: list[str], path: str) -> None:
    """Complain of a name that two columns have: what the second one means nobody can say.

    Raises
    ------
    DataError
        If there is one.
    """
    for place, name in enumerate(header):
        if name in header[:place]:
            raise DataError(f"{path}:1: two columns are called {name!r}; a name may stand once")
