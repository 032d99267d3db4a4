"""`mtspam filter`: a message in, the message with the verdict's fields out."""

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mtspam.commands.ask import client_of
from mtspam.commands.exits import Exit
from mtspam.commands.group import say_error
from mtspam.commands.options import PLACE, Common, named, state_options
from mtspam.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]

_CHUNK_BYTES = 1 << 16


@click.command("filter")
@click.option("--user", metavar="NAME", callback=named, help="Whose mail it is.")
@click.option("--sender", metavar="ADDRESS", help="The envelope sender, for deny lists.")
@click.option(
    "--exit-code", "-c", is_flag=True, help=f"Exit with {Exit.FAILED.value} if it is spam."
)
@click.option(
    "--fail",
    type=click.Choice(("pass", "tempfail")),
    default="pass",
    show_default=True,
    help=f"Without a verdict: pass the message on as it came, or exit with {Exit.TEMPFAIL.value}.",
)
@click.option("--local", is_flag=True, help="Judge in this process if no service answers.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    help="How long to wait for the service.",
)
@click.option("--socket", metavar="PATH", type=PLACE, help="The service's socket.")
@state_options
@click.pass_obj
def command(
    common: Common,
    *,
    user: str | None,
    sender: str | None,
    exit_code: bool,
    fail: str,
    local: bool,
    timeout: float,
    socket: str | None,
) -> None:
    """Read a message, write it with the verdict in its header.

    For procmail, maildrop and Sieve's `filter`. Fields like ours that the message brings along
    are removed. Whatever goes wrong, the message comes out as it came in and the exit code is 0,
    unless --fail says otherwise. A message above mail.max_message_bytes passes as it is.
    """
    if sys.stdin is None:
        raise DataError("-: there is no standard input")
    source, target = sys.stdin.buffer, sys.stdout.buffer
    raw = b""
    try:
        limit = _max_bytes(common)
        raw = _read(source, limit)
        reply = None
        if len(raw) <= limit:
            reply = _judge(common, raw, (user, sender), (socket, timeout), is_local=local)
            raw = _marked(raw, reply["fields"])
    except Exception as error:  # noqa: BLE001 - the edge to a mail server: no mail may be lost here
        say_error(f"{error or type(error).__name__}; the message was not judged")
        if fail == "tempfail":
            sys.exit(Exit.TEMPFAIL)
        reply = None
    target.write(raw)
    _copy(source, target)
    target.flush()
    is_told = exit_code and reply is not None and _is_spam(reply)
    sys.exit(Exit.FAILED if is_told else Exit.OK)


def _max_bytes(common: Common) -> int:
    from mtspam.serve.client import DEFAULT_MAX_BYTES, setting_in

    said = setting_in(common.config, "mail", "max_message_bytes")
    return said if isinstance(said, int) else DEFAULT_MAX_BYTES


def _read(source: BinaryIO, limit: int) -> bytes:
    """Read a message, or what is a little too much of one."""
    return source.read(limit + 1)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    """Pass on what has not been read."""
    while chunk := source.read(_CHUNK_BYTES):
        target.write(chunk)


def _marked(raw: bytes, fields: "Sequence[Sequence[str]]") -> bytes:
    from mtspam.serve.fields import with_fields

    return with_fields(raw, [(str(name), str(value)) for name, value in fields])


def _is_spam(reply: dict[str, Any]) -> bool:
    return float(reply["points"]) >= float(reply["required"])


def _judge(
    common: Common,
    raw: bytes,
    persons: tuple[str | None, str | None],
    place: tuple[str | None, float],
    *,
    is_local: bool,
) -> dict[str, Any]:
    """Ask the service, or judge here if that is allowed and it does not answer."""
    from mtspam.errors import ServiceError

    user, sender = persons
    try:
        return client_of(common, *place).judge(raw, user=user, sender=sender)
    except ServiceError:
        if not is_local:
            raise
    from mtspam.serve.contract import Envelope
    from mtspam.serve.local import open_local_judge

    recipients = (user,) if user else ()
    with open_local_judge(common.state_path, common.settings()) as service:
        (ruling,) = service.rule(raw, Envelope(recipients=recipients, sender=sender))
    return {"fields": ruling.fields, "points": ruling.points, "required": ruling.required}
