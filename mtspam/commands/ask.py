"""`mtspam ask`: score, learn, see why and forget, all by a running service."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mtspam.commands.exits import Exit
from mtspam.commands.forget import confirm_forgetting, forgotten_lines
from mtspam.commands.group import say_error
from mtspam.commands.options import LABELS, PLACE, Common, named, state_options

if TYPE_CHECKING:
    from mtspam.mail.sources import SourceMessage
    from mtspam.serve.client import ServiceClient

__all__ = ["client_of", "command"]

F = TypeVar("F", bound=Callable[..., object])

_MAX_REASONS = 200
_FORGET_SECONDS = 3_900.0  # more than the service lets anybody wait


@click.group("ask")
def command() -> None:
    """Ask a running service: score, learn, see why, forget.

    The service of `mtspam serve` answers on the socket in the state directory. PATH is a message,
    a Maildir, an mbox, whatever `mtspam score` takes, or - for standard input, which is the
    default. A user that a table names goes before --user. Every label is on the disk when the
    command returns.
    """


def _common(command: F) -> F:
    """Take ``--user``, ``--json``, ``--socket``, ``--state`` and ``--config``."""
    command = click.option("--json", "as_json", is_flag=True, help="Print the service's answer.")(
        command
    )
    return click.option(
        "--user", metavar="NAME", callback=named, help="Whose mail it is, such as an address."
    )(_reaching(command))


def _reaching(command: F) -> F:
    return click.option(
        "--socket",
        metavar="PATH",
        type=PLACE,
        help="The service's socket.  [default: the one in the state directory]",
    )(state_options(command))


_paths = click.argument("paths", metavar="[PATH]...", nargs=-1, type=PLACE)
_ID = re.compile(r"[0-9a-f]{32}")


def _checked_id(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    given = None if value is None else value.strip().lower()
    if given is not None and not _ID.fullmatch(given):
        raise click.BadParameter(
            f"{value!r} is none: an id has 32 hexadecimal digits, as in the field X-Mtspam-Id."
        )
    return given


_id = click.option(
    "--id",
    "message_id",
    metavar="ID",
    callback=_checked_id,
    help="A message by its X-Mtspam-Id.",
)


def client_of(common: Common, place: str | None, timeout: float = 10.0) -> "ServiceClient":
    """Return a client of the service at a socket, by default that of the state directory.

    Raises
    ------
    ConfigError, DataError
        Where the settings do not say where the socket is.
    """
    from mtspam.serve.client import ServiceClient, control_socket

    path = Path(place) if place else control_socket(common.state_path, common.config)
    return ServiceClient(path, timeout_seconds=timeout)


def _messages_in(common: Common, paths: tuple[str, ...]) -> "Iterator[SourceMessage]":
    from mtspam.commands.options import source_settings
    from mtspam.mail.sources import read_messages

    return read_messages(paths or ("-",), options=source_settings(common, None, None))


@command.command("score")
@_paths
@_common
@click.pass_obj
def _score(
    common: Common, paths: tuple[str, ...], user: str | None, as_json: bool, socket: str | None
) -> None:
    """Say what messages are. Nothing is learnt."""
    client = client_of(common, socket)
    for message in _messages_in(common, paths):
        reply = client.judge(message.raw, user=message.user or user)
        click.echo(json.dumps(reply) if as_json else _verdict_line(reply, message.name))


@command.command("why")
@_paths
@click.option(
    "--limit",
    type=click.IntRange(1, _MAX_REASONS),
    default=15,
    show_default=True,
    help="Reasons to show.",
)
@_common
@click.pass_obj
def _why(
    common: Common,
    paths: tuple[str, ...],
    limit: int,
    user: str | None,
    as_json: bool,
    socket: str | None,
) -> None:
    """Say why, level by level and word by word."""
    client = client_of(common, socket)
    for message in _messages_in(common, paths):
        reply = client.explain(message.raw, user=message.user or user, limit=limit)
        if as_json:
            click.echo(json.dumps(reply))
            continue
        click.echo(_verdict_line(reply, message.name))
        for line in _reasons(reply):
            click.echo(line)


@command.command("learn")
@click.argument("label", metavar="LABEL", type=click.Choice(LABELS))
@_paths
@_id
@_common
@click.pass_obj
def _learn(  # noqa: PLR0917 - click passes every option by name
    common: Common,
    label: str,
    paths: tuple[str, ...],
    message_id: str | None,
    user: str | None,
    as_json: bool,
    socket: str | None,
) -> None:
    """Learn messages as LABEL: ham, spam, phishing (spam, too) or bulk.

    The exit code is 1 where an id is not known any more.
    """
    client = client_of(common, socket)
    unknown = False
    for name, message, whose in _told(common, paths, message_id):
        reply = client.learn(message, label, user=whose or user, source="cli")
        unknown |= _say(reply, name, as_json=as_json)
    if unknown:
        say_error(
            "no message of that id was judged lately or has a label: give the message itself"
        )
    sys.exit(Exit.FAILED if unknown else Exit.OK)


@command.command("unlearn")
@_paths
@_id
@_common
@click.pass_obj
def _unlearn(
    common: Common,
    paths: tuple[str, ...],
    message_id: str | None,
    user: str | None,
    as_json: bool,
    socket: str | None,
) -> None:
    """Take back what was said about messages.

    The exit code is 1 where nothing was said about one of them.
    """
    client = client_of(common, socket)
    unknown = False
    for name, message, whose in _told(common, paths, message_id):
        reply = client.unlearn(message, user=whose or user, source="cli")
        unknown |= _say(reply, name, as_json=as_json)
    sys.exit(Exit.FAILED if unknown else Exit.OK)


@command.command("forget")
@click.argument("user", metavar="USER", callback=named)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer.")
@_reaching
@click.pass_obj
def _forget(common: Common, user: str, yes: bool, as_json: bool, socket: str | None) -> None:
    """Erase all that USER ever said, as `mtspam forget` does where no service is running.

    When the command returns it is off the disk and in no model in use. This cannot be undone; on
    a terminal it asks first.
    """
    confirm_forgetting(user, yes=yes)
    reply = client_of(common, socket, _FORGET_SECONDS).forget(user)
    n_events = int(reply.get("events", 0))
    if as_json:
        click.echo(json.dumps(reply))
    else:
        versions = [_plain(str(one)) for one in reply.get("rank_versions") or ()]
        for line in forgotten_lines(n_events, versions):
            click.echo(line)
        if not reply.get("folded", True):
            click.echo("the model without them is still being folded")
    sys.exit(Exit.OK if n_events else Exit.FAILED)


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer.")
@_reaching
@click.pass_obj
def _status(common: Common, as_json: bool, socket: str | None) -> None:
    """Say how the service is."""
    reply = client_of(common, socket).status()
    if as_json:
        click.echo(json.dumps(reply))
        return
    from mtspam.commands.service_status import status_lines

    for line in status_lines(reply):
        click.echo(line)


def _told(
    common: Common, paths: tuple[str, ...], message_id: str | None
) -> Iterator[tuple[str, bytes | str, str | None]]:
    """Yield the name of each message, the message or its id, and whose a table says that it is."""
    if message_id is None:
        for message in _messages_in(common, paths):
            yield message.name, message.raw, message.user
    elif paths:
        raise click.UsageError("Give messages or --id, not both.")
    else:
        yield message_id, message_id, None


# How answers look.


def _say(reply: dict[str, Any], name: str, *, as_json: bool) -> bool:
    """Show what became of a label; tell whether the message is not known."""
    outcome = str(reply.get("outcome", ""))
    click.echo(
        json.dumps(reply)
        if as_json
        else f"{_plain(outcome):<8} {_plain(str(reply.get('id', '')))}  {_plain(name)}"
    )
    return outcome == "unknown"


def _verdict_line(reply: dict[str, Any], name: str) -> str:
    from mtspam.commands.verdict_lines import COLOURS

    verdict = str(reply.get("verdict", ""))
    levels = reply.get("levels") or {}
    told = click.style(f"{_plain(verdict):<8}", fg=COLOURS.get(verdict))
    parts = ", ".join(
        f"{word} {float(levels[level]):+.2f}"
        for level, word in (("shared", "everyone"), ("group", "organisation"), ("personal", "you"))
        if levels.get(level)
    )
    shown = [f"{told}{100 * float(reply.get('probability', 0.0)):>7.2f} %"]
    if "points" in reply:  # not in an explanation
        points, required = float(reply["points"]), float(reply.get("required", 0.0))
        shown.append(f"{points:.1f} / {required:.1f} points")
        shown.append(_plain(str(reply.get("action", ""))))
    return "  ".join([*shown, f"[{parts}]", _plain(str(reply.get("id", ""))), _plain(name)])


def _reasons(reply: dict[str, Any]) -> Iterator[str]:
    for reason in reply.get("reasons", []):
        shared, group, personal = (
            float(reason.get(key, 0.0)) for key in ("shared", "group", "personal")
        )
        kind, text = _plain(str(reason.get("kind", ""))), _plain(str(reason.get("text", "")))
        yield f"{shared:>+8.2f}{group:>+7.2f}{personal:>+9.2f}  {kind:<14} {text}"


def _plain(text: str) -> str:
    from mtspam.commands.verdict_lines import plain_text

    return plain_text(text)
