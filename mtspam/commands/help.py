"""`mtspam help`: the help of a command, or the exit codes."""

import click

from mtspam.commands.exits import EXIT_TEXTS

__all__ = ["command"]

_TOPIC = "exit-codes"


@click.command("help")
@click.argument("words", metavar="[COMMAND...|exit-codes]", nargs=-1)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, or what the exit codes mean."""
    if words == (_TOPIC,):
        for code, text in EXIT_TEXTS.items():
            click.echo(f"{code.value:>4}  {text}")
        return
    here = ctx.find_root()
    for word in words:
        group = here.command
        found = group.get_command(here, word) if isinstance(group, click.Group) else None
        if found is None:
            raise click.UsageError(f"No such command or topic {' '.join(words)!r}.", ctx)
        here = click.Context(found, info_name=word, parent=here)
    click.echo(here.command.get_help(here))
