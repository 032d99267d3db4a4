"""Which columns of a table hold the messages and the users, and what their cells mean."""

from collections.abc import Sequence

from mtspam.errors import DataError
from mtspam.mail.sources.opening import printable
from mtspam.mail.sources.records import SourceOptions

__all__ = ["cell_bytes", "choose_columns"]

_MESSAGE_COLUMNS = ("raw", "message", "email", "content")
_USER_COLUMN = "user"
_N_NAMED = 20


def _list_of(columns: Sequence[str]) -> str:
    more = ", …" if len(columns) > _N_NAMED else ""
    return printable(", ".join(columns[:_N_NAMED])) + more


def choose_columns(
    columns: Sequence[str], options: SourceOptions, name: str
) -> tuple[str, str | None]:
    """Choose the column of the messages and that of the users, if there is one.

    Parameters
    ----------
    columns
        What the table has.
    options
        What was asked for.
    name
        The table's name, for the error.

    Raises
    ------
    DataError
        If a column that was asked for is missing, or no column is known to hold messages.
    """
    wanted = (options.message_column, options.user_column)
    for column in wanted:
        if column is not None and column not in columns:
            raise DataError(f"{name}: no column {column!r}; it has {_list_of(columns)}")
    messages = options.message_column or next(
        (column for column in _MESSAGE_COLUMNS if column in columns), None
    )
    if messages is None:
        raise DataError(
            f"{name}: no column of messages ({', '.join(_MESSAGE_COLUMNS)}) among"
            f" {_list_of(columns)}; name it with --message-column"
        )
    users = options.user_column or (_USER_COLUMN if _USER_COLUMN in columns else None)
    return messages, users


def cell_bytes(cell: object, name: str) -> bytes:
    r"""Give the bytes of a message's cell: text as UTF-8, none as no bytes.

    Parameters
    ----------
    cell
        Bytes, text or None. Lone surrogates from U+DC80 on are bytes that were no UTF-8, as
        Python's ``surrogateescape`` writes them.
    name
        The row's name, for the error.

    Raises
    ------
    DataError
        If the cell is anything else.

    Examples
    --------
    >>> cell_bytes("caf\xe9", "t:1"), cell_bytes("caf\udce9", "t:1")
    (b'caf\xc3\xa9', b'caf\xe9')
    """
    if cell is None:
        return b""
    if isinstance(cell, bytes):
        return cell
    if not isinstance(cell, str):
        raise DataError(f"{name}: a message must be text or bytes, got {type(cell).__name__}")
    try:
        return cell.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return cell.encode("utf-8", "surrogatepass")
