"""Options that the commands of `mtspam rank` share, and what they lead to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from mtspam.commands.options import Common

if TYPE_CHECKING:
    from mtspam.ranking import Reranker
    from mtspam.search.reading.tables import TableColumns

__all__ = ["column_options", "open_reranker", "table_columns"]

F = TypeVar("F", bound=Callable[..., object])

_COLUMNS = {
    "query-id": ("query_id", "says which rows are one request"),
    "item": ("item", "names the candidate"),
    "query": ("query", "has the text of the query"),
    "user": ("user", "names who asks"),
    "market": ("market", "names the market"),
    "session": ("session", "names the visit"),
    "time": ("time", "says when it was asked"),
    "position": ("position", "has the place in the host's order"),
    "shown-position": ("shown_position", "has the place at which it was shown instead"),
    "score": ("score", "has the host's score"),
    "label": ("label", "says whether it was clicked, or a grade"),
    "conversion": ("conversion", "says whether it was bought"),
}


def column_options(command: F) -> F:
    """Take ``--user-column`` and its like."""
    for option, (name, what) in reversed(_COLUMNS.items()):
        command = click.option(
            f"--{option}-column",
            metavar="NAME",
            default=name,
            show_default=True,
            help=f"Column of a table that {what}.",
        )(command)
    return command


def table_columns(given: dict[str, str]) -> "TableColumns":
    """Return the columns that the options of `column_options` name."""
    from mtspam.search.reading.tables import TableColumns

    return TableColumns(**{name.removesuffix("_column"): value for name, value in given.items()})


def open_reranker(common: Common, *, read_only: bool) -> "Reranker":
    """Open the reranker of the state directory.

    Raises
    ------
    ConfigError
        Where the settings are wrong.
    JournalError, ModelError
        Where the state cannot be read or written.
    """
    from mtspam.ranking import Reranker

    path, settings = common.state_path, common.settings()
    return Reranker.open(path, settings, read_only=read_only, is_lazy=True, keeps=True)
