"""`mtspam fold`: the model anew from the journal."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.exits import Exit
from mtspam.commands.options import PLACE, Common, format_options, state_options

if TYPE_CHECKING:
    from mtspam.spam import FoldCheck

__all__ = ["command"]


@click.command("fold")
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing: tell whether the saved model equals the journal up to its own place.",
)
@click.option(
    "--at",
    metavar="SEQ",
    type=click.IntRange(0),
    help="Fold the labels that stood at this place in the journal; needs --output.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=PLACE,
    help="Write the model of --at there, as a snapshot; the state stays as it is.",
)
@format_options("table", "json")
@state_options
@click.pass_context
def command(
    ctx: click.Context,
    *,
    check: bool,
    at: int | None,
    output: str | None,
    form: str | None,
) -> None:
    """Build the model again from the journal, exactly.

    The journal is the truth, the model a fold of it: after labels were taken back, a fold makes
    the model what it would be if they had never been given.
    """
    if check and (at is not None or output is not None):
        raise click.UsageError("--check excludes --at and --output.")
    if (at is None) != (output is None):
        raise click.UsageError("--at and --output go together.")
    if check:
        _check(ctx, form)
    elif at is not None and output is not None:
        _fold_at(ctx.ensure_object(Common), at, Path(output), form)
    else:
        _fold(ctx.ensure_object(Common), form)


def _fold(common: Common, form: str | None) -> None:
    from mtspam.commands.progress import progress

    with (
        progress("Folding") as advance,
        common.open_filter(read_only=False, on_progress=advance) as spam_filter,
    ):
        done = spam_filter.fold(on_progress=advance)
    _report(done.n_events, done.position, done.seconds, form)


def _report(n_events: int, position: int, seconds: float, form: str | None) -> None:
    if form == "json":
        import json

        click.echo(json.dumps({"n_events": n_events, "position": position, "seconds": seconds}))
        return
    click.echo(f"{counted(n_events, 'label')} folded up to {position:,} in {seconds:.2f} s")


def _check(ctx: click.Context, form: str | None) -> None:
    from mtspam.commands.progress import progress

    common = ctx.ensure_object(Common)
    with progress("Folding") as advance, common.open_filter(read_only=True) as spam_filter:
        found = spam_filter.check(on_progress=advance)
    if form == "json":
        import json
        from dataclasses import asdict

        click.echo(json.dumps(asdict(found)))
    else:
        click.echo(_found(found))
    if not found.is_equal:
        ctx.exit(Exit.FAILED)


def _found(found: "FoldCheck") -> str:
    """Say what a check has found, and what to do about it."""
    if found.is_equal and found.position == found.head:
        return f"the model equals the fold of {counted(found.n_events, 'event')}, bit for bit"
    if found.is_equal:
        return (
            f"the saved model equals the fold of the journal up to place {found.position:,}, bit"
            f" for bit; the journal is at {found.head:,}, and whoever opens the state learns the"
            " rest from it. A running service saves when it stops, `mtspam fold` at once."
        )
    if found.n_corrections:
        why = (
            f"{counted(found.n_corrections, 'label')} taken back or changed since the last fold"
            " left what they had taught behind"
        )
    else:
        why = f"it differs in {', '.join(found.differences)}"
    return (
        f"the saved model does not equal the fold of the journal up to place {found.position:,}:"
        f" {why}; `mtspam fold` makes it anew, with no service running"
    )


def _fold_at(common: Common, at: int, output: Path, form: str | None) -> None:
    from time import perf_counter

    from mtspam.commands.progress import progress
    from mtspam.errors import DataError
    from mtspam.journal import Journal
    from mtspam.spam.upkeep import fold_model, write_model

    settings = common.settings()
    began = perf_counter()
    path = common.state_path / "journal.sqlite"
    with Journal.open(path, read_only=True) as journal, progress("Folding") as advance:
        if at > journal.head():
            raise DataError(f"{path}: place {at} lies behind its head at {journal.head()}")
        kept = fold_model(journal, settings, upto=at, on_progress=advance)
        identity = journal.identity
    write_model(output, settings, identity, kept)
    _report(kept.learner.n_events, at, perf_counter() - began, form)
