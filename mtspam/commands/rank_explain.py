"""`mtspam rank explain`: why results stand where they stand."""

from typing import TYPE_CHECKING

import click

from mtspam.commands.options import PLACE, Common, as_written, format_options, state_options
from mtspam.commands.rank_options import column_options, open_reranker, table_columns

if TYPE_CHECKING:
    from mtspam.ranking import Rescored
    from mtspam.search.events import RankingShown

__all__ = ["command"]

_PARTS = ("host", "click", "conversion", "everyone", "market", "you")


@click.command("explain", epilog=as_written("mtspam rank explain asked.csv --limit 3"))
@click.argument("table", metavar="TABLE", type=PLACE)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many results of each request to tell of.",
)
@format_options("table", "ndjson")
@column_options
@state_options
@click.pass_obj
def command(
    common: Common, /, *, table: str, limit: int, form: str | None, **columns: str
) -> None:
    """Say for the first results of each request of a table what their scores are made of.

    Host: the place in the host's order. Click, conversion: the trees, and below them the features
    that lift or lower the result most. Everyone, market, you: what clicks say beyond the trees.
    """
    from mtspam.commands.rank_tables import read_candidates, requests

    named, settings = table_columns(columns), common.settings()
    frame = read_candidates(table, named)
    with open_reranker(common, read_only=True) as ranker:
        for _, ranking in requests(frame, named, table, ranker, settings):
            found = ranker.rescore_ranking(ranking, explain=True)
            if form == "ndjson":
                _say_lines(ranking, found, limit)
            else:
                _say_table(ranking, found, limit)


def _say_lines(ranking: "RankingShown", found: "Rescored", limit: int) -> None:
    import json

    for rank, place in enumerate(found.order[:limit].tolist(), 1):
        reason = found.reasons[place]
        record = {
            "query_id": ranking.id,
            "item": ranking.items[place].item,
            "rank": rank,
            "score": float(found.scores[place]),
            **{part: getattr(reason, part) for part in _PARTS},
            "features": dict(reason.features),
        }
        click.echo(json.dumps(record, ensure_ascii=False))


def _say_table(ranking: "RankingShown", found: "Rescored", limit: int) -> None:
    from mtspam.commands.verdict_lines import plain_text

    places = found.order[:limit].tolist()
    items = [plain_text(ranking.items[place].item) for place in places]
    names = ("score", *_PARTS)
    width = max(map(len, ("item", *items)))
    click.echo(f"request {plain_text(ranking.id)}")
    click.echo("  ".join((f"    {'item':<{width}}", *(f"{name:>7}" for name in names))))
    for rank, (place, item) in enumerate(zip(places, items, strict=True), 1):
        reason = found.reasons[place]
        numbers = (float(found.scores[place]), *(getattr(reason, part) for part in _PARTS))
        cells = (f"{n:>+{max(len(name), 7)}.2f}" for name, n in zip(names, numbers, strict=True))
        click.echo("  ".join((f"{rank:>3} {item:<{width}}", *cells)))
        for name, value in reason.features:
            click.echo(f"      {value:+.2f}  {plain_text(name)}")
    click.echo()
