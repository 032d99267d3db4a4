"""`mtspam rank use`: which version of the trees is asked."""

import click

from mtspam.commands.options import Common, state_options

__all__ = ["command"]


@click.command("use")
@click.argument("version", required=False)
@state_options
@click.pass_obj
def command(common: Common, *, version: str | None) -> None:
    """Ask VERSION of the trees from now on, in every process; without one, list them all."""
    from mtspam.ranking.versions import VersionStore

    store = VersionStore(common.state_path / "rank")
    if version is not None:
        store.load(version)  # complains of a damaged one before it is asked
        store.use(version)
    current = store.current()
    for name in store.names():
        click.echo(f"{'*' if name == current else ' '} {name}")
