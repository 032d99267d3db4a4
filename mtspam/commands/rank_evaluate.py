"""`mtspam rank evaluate`: how good several orders are on rankings that were held out."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.options import Common, as_written, path_arguments, state_options
from mtspam.commands.rank_options import column_options, table_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtspam.evaluate.ranking import RankFigure, RankRow
    from mtspam.search.events import Event

__all__ = ["command"]

_WIDE = 112
"""Columns of a terminal from which on every figure has its interval beside it."""
_LEAST = 80
"""Columns that the table takes in any terminal."""
_FILE = click.Path(path_type=Path, readable=False)


@click.command(
    "evaluate",
    epilog=as_written(
        "mtspam rank evaluate events.jsonl.gz --json figures.json --plot figures.svg",
        "mtspam rank evaluate train.txt --valid vali.txt --test test.txt",
    ),
)
@path_arguments
@click.option(
    "--valid",
    "valids",
    metavar="FILE",
    multiple=True,
    help="Stop growing trees by the rankings of this file instead of the latest ones before those "
    "tested.",
)
@click.option(
    "--test",
    "tests",
    metavar="FILE",
    multiple=True,
    help="Test on the rankings of this file instead of on the latest ones.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the rankings, the latest ones, to test on.",
)
@click.option(
    "--empty",
    type=click.Choice(("skip", "zero", "one")),
    default="skip",
    show_default=True,
    help="What a ranking without anything relevant counts for.",
)
@click.option(
    "--form",
    type=click.Choice(("metarank", "ubi", "letor", "table")),
    help="What the files are.  [default: by their names and first lines]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "json_file", metavar="FILE", type=_FILE, help="Write the rows there.")
@click.option(
    "--plot",
    metavar="FILE.(svg|png|pdf)",
    type=_FILE,
    help="Draw gain against length of history there.",
)
@column_options
@state_options
@click.pass_obj
def command(
    common: Common,
    /,
    *,
    paths: tuple[str, ...],
    valids: tuple[str, ...],
    tests: tuple[str, ...],
    held_out: float,
    empty: str,
    form: str | None,
    seed: int,
    json_file: Path | None,
    plot: Path | None,
    **columns: str,
) -> None:
    """Train on earlier rankings, test on later ones, each before it teaches.

    Compared are the engine's order, popularity (clicks), the smoothed click-through rate, trees
    without history, trees with it, and all of it: trees, personal part and guard. The model
    begins empty; the state is not touched. Figures are nDCG with both gains, MRR and MAP with
    bootstrap intervals, whole and by how many rankings the user had seen before, and by market.
    """
    from mtspam.commands.rank_evaluation import evaluate_events, set_apart
    from mtspam.evaluate.figures import as_json
    from mtspam.evaluate.outputs import write_json
    from mtspam.evaluate.ranking import earlier_queries, rank_rows
    from mtspam.metrics.ranking import EmptyQueries
    from mtspam.search.reading.reader import read_events
    from mtspam.spam.documents import scorer_of

    if valids and not tests:
        raise click.UsageError("--valid takes a --test that comes after it")
    named, settings = table_columns(columns), common.settings()
    read = partial(read_events, columns=named, form=form, spam_score=scorer_of(settings))
    events = list(read(paths))
    if valids:
        later = set_apart(list(read(valids)), "valid", events)
        events += later
        # No setting of it has a share above .9.
        share = min(len(_rankings(later)) / max(len(_rankings(events)), 1), 0.9)
        settings = replace(settings, ranking=replace(settings.ranking, validation_share=share))
    tested = None
    if tests:
        later = set_apart(list(read(tests)), "tested")
        tested = _rankings(later)
        events += later
    found = evaluate_events(events, settings, held_out=held_out, tested=tested)
    earlier = earlier_queries(found.whole)[-found.table.n_queries :]
    rows = rank_rows(found.table, found.scores, earlier, empty=EmptyQueries(empty), seed=seed)
    if json_file is not None:
        write_json(as_json(rows), json_file)
    if plot is not None:
        from mtspam.evaluate.rankingplot import plot_ranking

        plot_ranking(rows, plot)
    _print(rows, empty)


def _rankings(events: "Sequence[Event]") -> set[str]:
    from mtspam.search.events import RankingShown

    return {event.id for event in events if isinstance(event, RankingShown) and event.items}


def _print(rows: "Sequence[RankRow]", empty: str) -> None:
    """Print a block for each split; where it is narrow, one figure alone has its interval."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in ("nDCG@10", "nDCG@5", "MRR", "MAP"):
        table.add_column(name, no_wrap=True)
    split = ""
    for row in rows:
        if row.split != split:
            split = row.split
            table.add_row()
            table.add_row(f"[bold]{_escaped(split)}[/], {row.n_queries:,}")
        first, *others = row.ndcg_at_10, row.ndcg_at_5, row.mrr, row.map
        told = [_with_interval(one) for one in others]
        if console.width < _WIDE:
            told = [f"{one.value:.4f}" for one in others]
        table.add_row(f"  {row.name}", _with_interval(first), *told)
    # Narrower than that lines wrap: cut off, neither names nor figures would tell anything.
    Console(highlight=False, width=max(console.width, _LEAST)).print(table)
    console.print(
        "\nBehind a split, how many rankings; in brackets, 95 % intervals. "
        f"Rankings without anything relevant: {empty}."
    )


def _with_interval(figure: "RankFigure") -> str:
    return f"{figure.value:.4f} \\[{figure.low:.3f}, {figure.high:.3f}]"


def _escaped(name: str) -> str:
    from rich.markup import escape

    return escape(name)
