"""`mtspam rank train`: trees from the journal."""

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import Common, as_written, format_options, state_options
from mtspam.commands.rank_options import open_reranker

__all__ = ["command"]


@click.command(
    "train", epilog=as_written("mtspam rank train", "mtspam rank train --json | jq .trees")
)
@format_options("table", "json")
@state_options
@click.pass_obj
def command(common: Common, *, form: str | None) -> None:
    """Grow trees from all events of the journal, and ask them from now on.

    The version before stays: `mtspam rank use` brings it back. What is clicked afterwards counts
    at once, trained or not.
    """
    import json

    from mtspam.spam.documents import MODEL_FACT, model_of, scorer_of

    model = model_of(scorer_of(common.settings()))
    with open_reranker(common, read_only=False) as ranker:
        name = ranker.train({MODEL_FACT: model})
        found = ranker.versions.load(name)
    trunk = found.trunk
    if form == "json":
        record = {
            "version": name,
            **found.facts,
            "columns": list(trunk.columns),
            "markets": list(trunk.markets),
            "trees": {
                f"{task} {'shared' if place < 0 else trunk.markets[place]}": forest.n_trees
                for (task, place), forest in trunk.forests.items()
            },
        }
        click.echo(json.dumps(record, ensure_ascii=False))
        return
    click.echo(
        f"version {name}: {counted(found.facts['n_queries'], 'ranking')}, "
        f"{counted(found.facts['n_rows'], 'candidate')}, {counted(len(trunk.columns), 'feature')}"
    )
    for (task, place), forest in trunk.forests.items():
        where = "everybody" if place < 0 else f"market {trunk.markets[place]}"
        click.echo(f"  {task}, {where}: {counted(forest.n_trees, 'tree')}")
