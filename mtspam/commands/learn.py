"""`mtspam learn`: messages and what they are."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import (
    LABELS,
    Common,
    format_options,
    path_arguments,
    person_options,
    source_options,
    source_settings,
    state_options,
    time_option,
)

if TYPE_CHECKING:
    from mtspam.spam import LabelledMessage, LearnSummary

__all__ = ["command"]

_MOST_IDS = 20


@click.command("learn")
@click.argument("label", metavar="LABEL", type=click.Choice(LABELS))
@path_arguments
@person_options
@time_option
@format_options("table", "json", "ndjson", "csv")
@source_options
@state_options
@click.pass_obj
def command(
    common: Common,
    *,
    label: str,
    paths: tuple[str, ...],
    user: str | None,
    group: str | None,
    time: int | None,
    form: str | None,
    message_column: str | None,
    user_column: str | None,
) -> None:
    """Learn messages as LABEL: ham, spam, phishing (spam, too) or bulk.

    PATH is whatever `mtspam score` takes. A user that a table names goes before --user; labels of
    nobody teach the shared level alone. All messages are learnt, or none if one cannot be read.
    Whoever says the contrary later is believed.
    """
    from mtspam.commands.progress import is_watched, progress
    from mtspam.mail.sources import count_hint, read_messages
    from mtspam.spam import LabelledMessage
    from mtspam.types import Label

    found = read_messages(paths, options=source_settings(common, message_column, user_column))

    def labelled() -> Iterator["LabelledMessage"]:
        for message in found:
            whose = message.user or user
            yield LabelledMessage(message.raw, Label(label), whose, group, time, "cli")

    total = count_hint(paths) if is_watched() else None
    with (
        common.open_filter(read_only=False) as spam_filter,
        progress("Learning", total) as advance,
    ):
        summary = spam_filter.learn_many(labelled(), on_progress=advance)
    _show(summary, label, form or "table")


def _show(summary: "LearnSummary", label: str, form: str) -> None:
    from mtspam.commands.rows import row_writer

    counts = {
        "label": label,
        "messages": summary.n_messages,
        "new": summary.n_new,
        "same": summary.n_same,
        "changed": summary.n_changed,
    }
    if form in {"csv", "ndjson"}:
        writer = row_writer(form, sys.stdout, ("id", "label"))
        writer.begin()
        writer.write((one, label) for one in summary.ids)
        return
    if form == "json":
        import json

        click.echo(json.dumps({**counts, "ids": summary.ids}, indent=2))
        return
    click.echo(
        f"{counted(summary.n_messages, 'message')} as {label}:"
        f" {counted(summary.n_new, 'new label')},"
        f" {summary.n_same:,} known already, {summary.n_changed:,} changed"
    )
    for one in summary.ids[:_MOST_IDS]:
        click.echo(f"  {one}")
    if len(summary.ids) > _MOST_IDS:
        click.echo(f"  … and {len(summary.ids) - _MOST_IDS:,} more (--json lists all)")
