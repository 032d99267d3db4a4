"""`mtspam rank use`: which version of the trees is asked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import Common, as_written, state_options

__all__ = ["command"]

_DIGITS = 4
"""Of a version's name."""


@click.command("use", epilog=as_written("mtspam rank use", "mtspam rank use 3"))
@click.argument("version", required=False)
@state_options
@click.pass_obj
def command(common: Common, *, version: str | None) -> None:
    """Ask VERSION of the trees from now on, in every process; without one, list them all."""
    from mtspam.ranking.versions import VersionStore

    store = VersionStore.of_state(common.state_path)
    if version is not None:
        name = version.zfill(_DIGITS) if version.isdigit() else version
        store.load(name)  # complains of a damaged one before it is asked
        store.use(name)
    names, current = store.names(), store.current()
    if not names:
        click.echo("nothing was trained yet: `mtspam rank train` makes a version")
    for name in names:
        click.echo(f"{'*' if name == current else ' '} {name}{_told(store.facts(name))}")


def _told(facts: Mapping[str, Any]) -> str:
    """Say when a version was trained, and on how much."""
    said = []
    if "trained_at" in facts:
        moment = datetime.fromtimestamp(facts["trained_at"], UTC)
        said.append(f"{moment:%Y-%m-%d %H:%M} UTC")
    if "n_queries" in facts:
        said.append(counted(facts["n_queries"], "ranking"))
    return "".join(f"  {one}" for one in said)
