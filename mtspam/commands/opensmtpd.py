"""`mtspam opensmtpd`: the filter that OpenSMTPD starts."""

import sys
from typing import TYPE_CHECKING

import click

from mtspam.commands.options import PLACE, Common, state_options

if TYPE_CHECKING:
    from mtspam.serve.contract import Envelope
    from mtspam.serve.opensmtpd.message import Decision
    from mtspam.serve.opensmtpd.process import Decide

__all__ = ["command"]

DEFAULT_ROOM = 268_435_456


@click.command("opensmtpd")
@click.option(
    "--fail",
    type=click.Choice(("tempfail", "pass")),
    default="tempfail",
    show_default=True,
    help="Without a verdict: let the sender try again later, or pass the message on as it came.",
)
@click.option("--local", is_flag=True, help="Judge in this process if no service answers.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 280),
    default=30.0,
    show_default=True,
    help="How long to wait for the service.",
)
@click.option(
    "--room",
    metavar="BYTES",
    type=click.IntRange(1_000_000),
    default=DEFAULT_ROOM,
    show_default=True,
    help="For all messages that are arriving at one time; what finds none counts as failed.",
)
@click.option("--socket", metavar="PATH", type=PLACE, help="The service's socket.")
@state_options
@click.pass_obj
def command(
    common: Common, *, fail: str, local: bool, timeout: float, room: int, socket: str | None
) -> None:
    """Filter mail for OpenSMTPD, which starts this command and talks with it.

    In smtpd.conf: `filter mtspam proc-exec "/usr/bin/mtspam opensmtpd"`, and `filter mtspam` after
    `listen on`. It runs as long as the mail server does. Warnings go to the mail server's log.
    """
    import asyncio
    import logging
    from pathlib import Path

    from mtspam.serve.client import control_socket
    from mtspam.serve.opensmtpd.asking import ServiceAsker
    from mtspam.serve.opensmtpd.message import UNTOUCHED, Decision
    from mtspam.serve.opensmtpd.process import run_filter
    from mtspam.serve.opensmtpd.session import Filter, Limits

    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    settings = common.settings()
    place = Path(socket) if socket else control_socket(common.state_path, common.config)
    later = Decision(refusal="451 4.7.1 Message could not be checked, try again later")
    failed = later if fail == "tempfail" else UNTOUCHED
    limits = Limits(message_bytes=settings.mail.max_message_bytes, total_bytes=room)
    decide: Decide = ServiceAsker(place, timeout).decide
    if local:
        decide = _or_here(common, decide)
    asyncio.run(run_filter(Filter(limits, failed), decide, failed))


def _or_here(common: Common, decide: "Decide") -> "Decide":
    """Decide in this process where the service does not."""
    from mtspam.errors import ServiceError
    from mtspam.serve.opensmtpd.judging import LocalJudge

    judge = LocalJudge(common.state_path, common.settings())

    async def decide_somehow(raw: bytes, envelope: "Envelope") -> "Decision":
        try:
            return await decide(raw, envelope)
        except ServiceError:
            return await judge.decide(raw, envelope)

    return decide_somehow
