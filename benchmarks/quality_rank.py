"""Measure how well results are ranked: mtspam and its peers, on the same rankings.

``python benchmarks/quality_rank.py --size tiny|full [--task NAME]`` prints figures and paired
differences of each task and leaves a JSON of each in ``benchmarks/results/``. Tiny takes a minute,
full some twenty.
"""

import argparse
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from corpora import DEFAULT_DATA, MissingDataError
from numpy.typing import NDArray
from rank_corpora import Purchases, ranklens_events, xmrec
from rank_films import CANDIDATES_RULE, film_events, films_wheel
from rank_gaps import Gap, Outcome, gap_of, print_gaps, print_rows
from rank_hosts import by_history, made_noise, made_queries, reordered
from rank_market_tasks import MARKET_TASKS, MarketPlan
from rank_peers import PEERS, Scores
from rank_visits import made_visits
from results import write_result

from mtspam.commands.rank_evaluation import HeldOut, evaluate_events, events_table, set_apart
from mtspam.config import RankingSettings, Settings
from mtspam.evaluate.figures import as_json
from mtspam.evaluate.ranking import RankRow, earlier_queries, rank_rows
from mtspam.ranking.training import train_both
from mtspam.search.events import Event, Interaction, RankingShown
from mtspam.search.features import FeatureTable
from mtspam.search.reading.reader import read_events

__all__ = ["main"]

BENCHMARK = "quality_rank"
METRIC_RULE = (
    "nDCG@10: gain 2**g - 1, discount log2(place + 1), ties in the order given, queries without "
    "a relevant document left out; intervals: 95 % bootstrap by query"
)
_MARKET_SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "n_taught": 100,
        "n_tested": 50,
        "n_users": 100,
        "small_users": 30,
        "small_seeds": 1,
        "small_markets": ("s3",),
    },
    "full": {
        "n_taught": 5_000,
        "n_tested": 1_500,
        "n_users": None,
        "small_users": 100,
        "small_seeds": 4,
        "small_markets": ("s3", "t1"),
    },
}
_N_RANKINGS = {"tiny": 400, "full": None}
_ROUNDS = {"tiny": 20, "full": 200}
"""Trees of each peer."""
_OUR_ROUNDS = {"tiny": 40, "full": Settings().ranking.rounds}
"""Our trees at most: they stop early."""
_FILM_SHARE = {"tiny": 0.05, "full": 1.0}
_FILM_SEEDS = {"tiny": (0,), "full": (0, 1, 2)}
_HOST_FILM_SHARE = {"tiny": 0.05, "full": 0.3}
_N_MADE = {"tiny": (100,), "full": (100, 400, 1_500)}
"""Made rankings that are learnt from."""
_N_MADE_TESTED = {"tiny": 100, "full": 1_000}
_N_VISITORS = {"tiny": 100, "full": 3_000}
_WIDTH = 99
_STRENGTHS = (0.7, 1.5, 4.0)
_CUTS = {
    "tiny": {},
    "full": {"64 to 80 %": (0.64, 0.8), "last 30 %": (0.7, 1.0), "last 40 %": (0.6, 1.0)},
}
"""What is tested on beside the last fifth of RankLens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Parameters
    ----------
    data
        The folder of the corpora.
    wheel
        The wheel of recbole, which holds MovieLens; None: it is fetched.
    """

    size: str
    data: Path
    wheel: Path | None
    seed: int

    @property
    def settings(self) -> Settings:
        """Our settings: the defaults, but for the number of trees where it has to be quick.

        One thread: figures are the same on any machine, and a busy one does not wait for itself.
        """
        settings = Settings()
        own = replace(settings.ranking, rounds=_OUR_ROUNDS[self.size], threads=1)
        return replace(settings, ranking=own)


def _with_peers(found: HeldOut, plan: Plan) -> dict[str, Scores]:
    """Add the peers, trained on the features that need no history."""
    columns = [name for name in found.whole.columns if not name.startswith("history ")]
    n_train = found.whole.n_queries - found.table.n_queries
    train = found.whole.take(np.arange(n_train)).only_columns(columns)
    test = found.table.only_columns(columns)
    rounds = _ROUNDS[plan.size]
    return {**found.scores, **{name: peer(train, test, rounds) for name, peer in PEERS.items()}}


def _events_task(found: HeldOut, plan: Plan) -> list[RankRow]:
    scores = _with_peers(found, plan)
    scores["item-to-item"] = found.table.column("history together everyone cosine").astype(float)
    return rank_rows(found.table, scores, _earlier(found), seed=plan.seed)


def _earlier(found: HeldOut) -> NDArray[np.int64]:
    return earlier_queries(found.whole)[-found.table.n_queries :]


def _ranklens(plan: Plan) -> Outcome:
    events = ranklens_events(plan.data, _N_RANKINGS[plan.size])
    found = evaluate_events(events, plan.settings, held_out=0.2)
    rows, gaps = _events_task(found, plan), _over_rate(found, "last 20 %")
    for name, (begin, end) in _CUTS[plan.size].items():
        part = _until(events, end)
        cut = evaluate_events(part, plan.settings, held_out=1.0 - begin / end)
        gaps += _over_rate(cut, name)
        rows += [
            replace(row, split=f"{name}, {row.split}")
            for row in rank_rows(cut.table, cut.scores, _earlier(cut), seed=plan.seed)
            if row.split in {"all", "ranking 1", "ranking 5"}
        ]
    return Outcome(rows, gaps)


def _until(events: list[Event], share: float) -> list[Event]:
    """Return the first rankings with what was done, and all else."""
    shown = [event.id for event in events if isinstance(event, RankingShown)]
    gone = set(shown[round(share * len(shown)) :])
    return [
        event
        for event in events
        if not (isinstance(event, RankingShown) and event.id in gone)
        and not (isinstance(event, Interaction) and event.ranking in gone)
    ]


def _over_rate(found: HeldOut, cut: str) -> list[Gap]:
    """Compare all of it with the smoothed click-through rate: whole, first and fifth rankings."""
    earlier = _earlier(found)
    both = found.scores["full"], found.scores["smoothed CTR"]
    parts = {"all": earlier >= 0, "first": earlier == 0, "fifth": earlier == 4}
    return [
        gap_of("full over smoothed CTR", found.table, both, split=f"{cut}, {name}", chosen=chosen)
        for name, chosen in parts.items()
        if chosen.any()
    ]


def _movielens(plan: Plan) -> Outcome:
    """Rank by conversion: click and conversion learnt jointly, next to conversion alone."""
    wheel = films_wheel(plan.wheel)
    rows: list[RankRow] = []
    gaps: list[Gap] = []
    print("\n".join(textwrap.wrap(f"movielens: {CANDIDATES_RULE}", _WIDTH)))
    for seed in _FILM_SEEDS[plan.size]:
        events = film_events(wheel, seed=seed, share=_FILM_SHARE[plan.size])
        whole = events_table(events, plan.settings)
        n_test = round(0.2 * whole.n_queries)
        train, test = (
            whole.take(part) for part in np.split(np.arange(whole.n_queries), [-n_test])
        )
        scores = _of_conversions(train, test, plan.settings.ranking)
        truth = _as_click(test)
        both = scores["joint"], scores["conversion only"]
        gaps.append(gap_of("joint over conversion only", truth, both, split=f"seed {seed}"))
        earlier = earlier_queries(whole)[-n_test:]
        rows += [
            replace(row, split=f"seed {seed}, {row.split}")
            for row in rank_rows(truth, scores, earlier, seed=plan.seed)
            if row.split == "all" or row.split.startswith("history")
        ]
    return Outcome(rows, gaps)


def _of_conversions(
    train: FeatureTable, test: FeatureTable, settings: RankingSettings
) -> dict[str, Scores]:
    joint = train_both(train, settings).trunk.scores(test.values, -1)
    alone = train_both(_as_click(train), settings).trunk.scores(test.values, -1)
    return {
        "popularity": test.column("history clicks everyone").astype(float),
        "share of clicks that convert": test.column("history conversions everyone").astype(float),
        "item-to-item": test.column("history together everyone cosine").astype(float),
        "click only": joint.click,
        "conversion only": alone.click,
        "joint": joint.click if joint.conversion is None else joint.conversion,
    }


def _hosts(plan: Plan) -> Outcome:
    """Compare with hosts that rank well: for strangers it must never be worse."""
    rows: list[RankRow] = []
    gaps: list[Gap] = []
    for name, events, held_out in _hosted(plan):
        found = evaluate_events(events, plan.settings, held_out=held_out)
        queries = [event.query for event in events if isinstance(event, RankingShown)]
        parts = {"strangers": _earlier(found) == 0, "others": _earlier(found) > 0}
        if any(queries):
            n_train = found.whole.n_queries - found.table.n_queries
            known = set(queries[:n_train])
            is_new = np.array([query not in known for query in queries[n_train:]])
            parts = {"unseen queries": is_new, "seen queries": ~is_new}
        scores = {"host": found.scores["engine order"], "full": found.scores["full"]}
        both = scores["full"], scores["host"]
        gaps += [
            gap_of("full over host", found.table, both, split=f"{name}, {part}", chosen=chosen)
            for part, chosen in parts.items()
            if chosen.any()
        ]
        rows += [
            replace(row, split=f"{name}, {row.split}")
            for row in rank_rows(found.table, scores, _earlier(found), seed=plan.seed)
            if row.split in {"all", "history 0"}
        ]
    return Outcome(rows, gaps)


def _hosted(plan: Plan) -> Iterator[tuple[str, list[Event], float]]:
    """Yield name, events and the share to test on."""
    n_tested = _N_MADE_TESTED[plan.size]
    for n in _N_MADE[plan.size]:
        share = n_tested / (n + n_tested)
        for strength in _STRENGTHS:
            made = made_noise(n + n_tested, strength=strength, seed=plan.seed)
            yield f"noise, host {strength}, {n}", made, share
        yield f"made, {n}", made_queries(n + n_tested, n_before=n, seed=plan.seed), share
    rate = "history rate everyone"
    try:
        events = ranklens_events(plan.data, _N_RANKINGS[plan.size])
        yield "RankLens by rate", reordered(events, *by_history(rate)), 0.2
    except MissingDataError as error:
        print(f"hosts: {error}", file=sys.stderr)
    try:
        wheel = films_wheel(plan.wheel)
    except MissingDataError as error:
        print(f"hosts: {error}", file=sys.stderr)
        return
    films = film_events(wheel, seed=plan.seed, share=_HOST_FILM_SHARE[plan.size])
    yield "films by popularity", reordered(films, *by_history("history clicks everyone")), 0.2
    cosine = "history together everyone cosine"
    yield "films by item-to-item", reordered(films, *by_history(cosine, rate)), 0.2


def _visits(plan: Plan) -> Outcome:
    """Compare with itself, not told what people looked at; and for strangers with the host."""
    events = made_visits(_N_VISITORS[plan.size], seed=plan.seed)
    found = evaluate_events(events, plan.settings, held_out=0.2)
    blind = [one for one in events if not isinstance(one, Interaction) or one.kind == "click"]
    withheld = evaluate_events(blind, plan.settings, held_out=0.2).scores
    scores = _with_peers(found, plan)
    scores["full, looks withheld"] = withheld["full"]
    has_looked = np.zeros(found.table.n_queries, np.bool_)
    if "history your acts" in found.table.columns:
        looked = found.table.column("history your acts")[found.table.offsets[:-1]]
        has_looked = looked > 0.0
    is_stranger = ~has_looked & (_earlier(found) == 0)
    gaps = [
        gap_of(f"full over {name}", found.table, (scores["full"], other), split=split, chosen=part)
        for name, other, split, part in (
            ("looks withheld", withheld["full"], "who looked", has_looked),
            ("looks withheld", withheld["full"], "others", ~has_looked),
            ("host", scores["engine order"], "strangers", is_stranger),
        )
        if part.any()
    ]
    return Outcome(rank_rows(found.table, scores, _earlier(found), seed=plan.seed), gaps)


def _as_click(table: FeatureTable) -> FeatureTable:
    """Return the table with conversions in place of clicks, and no second task."""
    return replace(
        table, click=table.conversion, conversion=np.full(table.n_rows, np.nan, np.float32)
    )


def _markets(task: Callable[[Purchases, MarketPlan], Outcome], plan: Plan) -> Outcome:
    """Run a task of several markets."""
    how = MarketPlan(
        **_MARKET_SIZES[plan.size],
        rounds=_ROUNDS[plan.size],
        settings=plan.settings.ranking,
        seed=plan.seed,
    )
    return task(xmrec(plan.data), how)


def _example(plan: Plan) -> Outcome:
    folder = plan.data / "rank" / "lightgbm_example"
    if not folder.exists():
        raise MissingDataError(f"{folder} is not there")
    events = list(read_events([str(folder / "rank.train")], form="letor"))
    later = set_apart(list(read_events([str(folder / "rank.test")], form="letor")), "tested")
    tested = {event.id for event in later if isinstance(event, RankingShown)}
    found = evaluate_events([*events, *later], plan.settings, held_out=0.2, tested=tested)
    return Outcome(_events_task(found, plan))


TASKS: Mapping[str, Callable[[Plan], Outcome]] = {
    "ranklens": _ranklens,
    **{name: partial(_markets, task) for name, task in MARKET_TASKS.items()},
    "movielens": _movielens,
    "hosts": _hosts,
    "visits": _visits,
    "lightgbm_example": _example,
}


def main() -> None:
    """Run the tasks asked for; a corpus that is not there is passed over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny")
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--wheel", type=Path, help="the wheel of recbole, which has MovieLens")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plan = Plan(size=given.size, data=given.data, wheel=given.wheel, seed=given.seed)
    for place, name in enumerate(given.task or TASKS):
        began = time.perf_counter()
        try:
            outcome = TASKS[name](plan)
        except MissingDataError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        print(f"\n{name}, {given.size}, {time.perf_counter() - began:.0f} s")
        print_rows(outcome.rows)
        print_gaps(outcome.gaps)
        record = {
            "task": name,
            "place": place,
            "size": given.size,
            "seed": given.seed,
            "metric_rule": METRIC_RULE,
            "settings_digest": plan.settings.digest(),
            "rows": as_json(outcome.rows),
            "gaps": as_json(outcome.gaps),
        }
        write_result(BENCHMARK, name, record)


if __name__ == "__main__":
    main()
