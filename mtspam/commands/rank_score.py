"""`mtspam rank score`: a table of candidates with scores and ranks beside."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.options import PLACE, Common, as_written, state_options
from mtspam.commands.rank_options import column_options, open_reranker, table_columns

if TYPE_CHECKING:
    import polars as pl

__all__ = ["command"]

_ENDINGS = (".parquet", ".csv", ".ndjson")


@click.command(
    "score",
    epilog=as_written(
        "mtspam rank score asked.parquet -o ranked.parquet",
        "mtspam rank score - --user-column customer < asked.csv",
    ),
)
@click.argument("table", metavar="TABLE", type=PLACE)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=PLACE,
    help="Write to FILE.(parquet|csv|ndjson) instead of CSV on standard output.",
)
@column_options
@state_options
@click.pass_obj
def command(common: Common, /, *, table: str, output: str | None, **columns: str) -> None:
    """Score the candidates of a table: CSV, TSV, Parquet or NDJSON, a row each.

    The table is written again with two columns more, `mtspam_score` and `mtspam_rank`, which
    counts from 1 in each request. All columns that no option names are features. A table without
    times is asked as of the last event taken in; ``-`` reads standard input, CSV or NDJSON.
    """
    import polars as pl

    from mtspam.commands.rank_tables import read_candidates, requests
    from mtspam.search.reading.tables import RANK, SCORE

    if output is not None and not output.endswith(_ENDINGS):
        raise click.UsageError(f"--output {output!r} must end in {', '.join(_ENDINGS)}.")
    named, settings = table_columns(columns), common.settings()
    frame = read_candidates(table, named)
    scores, ranks = [0.0] * frame.height, [0] * frame.height
    with open_reranker(common, read_only=True) as ranker:
        for places, ranking in requests(frame, named, table, ranker, settings):
            found = ranker.rescore_ranking(ranking)
            for rank, candidate in enumerate(found.order.tolist(), 1):
                ranks[places[candidate]] = rank
                scores[places[candidate]] = float(found.scores[candidate])
    _write(frame.with_columns(pl.Series(SCORE, scores), pl.Series(RANK, ranks)), output)


def _write(frame: "pl.DataFrame", output: str | None) -> None:
    import polars as pl

    from mtspam.errors import DataError
    from mtspam.evaluate.outputs import replacing

    if output is None:
        sys.stdout.write(frame.write_csv())
        return
    path = Path(output)
    try:
        with replacing(path) as beside:
            if path.suffix == ".parquet":
                frame.write_parquet(beside)
            elif path.suffix == ".csv":
                frame.write_csv(beside)
            else:
                frame.write_ndjson(beside)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: cannot be written: {error}") from error
