"""`mtspam rank learn`: events into the journal."""

import click

from mtspam.commands.options import Common, as_written, path_arguments, state_options
from mtspam.commands.rank_options import column_options, table_columns

__all__ = ["command"]


@click.command(
    "learn",
    epilog=as_written(
        "mtspam rank learn events.jsonl.gz",
        "mtspam rank learn shown.csv --query-id-column search --label-column clicked",
    ),
)
@path_arguments
@click.option(
    "--form",
    type=click.Choice(("metarank", "ubi", "letor", "table")),
    help="What the files are.  [default: by their names and first lines]",
)
@column_options
@state_options
@click.pass_obj
def command(
    common: Common, /, *, paths: tuple[str, ...], form: str | None, **columns: str
) -> None:
    """Take in what was shown to whom, what they did with it, and judgements.

    Each PATH is a file of events as Metarank or OpenSearch's UBI write them, a table of
    candidates (CSV, TSV, Parquet, NDJSON), or lines for learning to rank; ``-`` reads events from
    standard input. All of it is written, or nothing. What is known already is passed over, so that
    a file can be given again with more at its end, and events may come in any order: a click holds
    for its ranking whichever was told first.
    """
    from mtspam.commands.rank_options import open_reranker
    from mtspam.search.reading.reader import read_events
    from mtspam.spam.documents import scorer_of

    named, spam_score = table_columns(columns), scorer_of(common.settings())
    events = read_events(paths, columns=named, form=form, spam_score=spam_score)
    with open_reranker(common, read_only=False) as ranker:
        done = ranker.feedback(events)
    click.echo(f"{done.n_new:,} events taken in, {done.n_same:,} were known")
