"""Rows as programs read them: JSON, NDJSON and CSV, written as they come."""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from typing import TextIO

__all__ = ["CsvRows", "JsonRows", "NdjsonRows", "RowWriter", "row_writer"]

Cell = str | int | float | bool | None


class RowWriter:
    """Writes rows of the same columns to a stream.

    Parameters
    ----------
    stream
        Where to.
    columns
        Their names, in order.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        self.stream = stream
        self.columns = tuple(columns)

    def begin(self) -> None:
        """Write what comes before the first row."""

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows."""
        raise NotImplementedError

    def end(self) -> None:
        """Write what comes after the last row."""

    def record(self, row: Sequence[Cell]) -> str:
        """Return a row as a JSON object; what is not a number is null."""
        cells = (None if isinstance(c, float) and not math.isfinite(c) else c for c in row)
        return json.dumps(dict(zip(self.columns, cells, strict=True)), ensure_ascii=False)


class NdjsonRows(RowWriter):
    """One JSON object a line."""

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows."""
        self.stream.writelines(f"{self.record(row)}\n" for row in rows)


class JsonRows(RowWriter):
    """One JSON array of objects."""

    _is_first = True

    def begin(self) -> None:
        """Write what comes before the first row."""
        self.stream.write("[")

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows."""
        for row in rows:
            self.stream.write(f"{'' if self._is_first else ','}\n  {self.record(row)}")
            self._is_first = False

    def end(self) -> None:
        """Write what comes after the last row."""
        self.stream.write("]\n" if self._is_first else "\n]\n")


class CsvRows(RowWriter):
    """Comma-separated values under a line of names; what is not a number is empty."""

    def begin(self) -> None:
        """Write what comes before the first row."""
        self._csv = csv.writer(self.stream, lineterminator="\n")
        self._csv.writerow(self.columns)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows."""
        self._csv.writerows(
            ["" if isinstance(c, float) and not math.isfinite(c) else c for c in row]
            for row in rows
        )


_WRITERS: dict[str, type[RowWriter]] = {"json": JsonRows, "ndjson": NdjsonRows, "csv": CsvRows}


def row_writer(form: str, stream: TextIO, columns: Sequence[str]) -> RowWriter:
    """Return the writer of a format."""
    return _WRITERS[form](stream, columns)
