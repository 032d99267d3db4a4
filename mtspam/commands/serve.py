"""`mtspam serve`: the service for mail servers."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from mtspam.commands.options import PLACE, Common, state_options

__all__ = ["command"]


@click.command("serve")
@click.option("--check", is_flag=True, help="Only say whether the settings hold.")
@click.option(
    "--hash-password",
    "is_hashing",
    is_flag=True,
    help="Only ask for a password and print what http.password_hash is to be for it.",
)
@click.option(
    "--pid-file", metavar="FILE", type=PLACE, help="Write the process number there meanwhile."
)
@state_options
@click.pass_obj
def command(common: Common, *, check: bool, is_hashing: bool, pid_file: str | None) -> None:
    """Serve mail servers until told to stop.

    Without settings it listens on loopback: 1783 for spamd's clients, 11333 for rspamd's and for
    HTTP, 11332 for milter; and on a UNIX socket in the state directory, for `mtspam ask`. SIGTERM
    stops it once what has begun has ended, SIGHUP reads the settings again. Logs go to standard
    error.
    """
    if is_hashing:
        _print_hash()
        return
    from mtspam.serve.supervisor import Supervisor, check_settings

    if check:
        check_settings(common.settings(), common.state_path)
        click.echo("The settings hold.")
        return
    from mtspam.commands.first_run import compile_kernels
    from mtspam.serve.logs import set_up_logs

    set_up_logs(common.settings().serve.log_level)
    compile_kernels()
    supervisor = Supervisor(common.state_path, common.settings, os.environ)
    with _noted(None if pid_file is None else Path(pid_file)):
        supervisor.run(_show)


def _print_hash() -> None:
    from mtspam.serve.http.passwords import hash_password

    if sys.stdin is None:
        password = ""
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("the password must not be empty.")
    click.echo(hash_password(password))


def _show(addresses: dict[str, list[str]]) -> None:
    """Say where each face listens, in the log, whatever its level."""
    places = "; ".join(f"{name} on {', '.join(some)}" for name, some in addresses.items())
    click.echo(f"mtspam {os.getpid()}: {places}", err=True)


@contextmanager
def _noted(path: Path | None) -> Iterator[None]:
    """Keep the process number in a file."""
    from mtspam.errors import DataError

    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
