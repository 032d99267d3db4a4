"""Files that results are written to: beside and renamed, so that they are whole or not there."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mtspam.commands.rows import RowWriter, row_writer
from mtspam.errors import DataError
from mtspam.evaluate.outputs import replacing

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ColumnSink", "open_target", "text_sink"]

_PART_ROWS = 4_096
"""Rows of a part of a Parquet file, which is what stays in memory."""

Columns = Mapping[str, Sequence[object]]


class ColumnSink(Protocol):
    """Takes results column by column."""

    def __call__(self, columns: Columns) -> None:
        """Write some more rows."""
        ...


@contextmanager
def text_sink(writer: RowWriter) -> Iterator[ColumnSink]:
    """Write rows as text, each as soon as it comes."""
    writer.begin()

    def sink(columns: Columns) -> None:
        writer.write(zip(*columns.values(), strict=True))
        writer.stream.flush()

    yield sink
    writer.end()
    writer.stream.flush()


@contextmanager
def open_target(path: Path, schema: Mapping[str, type]) -> Iterator[ColumnSink]:
    """Open a file of results; it appears when all is written.

    Parameters
    ----------
    path
        Its ending says what it is: .parquet, .csv, .ndjson or .json.
    schema
        Names of the columns, and their types: `str` or `float`.

    Yields
    ------
    ColumnSink
        What to write to.

    Raises
    ------
    DataError
        Where it cannot be written; an old file stays as it was.
    """
    with replacing(path) as beside, ExitStack() as exits:
        if path.suffix == ".parquet":
            yield exits.enter_context(_parquet_sink(beside, path, schema))
        else:
            stream = exits.enter_context(beside.open("w", encoding="utf-8", newline=""))
            writer = row_writer(path.suffix[1:], stream, tuple(schema))
            yield exits.enter_context(text_sink(writer))


@contextmanager
def _parquet_sink(beside: Path, path: Path, schema: Mapping[str, type]) -> Iterator[ColumnSink]:
    """Write Parquet in parts, joined at the end by a stream: memory holds one part at most."""
    held: dict[str, list[object]] = {name: [] for name in schema}
    folder = beside.with_name(beside.name + ".parts")
    parts: list[Path] = []

    def sink(columns: Columns) -> None:
        for name, cells in columns.items():
            held[name].extend(cells)
        if len(next(iter(held.values()))) >= _PART_ROWS:
            folder.mkdir(exist_ok=True)
            parts.append(folder / f"{len(parts)}.parquet")
            _write(_frame(held, schema), parts[-1], path)
            for cells in held.values():
                cells.clear()

    try:
        yield sink
        last = _frame(held, schema)
        if parts:
            _join(parts, last, beside, path)
        else:
            _write(last, beside, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _frame(held: Mapping[str, list[object]], schema: Mapping[str, type]) -> "pl.DataFrame":
    import polars as pl

    types = {str: pl.String, float: pl.Float64}
    frame = pl.DataFrame(held, schema={name: types[kind] for name, kind in schema.items()})
    return frame.fill_nan(None)


def _write(frame: "pl.DataFrame", to: Path, path: Path) -> None:
    import polars as pl

    try:
        frame.write_parquet(to)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: cannot be written: {error}") from error


def _join(parts: list[Path], last: "pl.DataFrame", beside: Path, path: Path) -> None:
    import polars as pl

    if last.height:
        parts.append(parts[0].with_name(f"{len(parts)}.parquet"))
        _write(last, parts[-1], path)
    try:
        pl.scan_parquet(parts, glob=False).sink_parquet(beside, maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: cannot be written: {error}") from error
