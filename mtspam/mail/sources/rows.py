"""Messages out of tables that are text: CSV, TSV and NDJSON, row by row."""

import csv
import io
import json
from collections.abc import Iterator

from mtspam.errors import DataError
from mtspam.mail.sources.columns import cell_bytes, choose_columns
from mtspam.mail.sources.records import SourceMessage, SourceOptions

__all__ = ["read_csv", "read_ndjson"]

# A row is read whole before it is cut, so a line or a quote that never ends must end somewhere.
_MAX_ROW_BYTES = 256_000_000


def _bounded_lines(stream: io.BufferedReader, name: str) -> Iterator[bytes]:
    number = 0
    while line := stream.readline(_MAX_ROW_BYTES):
        number += 1
        if len(line) == _MAX_ROW_BYTES:
            raise DataError(f"{name}:{number}: a line of more than {_MAX_ROW_BYTES:,} bytes")
        yield line


def _user(cell: object, name: str) -> str | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool) or not isinstance(cell, str | int):
        raise DataError(f"{name}: a user must be text or a number, got {type(cell).__name__}")
    return str(cell)


def read_csv(
    stream: io.BufferedReader, name: str, options: SourceOptions, delimiter: str = ","
) -> Iterator[SourceMessage]:
    """Yield the messages of a table whose first row names the columns.

    Bytes that are no UTF-8 are kept as they are.

    Parameters
    ----------
    stream
        At its beginning, already unpacked.
    name
        What the table is called.
    options
        The columns, and how much of a message is kept.
    delimiter
        What stands between two cells.

    Raises
    ------
    DataError
        If a row is broken; the text names its last line.
    """
    # The limit belongs to the whole process: it is raised, never lowered.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_ROW_BYTES))
    lines = (line.decode("utf-8", "surrogateescape") for line in _bounded_lines(stream, name))
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(rows, None)
        if header is None:
            return
        header[0:1] = [cell.removeprefix("\ufeff") for cell in header[0:1]]
        messages, users = choose_columns(header, options, name)
        at, user_at = header.index(messages), header.index(users) if users else None
        for number, row in enumerate(filter(None, rows), 1):
            if len(row) != len(header):
                raise DataError(
                    f"{name}:{rows.line_num}: {len(row)} cells where the header has {len(header)}"
                )
            user = None if user_at is None else _user(row[user_at], name)
            raw = cell_bytes(row[at], name)[: options.max_message_bytes]
            yield SourceMessage(f"{name}:{number}", raw, user)
    except csv.Error as error:
        raise DataError(f"{name}:{rows.line_num}: {error}") from error


def _record(line: bytes, name: str) -> dict[str, object]:
    try:
        record = json.loads(line.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise DataError(f"{name}: no JSON: {error}") from error
    except RecursionError as error:
        # The scanner is C code that counts its own depth and stops in good order.
        raise DataError(f"{name}: nested too deeply") from error
    if not isinstance(record, dict):
        raise DataError(f"{name}: a row must be an object, got {type(record).__name__}")
    return record


def read_ndjson(
    stream: io.BufferedReader, name: str, options: SourceOptions
) -> Iterator[SourceMessage]:
    """Yield the messages of a table with one JSON object a line.

    The first row tells which columns are read, and every row must have that of the messages; a
    row is called by its line. Empty lines are passed over.

    Parameters
    ----------
    stream
        At its beginning, already unpacked.
    name
        What the table is called.
    options
        The columns, and how much of a message is kept.

    Raises
    ------
    DataError
        If a line is broken; the text names it.
    """
    columns: tuple[str, str | None] | None = None
    for number, line in enumerate(_bounded_lines(stream, name), 1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not content.strip():
            continue
        row = f"{name}:{number}"
        record = _record(content, row)
        columns = columns or choose_columns(list(record), options, row)
        messages, users = columns
        if messages not in record:
            raise DataError(f"{row}: no column {messages!r}")
        user = _user(record.get(users), row) if users else None
        yield SourceMessage(
            row, cell_bytes(record[messages], row)[: options.max_message_bytes], user
        )
