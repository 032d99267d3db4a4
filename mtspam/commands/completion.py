"""`mtspam completion`: the script by which a shell completes the program's words."""

import click

from mtspam.commands.options import as_written

__all__ = ["command"]


@click.command(
    "completion",
    epilog=as_written(
        'bash: eval "$(mtspam completion bash)"           in ~/.bashrc',
        'zsh:  eval "$(mtspam completion zsh)"            in ~/.zshrc',
        "fish: mtspam completion fish > ~/.config/fish/completions/mtspam.fish",
    ),
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}", ctx)
    completion = found(ctx.find_root().command, {}, "mtspam", "_MTSPAM_COMPLETE")
    # Not .source(): it starts a bash to ask for its version, which may not be installed here.
    click.echo(completion.source_template % completion.source_vars())
