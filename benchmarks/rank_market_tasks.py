"""Tasks of several markets: XMRec, and a small market among large ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rank_corpora import Purchases
from rank_gaps import Outcome, gap_of
from rank_markets import Question, Shop, Teaching, join, passed
from rank_peers import PEERS, Scores

from mtspam.config import RankingSettings
from mtspam.evaluate.ranking import RankRow, rank_rows
from mtspam.ranking.training import train_trunk
from mtspam.search.features import FeatureTable

__all__ = ["MarketPlan", "rank_markets", "rank_small_market"]

OWN, ALL = "own market", "all markets"
_JACCARD = "history together {} jaccard"
_COSINE = "history together {} cosine"
_TARGET = "t1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPlan:
    """How much is asked.

    Parameters
    ----------
    n_taught
        Questions of each market that teach.
    n_tested
        Questions of each market that test; all there are of the target's.
    n_users
        Users of each market who are kept; None: all.
    small_users, small_seeds, small_markets
        Users of a small market; how often they are drawn; which markets are made small in turn.
    rounds
        Trees of the peers.
    """

    n_taught: int
    n_tested: int
    n_users: int | None
    small_users: int
    small_seeds: int
    small_markets: tuple[str, ...]
    rounds: int
    settings: RankingSettings
    seed: int


_Pairs = Mapping[str, set[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class _Split:
    """Purchases that are told, and questions about those that are not."""

    told: pl.DataFrame
    tested: Mapping[str, list[Question]]
    taught: _Pairs
    shop: Shop

    def passed(
        self, markets: Sequence[str], plan: MarketPlan, *, names_markets: bool = True
    ) -> tuple[FeatureTable, FeatureTable]:
        """Tell the purchases of some markets."""
        return passed(
            self.told.filter(pl.col("market").is_in(markets)),
            Teaching(
                taught={market: self.taught[market] for market in markets},
                n_taught=plan.n_taught,
                shop=self.shop,
            ),
            [question for market in markets for question in self.tested.get(market, [])],
            seed=plan.seed,
            names_markets=names_markets,
        )


def rank_markets(purchases: Purchases, plan: MarketPlan) -> Outcome:
    """Rank by trees of all markets, by those of each alone, and as peers do."""
    purchases = _some(purchases, plan)
    split = _held_out(purchases, plan)
    markets = sorted(split.taught)
    train, test = split.passed(markets, plan)
    scores = {f"mtspam, {ALL}": _trained(train, test, plan)}
    alone = []
    for market in markets:
        own_train, own_test = split.passed([market], plan)
        alone.append((_trained(own_train, own_test, plan), own_test))
    own = join([table for _, table in alone])
    scores[f"mtspam, {OWN}"] = np.concatenate([one for one, _ in alone])
    for name, level in ((OWN, "market"), (ALL, "everyone")):
        scores[f"item-to-item, {name}"] = _column(test, _COSINE.format(level))
        scores[f"item-to-item, Jaccard, {name}"] = _column(test, _JACCARD.format(level))
        scores[f"popularity, {name}"] = _column(test, f"history clicks {level}")
    for name, peer in PEERS.items():
        scores[f"{name}, same features"] = peer(train, test, plan.rounds)
    if not np.array_equal(own.items, test.items):
        raise AssertionError("own and all markets are not asked the same")
    rows = rank_rows(test, scores, np.zeros(test.n_queries, np.int64), seed=plan.seed)
    both = scores[f"mtspam, {ALL}"], scores[f"mtspam, {OWN}"]
    what = f"{ALL} over {OWN}"
    gaps = [
        gap_of(what, test, both, split=f"market {name}", chosen=test.market == place)
        for place, name in enumerate(test.markets)
    ]
    return Outcome(_by_market(rows), gaps)


def rank_small_market(purchases: Purchases, plan: MarketPlan) -> Outcome:
    """Make one market after another small: trained alone, pooled without markets, and ours."""
    purchases = _some(purchases, plan)
    found: dict[str, list[Scores]] = {"alone": [], "pooled": [], "mtspam": []}
    tables = []
    for market in plan.small_markets:
        for number in range(plan.small_seeds):
            split = _small(purchases, market, plan, seed=plan.seed + number)
            train, test = split.passed([market], plan)
            tables.append(test)
            found["alone"].append(_trained(train, test, plan))
            for name, names_markets in (("pooled", False), ("mtspam", True)):
                train, test = split.passed(sorted(split.taught), plan, names_markets=names_markets)
                found[name].append(_trained(train, test, plan))
    table = join(tables)
    scores = {name: np.concatenate(parts) for name, parts in found.items()}
    rows = rank_rows(table, scores, np.zeros(table.n_queries, np.int64), seed=plan.seed)
    gaps = [
        gap_of(f"mtspam over {name}", table, (scores["mtspam"], scores[name]))
        for name in ("alone", "pooled")
    ]
    return Outcome(_by_market(rows), gaps)


def _by_market(rows: list[RankRow]) -> list[RankRow]:
    """Return the rows of all and of each market: no user has any other past."""
    return [row for row in rows if row.split == "all" or row.split.startswith("market ")]


def _trained(train: FeatureTable, test: FeatureTable, plan: MarketPlan) -> Scores:
    trunk = train_trunk(train, plan.settings)
    market = np.array([trunk.market_of(name) for name in test.markets] or [-1], np.int32)
    of_query = market[test.market] if test.markets else np.full(test.n_queries, -1, np.int32)
    return trunk.scores(test.values, np.repeat(of_query, test.sizes)).click


def _column(table: FeatureTable, name: str) -> NDArray[np.float64]:
    return table.column(name).astype(np.float64)


def _some(purchases: Purchases, plan: MarketPlan) -> Purchases:
    """Return what the first users of each market bought."""
    if plan.n_users is None:
        return purchases
    runs = purchases.runs[: plan.n_users]
    first = purchases.taught.unique("user", maintain_order=True)
    users = [user for user, _, _ in runs]
    for market in first["market"].unique(maintain_order=True):
        users += first.filter(pl.col("market") == market)["user"].head(plan.n_users).to_list()
    return Purchases(
        purchases.bought.filter(pl.col("user").is_in(users)),
        purchases.taught.filter(pl.col("user").is_in(users)),
        runs,
    )


def _held_out(purchases: Purchases, plan: MarketPlan) -> _Split:
    """Hold a purchase of some users of each market out; the target has its own lists."""
    generator = np.random.default_rng(plan.seed)
    offered = _offered(purchases)
    shop = Shop(purchases.bought, offered)
    tested: dict[str, list[Question]] = {}
    gone: list[tuple[str, str]] = []
    for market in offered:
        if market == _TARGET:
            tested[market] = [
                Question(user, market, listed, right) for user, listed, right in purchases.runs
            ]
            continue
        held = _one_of_each(purchases.taught, market, plan.n_tested, generator)
        tested[market] = [shop.ask(user, item, market, generator) for user, item in held]
        gone += held
    return _Split(_without(purchases.bought, gone), tested, _taught(purchases, gone), shop)


def _small(purchases: Purchases, market: str, plan: MarketPlan, *, seed: int) -> _Split:
    """Keep a few users of a market, all of the others; hold a purchase of each of the few out."""
    generator = np.random.default_rng(seed)
    core = purchases.taught
    users = core.filter(pl.col("market") == market)["user"].unique(maintain_order=True)
    kept = users.gather(generator.permutation(len(users))[: plan.small_users])
    core = core.filter((pl.col("market") != market) | pl.col("user").is_in(kept.to_list()))
    offered = _offered(purchases)
    shop = Shop(core, offered)
    held = _one_of_each(core, market, plan.small_users, generator)
    tested = {market: [shop.ask(user, item, market, generator) for user, item in held]}
    few = Purchases(core, core, [])
    return _Split(_without(core, held), tested, _taught(few, held), shop)


def _offered(purchases: Purchases) -> dict[str, list[str]]:
    offered = {
        str(market): sorted(set(frame["item"].to_list()))
        for (market,), frame in sorted(purchases.taught.group_by("market"))
    }
    if purchases.runs and _TARGET in offered:
        offered[_TARGET] = sorted({item for _, listed, _ in purchases.runs for item in listed})
    return offered


def _one_of_each(
    pairs: pl.DataFrame, market: str, n: int, generator: np.random.Generator
) -> list[tuple[str, str]]:
    """Return one purchase of each of up to `n` users, drawn."""
    own = pairs.filter(pl.col("market") == market).select("user", "item")
    rows = list(own.iter_rows())
    found: dict[str, str] = {}
    for place in generator.permutation(len(rows)).tolist():
        found.setdefault(*rows[place])
    return list(found.items())[:n]


def _without(bought: pl.DataFrame, gone: Sequence[tuple[str, str]]) -> pl.DataFrame:
    held = pl.DataFrame(gone, schema=["user", "item"], orient="row") if gone else None
    if held is None:
        return bought
    return bought.join(held, on=["user", "item"], how="anti", maintain_order="left")


def _taught(purchases: Purchases, gone: Sequence[tuple[str, str]]) -> _Pairs:
    held = set(gone)
    found: dict[str, set[tuple[str, str]]] = {}
    for user, item, market in purchases.taught.select("user", "item", "market").iter_rows():
        if (user, item) not in held:
            found.setdefault(market, set()).add((user, item))
    return found


MARKET_TASKS: Mapping[str, Callable[[Purchases, MarketPlan], Outcome]] = {
    "xmrec": rank_markets,
    "small_market": rank_small_market,
}
