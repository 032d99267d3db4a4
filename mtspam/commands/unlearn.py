"""`mtspam unlearn`: take labels back."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.exits import Exit
from mtspam.commands.options import Common, format_options, state_options

if TYPE_CHECKING:
    from mtspam.spam import SpamFilter

__all__ = ["command"]

_ID = re.compile(r"[0-9a-f]{8,32}")


@click.command("unlearn")
@click.argument(
    "what", metavar="PATH|ID...", nargs=-1, required=True, type=click.Path(allow_dash=True)
)
@click.option("--user", metavar="NAME", help="Whose label.  [default: nobody's, the shared one]")
@click.option("--everyone", is_flag=True, help="Whoever's labels.")
@format_options("table", "json")
@state_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    what: tuple[str, ...],
    user: str | None,
    everyone: bool,
    form: str | None,
) -> None:
    """Take back what was said about messages.

    PATH is whatever `mtspam score` takes, ID the beginning (eight digits or more) of an id that
    `mtspam learn` printed. A correction takes effect at once, and exactly after `mtspam fold`.
    """
    if user is not None and everyone:
        raise click.UsageError("--user and --everyone exclude each other.")
    common = ctx.ensure_object(Common)
    with common.open_filter(read_only=False) as spam_filter:
        n_removed = sum(_unlearn(one, spam_filter, user, everyone=everyone) for one in what)
    if form == "json":
        click.echo(f'{{"removed": {n_removed}}}')
    else:
        click.echo(f"{n_removed:,} labels taken back")
    if not n_removed:
        ctx.exit(Exit.FAILED)


def _unlearn(what: str, spam_filter: "SpamFilter", user: str | None, *, everyone: bool) -> int:
    from mtspam.mail.sources import read_messages

    if _ID.fullmatch(what) and not Path(what).exists():
        return spam_filter.unlearn(what, user=user, everyone=everyone)
    return sum(
        spam_filter.unlearn(message.raw, user=message.user or user, everyone=everyone)
        for message in read_messages([what])
    )
