"""Measure how well results are ranked: mtspam and its peers, on the same rankings.

``python benchmarks/quality_rank.py --size tiny|full [--task NAME]`` prints a table for each corpus
and leaves a JSON for each in ``benchmarks/results/``.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from corpora import DEFAULT_DATA, MissingDataError
from rank_corpora import Purchases, movielens_events, ranklens_events, xmrec
from rank_peers import PEERS, Scores
from results import write_result

from mtspam.commands.rank_evaluation import HeldOut, evaluate_events, set_apart
from mtspam.config import Settings
from mtspam.evaluate.figures import as_json
from mtspam.evaluate.ranking import RankRow, earlier_queries, rank_rows
from mtspam.metrics.ranking import difference_interval, ndcg
from mtspam.ranking.training import train_both
from mtspam.search.events import Interaction, RankingShown, ShownItem
from mtspam.search.features import FeatureTable
from mtspam.search.history import History
from mtspam.search.keys import keys
from mtspam.search.reading.reader import read_events

__all__ = ["main"]

BENCHMARK = "quality_rank"
METRIC_RULE = (
    "nDCG@10: gain 2**g - 1, discount log2(place + 1), ties in the order given, queries without "
    "a relevant document left out; intervals: 95 % bootstrap by query"
)
_TARGET = "t1"
_N_NEGATIVES = 99
_N_QUERIES = {"tiny": 300, "full": 12_000}
_N_RANKINGS = {"tiny": 400, "full": None}
_ROUNDS = {"tiny": 20, "full": 200}
"""Trees of each peer."""
_OUR_ROUNDS = {"tiny": 40, "full": Settings().ranking.rounds}
"""Our trees at most: they stop early."""
_MOVIE_SHARE = {"tiny": 0.01, "full": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Parameters
    ----------
    data
        The folder of the corpora.
    wheel
        The wheel of recbole, which holds MovieLens.
    """

    size: str
    data: Path
    wheel: Path
    seed: int

    @property
    def settings(self) -> Settings:
        """Our settings: the defaults, but for the number of trees where it has to be quick."""
        settings = Settings()
        return replace(settings, ranking=replace(settings.ranking, rounds=_OUR_ROUNDS[self.size]))


def _with_peers(found: HeldOut, *, columns: list[str], rounds: int) -> dict[str, Scores]:
    """Add the peers, trained on the features that need no history."""
    n_train = found.whole.n_queries - found.table.n_queries
    train = found.whole.take(np.arange(n_train)).only_columns(columns)
    test = found.table.only_columns(columns)
    return {**found.scores, **{name: peer(train, test, rounds) for name, peer in PEERS.items()}}


def _events_task(found: HeldOut, plan: Plan) -> list[RankRow]:
    plain = [name for name in found.whole.columns if not name.startswith("history ")]
    scores = _with_peers(found, columns=plain, rounds=_ROUNDS[plan.size])
    scores["item-to-item"] = found.table.column("history together everyone cosine").astype(float)
    earlier = earlier_queries(found.whole)[-found.table.n_queries :]
    return rank_rows(found.table, scores, earlier, seed=plan.seed)


def _ranklens(plan: Plan) -> list[RankRow]:
    events = ranklens_events(plan.data, _N_RANKINGS[plan.size])
    return _events_task(evaluate_events(events, plan.settings, held_out=0.2), plan)


def _movielens(plan: Plan) -> list[RankRow]:
    """Rank by conversion: click and conversion learnt jointly, next to conversion alone."""
    events = movielens_events(plan.wheel, seed=plan.seed, share=_MOVIE_SHARE[plan.size])
    settings = plan.settings
    found = evaluate_events(events, settings, held_out=0.2)
    n_train = found.whole.n_queries - found.table.n_queries
    train, test = found.whole.take(np.arange(n_train)), found.table
    joint = train_both(train, settings.ranking).trunk
    alone = train_both(_as_click(train), settings.ranking).trunk
    said = joint.scores(test.values, -1)
    truth = _as_click(test)
    scores = {
        "popularity": test.column("history clicks everyone").astype(float),
        "item-to-item": test.column("history together everyone cosine").astype(float),
        "click only": said.click,
        "conversion only": alone.scores(test.values, -1).click,
        "joint": said.conversion if said.conversion is not None else said.click,
    }
    first = ndcg(scores["joint"], truth.click, truth.offsets)
    second = ndcg(scores["conversion only"], truth.click, truth.offsets)
    gap = difference_interval(first, second, seed=plan.seed)
    print(f"  joint over conversion only, nDCG@10: [{gap.low:+.4f}, {gap.high:+.4f}]")
    earlier = earlier_queries(found.whole)[-test.n_queries :]
    return rank_rows(truth, scores, earlier, seed=plan.seed)


def _as_click(table: FeatureTable) -> FeatureTable:
    """Return the table with conversions in place of clicks, and no second task."""
    return replace(
        table, click=table.conversion, conversion=np.full(table.n_rows, np.nan, np.float32)
    )


def _xmrec(plan: Plan) -> list[RankRow]:
    purchases = xmrec(plan.data)
    runs = purchases.runs[: _N_QUERIES[plan.size]]
    own = {_TARGET}
    every = set(purchases.bought["market"].unique())
    scores: dict[str, Scores] = {}
    asked = [(user, items, right, "") for user, items, right in runs]
    for name, markets in (("own market", own), ("all markets", every)):
        history = _bought(purchases, markets)
        train = _taught_table(history, purchases, _N_QUERIES[plan.size], plan.seed)
        test = _table(history, asked)
        trunk = train_both(train, plan.settings.ranking).trunk
        scores[f"mtspam, {name}"] = trunk.scores(test.values, 0).click
        scores[f"item-to-item, {name}"] = test.column("history together everyone cosine").astype(
            float
        )
        scores[f"popularity, {name}"] = test.column("history clicks everyone").astype(float)
    for name, peer in PEERS.items():
        scores[f"{name}, same features"] = peer(train, test, _ROUNDS[plan.size])
    return rank_rows(test, scores, np.zeros(test.n_queries, np.int64), seed=plan.seed)


def _bought(purchases: Purchases, markets: set[str]) -> History:
    history = History()
    rows = purchases.bought.iter_rows()
    for number, (user, item, market) in enumerate(rows):
        if market in markets:
            history.observe(
                Interaction(
                    id=str(number), time=0, kind="click", item=item, user=user, market=market
                )
            )
    return history


def _taught_table(history: History, purchases: Purchases, limit: int, seed: int) -> FeatureTable:
    """Make queries of purchases: each among items that were never bought, as if never made."""
    generator = np.random.default_rng(seed)
    items = sorted({item for _, listed, _ in purchases.runs for item in listed})
    owned: dict[str, set[str]] = {}
    for user, item, market in purchases.bought.iter_rows():
        if market == _TARGET:
            owned.setdefault(user, set()).add(item)
    pairs = list(purchases.taught.select("user", "item").iter_rows())
    queries = []
    for place in generator.permutation(len(pairs))[:limit].tolist():
        user, right = pairs[place]
        drawn = [items[k] for k in generator.permutation(len(items))[: 2 * _N_NEGATIVES]]
        others = [item for item in drawn if item not in owned[user]][:_N_NEGATIVES]
        queries.append((user, [*others, right], right, right))
    return _table(history, queries)


def _table(history: History, queries: list[tuple[str, list[str], str, str]]) -> FeatureTable:
    """Read the features of candidates; the last of each query is what is taken back."""
    blocks, clicks, items = [], [], []
    for user, listed, right, without in queries:
        shown = tuple(ShownItem(item) for item in listed)
        ranking = RankingShown(id="", time=0, items=shown, user=user, market=_TARGET)
        blocks.append(history.read(ranking, without=without))
        clicks.append(np.array([item == right for item in listed], np.float32))
        items.append(keys(listed))
    sizes = [len(block) for block in blocks]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    n_queries = len(queries)
    return FeatureTable(
        columns=history.columns,
        values=np.concatenate(blocks),
        offsets=offsets,
        items=np.concatenate(items),
        position=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        click=np.concatenate(clicks),
        conversion=np.full(int(offsets[-1]), np.nan, np.float32),
        user=keys(user for user, _, _, _ in queries),
        market=np.zeros(n_queries, np.int32),
        time=np.zeros(n_queries, np.int64),
        markets=(_TARGET,),
    )


def _example(plan: Plan) -> list[RankRow]:
    folder = plan.data / "rank" / "lightgbm_example"
    if not folder.exists():
        raise MissingDataError(f"{folder} is not there")
    events = list(read_events([str(folder / "rank.train")], form="letor"))
    later = set_apart(list(read_events([str(folder / "rank.test")], form="letor")))
    tested = {event.id for event in later if isinstance(event, RankingShown)}
    found = evaluate_events([*events, *later], plan.settings, held_out=0.2, tested=tested)
    return _events_task(found, plan)


TASKS: Mapping[str, Callable[[Plan], list[RankRow]]] = {
    "ranklens": _ranklens,
    "xmrec": _xmrec,
    "movielens": _movielens,
    "lightgbm_example": _example,
}


def main() -> None:
    """Run the tasks asked for; a corpus that is not there is passed over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny")
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--wheel", type=Path, default=Path("recbole-1.2.1-py3-none-any.whl"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plan = Plan(size=given.size, data=given.data, wheel=given.wheel, seed=given.seed)
    for place, name in enumerate(given.task or TASKS):
        try:
            rows = TASKS[name](plan)
        except MissingDataError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        print(f"\n{name}, {given.size}")
        for row in rows:
            best = row.ndcg_at_10
            print(
                f"  {row.split:14} {row.name:32} {row.n_queries:6,} "
                f"{best.value:.4f} [{best.low:.4f}, {best.high:.4f}]"
            )
        record = {
            "task": name,
            "place": place,
            "size": given.size,
            "seed": given.seed,
            "metric_rule": METRIC_RULE,
            "settings_digest": plan.settings.digest(),
            "rows": as_json(rows),
        }
        write_result(BENCHMARK, name, record)


if __name__ == "__main__":
    main()
