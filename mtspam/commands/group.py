"""A click group that loads a command when it is asked for, and tells of errors in one line."""

import difflib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from mtspam.commands.exits import Exit, exit_of
from mtspam.errors import MtspamError

__all__ = ["LazyGroup", "say_error"]

_REPORT = "this is a defect of mtspam: please report it with what `mtspam --debug …` shows"


def say_error(text: str) -> None:
    """Write one line about what went wrong to standard error."""
    click.echo(f"mtspam: {' '.join(text.split())}", err=True)


class LazyGroup(click.Group):
    """The commands of the program, by section.

    Parameters
    ----------
    lazy
        Section → command → (module with the click command ``command``, one line about it).
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own
        lazy: Mapping[str, Mapping[str, tuple[str, str]]],
        **kwargs: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*args, **kwargs)
        self._sections = lazy
        self._lazy = {name: entry for section in lazy.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order of the sections."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._lazy:
            return None
        module = importlib.import_module(self._lazy[cmd_name][0])
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; of an unknown one name the nearest."""
        name = args[0]
        if name in self._lazy or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(name, self._lazy, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {name!r}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        for title, section in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT002 - click's own
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> NoReturn:
        """Run the program; every way out ends with an exit code of `Exit`."""
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.Abort:
            say_error("interrupted")
            sys.exit(Exit.INTERRUPTED)
        except click.UsageError as error:
            _say_usage(error)
            sys.exit(Exit.USAGE)
        except click.ClickException as error:
            say_error(error.format_message())
            sys.exit(Exit.INPUT)
        sys.exit(code if isinstance(code, int) else Exit.OK)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's own
    ) -> click.Context:
        """Read the program's own options, of which ``--help`` and ``--version`` write at once."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except OSError as error:
            sys.exit(_say_unwritten(error))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that is called and turn what it raises into a line and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except MtspamError as error:
            say_error(str(error))
            ctx.exit(exit_of(error))
        except SystemExit as error:
            if isinstance(error.__context__, BrokenPipeError):  # rich has met it
                ctx.exit(Exit.BROKEN_PIPE)
            raise
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except OSError as error:
            if ctx.params.get("debug") and not isinstance(error, BrokenPipeError):
                raise
            ctx.exit(_say_unwritten(error))
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            say_error(f"{type(error).__name__}: {error}; {_REPORT}")
            ctx.exit(Exit.BUG)
        return result


def _say_usage(error: click.UsageError) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the whole help
        click.echo(error.format_message(), err=True)
        return
    path = "mtspam" if error.ctx is None else error.ctx.command_path
    say_error(f"{error.format_message()} See `{path} --help`.")


def _say_unwritten(error: OSError) -> Exit:
    """Say what kept the output from its reader, unless it is the reader who left."""
    _silence_stdout()
    if isinstance(error, BrokenPipeError):
        return Exit.BROKEN_PIPE
    where = "standard output" if error.filename is None else os.fsdecode(error.filename)
    say_error(f"{where}: {error.strerror or error}")
    return Exit.INPUT


def _silence_stdout() -> None:
    """Let the interpreter's last flush go nowhere: the reader is gone, or the disk is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a descriptor has nothing to flush later
        return
    finally:
        os.close(nowhere)
