"""`mtspam score`: how likely messages are spam."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import (
    PLACE,
    Common,
    format_options,
    path_arguments,
    person_options,
    source_options,
    source_settings,
    state_options,
)

if TYPE_CHECKING:
    from mtspam.commands.targets import ColumnSink

__all__ = ["command"]

_ENDINGS = (".parquet", ".csv", ".ndjson", ".json")


@click.command("score")
@path_arguments
@person_options
@click.option(
    "--jobs",
    "-j",
    metavar="N",
    type=click.IntRange(1),
    default=None,
    help="Processes.  [default: one for each processor, if there is work for them]",
)
@format_options("table", "json", "ndjson", "csv")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=PLACE,
    help="Write to FILE.(parquet|csv|ndjson|json) instead.",
)
@source_options
@state_options
@click.pass_obj
def command(
    common: Common,
    *,
    paths: tuple[str, ...],
    user: str | None,
    group: str | None,
    jobs: int | None,
    form: str | None,
    output: str | None,
    message_column: str | None,
    user_column: str | None,
) -> None:
    """Say how likely messages are spam.

    PATH is a file, a directory, a Maildir, an mbox, a tar archive of messages, a table (Parquet,
    CSV, NDJSON) with a column of raw messages, or - for standard input: a message, an mbox, an
    archive or NDJSON. Nothing is learnt. Rows come in the order of the messages: name, user,
    verdict, probability, score (log-odds of spam) and its parts by level: shared, group, personal,
    starter (a part of shared); phishing, bulk.
    """
    target = _target(output, form)
    common.tell_if_blank()
    from mtspam.commands.progress import progress
    from mtspam.commands.scoring import Plan, score_all
    from mtspam.mail.sources import read_messages

    plan = Plan(state=common.state_path, settings=common.settings(), user=user, group=group)
    messages = read_messages(paths, options=source_settings(common, message_column, user_column))
    n_jobs = jobs or len(os.sched_getaffinity(0))
    # Polars, which reads these, starts threads.
    is_table = any(path.lower().endswith((".parquet", ".pq")) for path in paths)
    verdicts: Counter[object] = Counter()
    with (
        progress("Scoring", _count(paths)) as advance,
        _sink(target, form or "table") as sink,
    ):
        for rows in score_all(messages, plan, n_jobs, is_early=is_table):
            sink(rows)
            verdicts.update(rows["verdict"])
            advance(len(rows["verdict"]))
    if target is not None and sys.stderr.isatty():
        told = ", ".join(f"{n:,} {verdict}" for verdict, n in sorted(verdicts.items(), key=str))
        n_messages = counted(verdicts.total(), "message")
        click.echo(f"{n_messages}: {told or 'none'} → {target}", err=True)


def _target(output: str | None, form: str | None) -> Path | None:
    if output is None:
        return None
    if not output.endswith(_ENDINGS):
        raise click.UsageError(f"--output {output!r} must end in {', '.join(_ENDINGS)}.")
    if form is not None and not output.endswith(f".{form}"):
        raise click.UsageError(
            f"--output {output!r} says by its ending what to write, not {form}."
        )
    return Path(output)


def _count(paths: tuple[str, ...]) -> int | None:
    """Guess how much there is to do, if somebody wants to know."""
    from mtspam.commands.progress import is_watched
    from mtspam.mail.sources import count_hint

    return count_hint(paths) if is_watched() else None


@contextmanager
def _sink(target: Path | None, form: str) -> Iterator["ColumnSink"]:
    from mtspam.commands.rows import row_writer
    from mtspam.commands.scoring import COLUMNS
    from mtspam.commands.targets import open_target, text_sink
    from mtspam.commands.verdict_lines import VerdictLines

    if target is not None:
        schema = {name: str if name in COLUMNS[:3] else float for name in COLUMNS}
        with open_target(target, schema) as sink:
            yield sink
    else:
        writer = (
            VerdictLines(sys.stdout, COLUMNS)
            if form == "table"
            else row_writer(form, sys.stdout, COLUMNS)
        )
        with text_sink(writer) as sink:
            yield sink
