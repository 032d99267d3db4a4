"""Messages out of a Parquet file, a slice of rows at a time. Polars is imported on first use."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mtspam.errors import DataError
from mtspam.mail.sources.columns import cell_bytes, choose_columns
from mtspam.mail.sources.opening import open_regular, printable
from mtspam.mail.sources.records import SourceMessage, SourceOptions

if TYPE_CHECKING:
    import polars as pl

__all__ = ["is_parquet", "n_parquet_rows", "read_parquet"]

# Pages outside a slice are skipped unread, so a slice costs its own rows and about a millisecond.
# Polars' own batches run far ahead of a slow reader: 250 MB instead of 50 MB on 4 kB messages.
_N_SLICE = 500


def is_parquet(head: bytes) -> bool:
    """Tell whether a stream with this beginning is a Parquet file."""
    return head.startswith(b"PAR1")


def _scan(path: str) -> "pl.LazyFrame":
    import polars as pl  # noqa: PLC0415 - costs a quarter second that only tables need

    open_regular(path).close()
    # Without an absolute path, "~" and "s3:" at its beginning would have a meaning.
    return pl.scan_parquet(Path(path).absolute(), glob=False)


def _collect(frame: "pl.LazyFrame", name: str) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415 - as above

    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{name}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _schema(frame: "pl.LazyFrame", name: str) -> "pl.Schema":
    return _collect(frame.head(0), name).schema


def n_parquet_rows(path: str) -> int:
    """Count the rows of a Parquet file by its footer.

    Raises
    ------
    DataError
        If it is damaged.
    """
    import polars as pl  # noqa: PLC0415 - as above

    return int(_collect(_scan(path).select(pl.len()), printable(path)).item())


def read_parquet(path: str, options: SourceOptions) -> Iterator[SourceMessage]:
    """Yield the messages of a Parquet file in rows' order.

    Parameters
    ----------
    path
        The file.
    options
        The columns, and how much of a message is kept.

    Raises
    ------
    DataError
        If the file is damaged, or its column of messages is neither text nor bytes.
    """
    import polars as pl  # noqa: PLC0415 - as above

    name = printable(path)
    frame = _scan(path)
    schema = _schema(frame, name)
    messages, users = choose_columns(list(schema), options, name)
    if schema[messages] not in (pl.String, pl.Binary):
        raise DataError(f"{name}: column {messages!r} is {schema[messages]}, not text or bytes")
    user = pl.col(users).cast(pl.String) if users else pl.lit(None, pl.String)
    rows = frame.select(pl.col(messages).alias("raw"), user.alias("user"))
    start = 0
    while (part := _collect(rows.slice(start, _N_SLICE), name)).height:
        for number, (cell, whose) in enumerate(part.iter_rows(), start + 1):
            row = f"{name}:{number}"
            raw = cell_bytes(cell, row)[: options.max_message_bytes]
            yield SourceMessage(row, raw, whose or None)
        start += part.height
