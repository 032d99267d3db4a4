"""Options that several commands share, and what they lead to."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mtspam.errors import MtspamError, StateLockedError

if TYPE_CHECKING:
    from mtspam.config import Settings
    from mtspam.mail.sources import SourceOptions
    from mtspam.spam import SpamFilter

__all__ = [
    "LABELS",
    "PLACE",
    "Common",
    "as_written",
    "format_options",
    "named",
    "path_arguments",
    "person_options",
    "source_options",
    "source_settings",
    "state_options",
    "time_option",
]

LABELS = ("ham", "spam", "phishing", "bulk")
"""The labels of `mtspam.types.Label`, which is not imported for a help text."""

PLACE = click.Path(readable=False, allow_dash=True)
"""A path. Whether it can be read is told by who reads it, with the exit code of what it is."""

_ASKED_INSTEAD = ("learn", "unlearn", "forget")
_LOOK_SECONDS = 1.0

F = TypeVar("F", bound=Callable[..., object])


@dataclass(slots=True)
class Common:
    """The options of the program itself; a command may override them.

    Parameters
    ----------
    state, config
        As given; None for the default.
    """

    state: str | None = None
    config: str | None = None

    @property
    def state_path(self) -> Path:
        """The state directory."""
        if self.state:
            return Path(self.state)
        import platformdirs

        return Path(platformdirs.user_state_path("mtspam"))

    def settings(self) -> "Settings":
        """Read the settings.

        Raises
        ------
        ConfigError
            Where the file is unreadable or a setting is not allowed.
        """
        from mtspam.config import Settings

        return Settings() if self.config is None else Settings.from_toml(self.config)

    def tell_if_blank(self) -> None:
        """Say so where a state was typed and is not there: it may be a slip of the pen."""
        is_typed = self.state is not None and self.state != os.environ.get("MTSPAM_STATE")
        if is_typed and not self.state_path.exists():
            text = f"state {self.state}: nothing is there; judged by the starter model alone"
            click.echo(f"mtspam: {text}", err=True)

    def open_filter(
        self, *, read_only: bool, on_progress: Callable[[int], None] | None = None
    ) -> "SpamFilter":
        """Open the filter of the state directory.

        Raises
        ------
        ConfigError
            Where the settings are wrong.
        JournalError, SnapshotError
            Where the state cannot be read or written.
        """
        from mtspam.commands.first_run import compile_kernels
        from mtspam.spam import SpamFilter

        compile_kernels()
        try:
            return SpamFilter.open(
                self.state_path, self.settings(), read_only=read_only, on_progress=on_progress
            )
        except StateLockedError as error:
            if not self._is_served():
                raise
            raise StateLockedError(
                f"state {self.state_path}: the service is running: {_advice()}"
            ) from error

    def _is_served(self) -> bool:
        """Say whether a service answers on the control socket."""
        from mtspam.serve.client import ServiceClient, control_socket

        try:
            path = control_socket(self.state_path, self.config)
            ServiceClient(path, timeout_seconds=_LOOK_SECONDS).status()
        except MtspamError:
            return False
        return True


def _advice() -> str:
    """Say what to do instead of the command that met a running service."""
    context = click.get_current_context(silent=True)
    name = context.info_name if context is not None else None
    if name in _ASKED_INSTEAD:
        return f"use mtspam ask {name} …"
    return "it folds by itself when labels are taken back; stop it first to do so by hand"


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither Unix seconds nor a date like 2025-01-31T12:00.", ctx, param
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def time_option(command: F) -> F:
    """Take ``--time``: Unix seconds or ISO 8601, which without a zone is UTC."""
    return click.option(
        "--time",
        metavar="TIME",
        callback=_time,
        help="When it was said: Unix seconds or a date.  [default: now]",
    )(command)


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and param.name is not None:
        setattr(ctx.ensure_object(Common), param.name, value)


def state_options(command: F) -> F:
    """Take ``--state`` and ``--config`` behind the command's name, too."""
    for name, metavar, text in (
        ("--config", "FILE", "Settings in TOML that differ from the defaults."),
        ("--state", "DIR", "Where the journal and the model are."),
    ):
        command = click.option(
            name, metavar=metavar, type=PLACE, expose_value=False, callback=_keep, help=text
        )(command)
    return command


def named(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty name: nobody's labels are everybody's, and a script's variable was unset."""
    if value is not None and not value.strip():
        raise click.BadParameter("a name must not be empty.", ctx, param)
    return value


def person_options(command: F) -> F:
    """Take ``--user`` and ``--group``."""
    for name, text in (
        (
            "--group",
            "Their group, such as a firm.  [default: the domain of their address, if the setting "
            "identity.groups says so]",
        ),
        ("--user", "Whose mail it is, such as an address."),
    ):
        command = click.option(name, metavar="NAME", callback=named, help=text)(command)
    return command


def path_arguments(command: F) -> F:
    """Take one or more ``PATH``."""
    return click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PLACE)(command)


def source_options(command: F) -> F:
    """Take ``--message-column`` and ``--user-column`` and give them as `columns`."""
    command = click.option(
        "--user-column",
        metavar="NAME",
        help="Column of a table that names the users.  [default: user]",
    )(command)
    return click.option(
        "--message-column",
        metavar="NAME",
        help="Column of a table with the raw messages.  [default: raw, message, email or content]",
    )(command)


def as_written(*lines: str) -> str:
    """Return lines for the end of a help text, where click is not to join them.

    Examples
    --------
    >>> as_written("mtspam rank use 3").splitlines()[1:]
    ['mtspam rank use 3']
    """
    return "\n".join(("\b", *lines))


def format_options(*formats: str) -> Callable[[F], F]:
    """Take ``--format``, one of `formats`, by default the first; ``--json`` for short."""

    def decorate(command: F) -> F:
        command = click.option(
            "--json", "form", flag_value="json", help="The same as --format json."
        )(command)
        return click.option(
            "--format", "form", type=click.Choice(formats), help=f"[default: {formats[0]}]"
        )(command)

    return decorate


def source_settings(
    common: Common, message_column: str | None, user_column: str | None
) -> "SourceOptions":
    """Join the options of tables and the limits of the settings."""
    from mtspam.mail.sources import SourceOptions

    return SourceOptions(
        message_column=message_column,
        user_column=user_column,
        max_message_bytes=common.settings().mail.max_message_bytes,
    )
