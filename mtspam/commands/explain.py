"""`mtspam explain`: why a verdict, level by level and word by word."""

import sys
from typing import TYPE_CHECKING

import click

from mtspam.commands.options import (
    Common,
    format_options,
    path_arguments,
    person_options,
    source_options,
    source_settings,
    state_options,
)

if TYPE_CHECKING:
    from mtspam.spam import Explanation

__all__ = ["command"]


@click.command("explain")
@path_arguments
@person_options
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0),
    default=15,
    show_default=True,
    help="How many reasons to give.",
)
@format_options("table", "json", "ndjson")
@source_options
@state_options
@click.pass_obj
def command(
    common: Common,
    *,
    paths: tuple[str, ...],
    user: str | None,
    group: str | None,
    limit: int,
    form: str | None,
    message_column: str | None,
    user_column: str | None,
) -> None:
    """Say why messages are judged as they are.

    For each message: what everybody's labels say, what the group's and the user's own add to
    that, and the words, addresses and links that count most, in log-odds (above 0 for spam).
    """
    from mtspam.mail.sources import read_messages

    common.tell_if_blank()
    messages = read_messages(paths, options=source_settings(common, message_column, user_column))
    is_first = True
    with common.open_filter(read_only=True) as spam_filter:
        sys.stdout.write("[" if form == "json" else "")
        for message in messages:
            whose = message.user or user
            found = spam_filter.explain(message.raw, user=whose, group=group, limit=limit)
            if form is None or form == "table":
                _print(message.name, whose, found)
            else:
                comma = "" if form == "ndjson" else "\n" if is_first else ",\n"
                end = "\n" if form == "ndjson" else ""
                sys.stdout.write(comma + _json(message.name, whose, found) + end)
            is_first = False
    if form == "json":
        sys.stdout.write("\n]\n")


def _json(name: str, user: str | None, found: "Explanation") -> str:
    import json
    from dataclasses import asdict

    judgement = asdict(found.judgement)
    record = {
        "name": name,
        "user": user,
        **judgement,
        "views": [
            dict(zip(("view", "shared", "group", "personal"), view, strict=True))
            for view in found.views
        ],
        "reasons": [{**asdict(reason), "total": reason.total} for reason in found.reasons],
    }
    return json.dumps(record, ensure_ascii=False)


def _print(name: str, user: str | None, found: "Explanation") -> None:
    from rich.console import Console

    from mtspam.commands.explanation_view import explanation_view

    Console(highlight=False).print(explanation_view(name, user, found))
