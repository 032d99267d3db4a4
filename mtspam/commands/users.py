"""`mtspam users`: who has taught the filter."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import Common, format_options, named, state_options

if TYPE_CHECKING:
    from mtspam.spam import UserInfo

__all__ = ["command"]

_COLUMNS = ("key", "n_labels", "n_spam", "first_time", "last_time", "moved")
_KEY_DIGITS = 16
"""Enough of a key to tell users apart in a table that fits a terminal."""


@click.command("users")
@click.argument("name", metavar="[USER]", required=False, callback=named)
@format_options("table", "json", "ndjson", "csv")
@state_options
@click.pass_obj
def command(common: Common, name: str | None, form: str | None) -> None:
    """List who has taught the filter, most labels first, or USER alone.

    Names are not stored: a user stands under a key made from the name and the secret of this
    installation. "moved" is how far a user's labels moved the shared level, in log-odds at most.
    """
    with common.open_filter(read_only=True) as spam_filter:
        found = spam_filter.users()
        if name is not None:
            found = [user for user in found if user.key == spam_filter.user_key(name)]
    if (form or "table") == "table":
        _print_table(found, name)
        return
    from mtspam.commands.rows import row_writer

    writer = row_writer(form or "json", sys.stdout, _COLUMNS)
    writer.begin()
    writer.write([tuple(getattr(user, column) for column in _COLUMNS) for user in found])
    writer.end()


def _print_table(users: list["UserInfo"], name: str | None) -> None:
    if not users:
        click.echo("no user has taught it yet" if name is None else "nothing known of that user")
        return
    from rich.console import Console
    from rich.table import Table

    title = counted(len(users), "user")
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("key", style="cyan", no_wrap=True)
    for column in ("labels", "spam", "first", "last", "moved"):
        table.add_column(column, justify="right", no_wrap=True)
    for user in users:
        table.add_row(
            user.key[:_KEY_DIGITS],
            f"{user.n_labels:,}",
            f"{user.n_spam:,}",
            _day(user.first_time),
            _day(user.last_time),
            f"{user.moved:,.1f}",
        )
    Console().print(table)


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")
