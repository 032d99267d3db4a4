"""`mtspam forget`: erase a user."""

import sys

import click

from mtspam.commands.counting import counted
from mtspam.commands.exits import Exit
from mtspam.commands.options import Common, format_options, state_options

__all__ = ["command"]


@click.command("forget")
@click.argument("user", metavar="USER")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@format_options("table", "json")
@state_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    user: str,
    yes: bool,
    form: str | None,
) -> None:
    """Erase all that USER ever said, as if they had never been here.

    Their labels are deleted from the journal and the model is folded anew without them. This
    cannot be undone; on a terminal it asks first.
    """
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        click.confirm(f"Erase all that {user} ever said?", abort=True, err=True)
    common = ctx.ensure_object(Common)
    with common.open_filter(read_only=False) as spam_filter:
        n_events = spam_filter.forget(user)
    if form == "json":
        click.echo(f'{{"forgotten": {n_events}}}')
    elif n_events:
        click.echo(f"{counted(n_events, 'label')} erased")
    else:
        click.echo("nothing was known of that user")
    if not n_events:
        ctx.exit(Exit.FAILED)
