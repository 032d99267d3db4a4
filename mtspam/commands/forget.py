"""`mtspam forget`: erase a user."""

import json
import sys
from collections.abc import Iterator, Sequence

import click

from mtspam.commands.counting import counted
from mtspam.commands.exits import Exit
from mtspam.commands.options import Common, format_options, named, state_options

__all__ = ["command", "confirm_forgetting", "forgotten_lines"]


@click.command("forget")
@click.argument("user", metavar="USER", callback=named)
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

    Their labels are deleted from the journal and the model is folded anew without them; so are
    their searches and clicks. Versions that `mtspam rank train` made before keep what they learnt
    from those: train again. While a service is running, use `mtspam ask forget`. This cannot be
    undone; on a terminal it asks first.
    """
    from mtspam.ranking.versions import VersionStore

    confirm_forgetting(user, yes=yes)
    common = ctx.ensure_object(Common)
    with common.open_filter(read_only=False) as spam_filter:
        n_events = spam_filter.forget(user)
    versions = VersionStore.of_state(common.state_path).names()
    if form == "json":
        click.echo(json.dumps({"forgotten": n_events, "rank_versions": versions}))
    else:
        for line in forgotten_lines(n_events, versions):
            click.echo(line)
    if not n_events:
        ctx.exit(Exit.FAILED)


def confirm_forgetting(user: str, *, yes: bool) -> None:
    """Ask on a terminal whether that is meant.

    Raises
    ------
    click.Abort
        Where it is not.
    """
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        click.confirm(f"Erase all that {user} ever said?", abort=True, err=True)


def forgotten_lines(n_events: int, versions: Sequence[str]) -> Iterator[str]:
    """Say how many events were erased, and what may hold something of them still."""
    if not n_events:
        yield "nothing is known of that user"
        return
    yield f"{counted(n_events, 'event')} erased"
    if versions:
        yield (
            f"trained versions of the ranking may rest on them still ({', '.join(versions)}):"
            " train again with `mtspam rank train`"
        )
