"""`mtspam unlearn`: take labels back."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.exits import Exit
from mtspam.commands.options import PLACE, Common, format_options, named, state_options

if TYPE_CHECKING:
    from mtspam.spam import SpamFilter

__all__ = ["command"]

_ID = re.compile(r"[0-9a-f]{8,32}")


@click.command("unlearn")
@click.argument("what", metavar="PATH|ID...", nargs=-1, required=True, type=PLACE)
@click.option(
    "--user",
    metavar="NAME",
    callback=named,
    help="Whose label.  [default: nobody's, the shared one]",
)
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
    `mtspam learn` printed. The model is folded anew then, as if they had never been said.
    """
    if user is not None and everyone:
        raise click.UsageError("--user and --everyone exclude each other.")
    from mtspam.commands.progress import progress

    common = ctx.ensure_object(Common)
    with common.open_filter(read_only=False) as spam_filter, progress("Folding") as advance:
        # All are read before the first is taken back: what cannot be read leaves all as it was.
        found = [target for one in what for target in _targets(one, spam_filter, user)]
        n_removed = sum(
            spam_filter.unlearn(ids, user=whose, everyone=everyone) for ids, whose in found
        )
        if n_removed:
            spam_filter.fold(on_progress=advance)
    if form == "json":
        click.echo(f'{{"removed": {n_removed}}}')
    else:
        click.echo(f"{counted(n_removed, 'label')} taken back")
    if not n_removed:
        ctx.exit(Exit.FAILED)


def _targets(
    what: str, spam_filter: "SpamFilter", user: str | None
) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Yield the ids that each message which is meant may have, and whose label of it."""
    from mtspam.mail.sources import read_messages

    if _ID.fullmatch(what) and not Path(what).exists():
        yield (what,), user
        return
    for message in read_messages([what]):
        yield spam_filter.ids(message.raw), message.user or user
