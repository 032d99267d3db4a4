"""Purchases of several markets as they come: each is asked for before it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mtspam.search.events import Interaction, RankingShown, ShownItem
from mtspam.search.features import FeatureTable
from mtspam.search.history import History
from mtspam.search.keys import keys

__all__ = ["Question", "Shop", "Teaching", "join", "passed"]

_N_OTHERS = 99
_WARM_UP = 0.8
"""Before that share of the purchases has come, nothing is asked: the history is too young."""
_SECOND = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """Candidates of which a user bought one.

    Parameters
    ----------
    user, market
        Who asks.
    listed
        The candidates; the right one is anywhere among them.
    right
        What was bought.
    """

    user: str
    market: str
    listed: Sequence[str]
    right: str


class Shop:
    """Draws the other candidates of a purchase, evenly from what its market offers.

    Parameters
    ----------
    bought
        All purchases there are, those held out too: columns ``user``, ``item``.
    offered
        Documents by market.
    """

    def __init__(self, bought: pl.DataFrame, offered: Mapping[str, Sequence[str]]) -> None:
        self._offered = offered
        self._owned: dict[str, set[str]] = {}
        for user, item in bought.select("user", "item").iter_rows():
            self._owned.setdefault(user, set()).add(item)

    def ask(self, user: str, right: str, market: str, generator: np.random.Generator) -> Question:
        """Return the purchase among things that its user never bought."""
        items, owned = self._offered[market], self._owned[user]
        drawn = generator.permutation(len(items))[: 2 * _N_OTHERS].tolist()
        others = [items[place] for place in drawn if items[place] not in owned][:_N_OTHERS]
        place = int(generator.integers(len(others) + 1))
        return Question(user, market, [*others[:place], right, *others[place:]], right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """What is asked to teach.

    Parameters
    ----------
    taught
        For each market the purchases that may be asked for, by user and item.
    n_taught
        For how many of each market, at most, those that come late; the others only make history.
    shop
        Draws the candidates.
    """

    taught: Mapping[str, set[tuple[str, str]]]
    n_taught: int
    shop: Shop


def passed(
    bought: pl.DataFrame,
    teaching: Teaching,
    tested: Sequence[Question],
    *,
    seed: int,
    names_markets: bool = True,
) -> tuple[FeatureTable, FeatureTable]:
    """Let purchases pass in an order drawn by the seed; return what is taught and what is tested.

    Parameters
    ----------
    bought
        Columns ``user``, ``item``, ``market``; what is tested is not among it.
    teaching
        Asked as the purchases come.
    tested
        Asked when all purchases have come.
    names_markets
        Without, all are one market.
    """
    generator, taught = np.random.default_rng(seed), teaching.taught
    rows = list(bought.select("user", "item", "market").iter_rows())
    order = generator.permutation(len(rows)).tolist()
    late: dict[str, list[int]] = {market: [] for market in taught}
    for place in order[round(_WARM_UP * len(rows)) :]:
        user, item, market = rows[place]
        if (user, item) in taught.get(market, ()):
            late[market].append(place)
    asked = {
        places[k]
        for places in late.values()
        for k in generator.permutation(len(places))[: teaching.n_taught].tolist()
    }
    markets = tuple(sorted(taught)) if names_markets else ()
    history = History()
    questions, blocks, times = [], [], []
    for number, place in enumerate(order):
        user, item, market = rows[place]
        now = number * _SECOND
        if place in asked:
            question = teaching.shop.ask(user, item, market, generator)
            questions.append(question)
            blocks.append(_read(history, question, now, names_markets=names_markets))
            times.append(now)
        history.observe(
            Interaction(
                id=str(number),
                time=now,
                kind="click",
                item=item,
                user=user,
                market=market if names_markets else "",
            )
        )
    end = len(rows) * _SECOND
    found = [_read(history, one, end, names_markets=names_markets) for one in tested]
    return (
        _table(history, questions, blocks, times, markets),
        _table(history, tested, found, [end] * len(tested), markets),
    )


def _read(
    history: History, question: Question, now: int, *, names_markets: bool
) -> NDArray[np.float32]:
    return history.read(
        RankingShown(
            id="",
            time=now,
            items=tuple(ShownItem(item) for item in question.listed),
            user=question.user,
            market=question.market if names_markets else "",
        )
    )


def _table(
    history: History,
    questions: Sequence[Question],
    blocks: Sequence[NDArray[np.float32]],
    times: Sequence[int],
    markets: tuple[str, ...],
) -> FeatureTable:
    sizes = [len(block) for block in blocks]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    right = [item == one.right for one in questions for item in one.listed]
    place_of = {name: place for place, name in enumerate(markets)}
    return FeatureTable(
        columns=history.columns,
        values=np.concatenate(blocks),
        offsets=offsets,
        items=keys(item for one in questions for item in one.listed),
        position=np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        click=np.array(right, np.float32),
        conversion=np.full(int(offsets[-1]), np.nan, np.float32),
        user=keys(one.user for one in questions),
        market=np.array([place_of.get(one.market, -1) for one in questions], np.int32),
        time=np.array(times, np.int64),
        markets=markets,
    )


def join(parts: Sequence[FeatureTable]) -> FeatureTable:
    """Return tables of the same columns as one; a market is named in the first that has it."""
    markets = tuple(dict.fromkeys(name for part in parts for name in part.markets))
    sizes = np.concatenate([part.sizes for part in parts])
    market = [
        markets.index(part.markets[place]) if place >= 0 else -1
        for part in parts
        for place in part.market.tolist()
    ]
    return FeatureTable(
        columns=parts[0].columns,
        values=np.concatenate([part.values for part in parts]),
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]),
        items=np.concatenate([part.items for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        click=np.concatenate([part.click for part in parts]),
        conversion=np.concatenate([part.conversion for part in parts]),
        user=np.concatenate([part.user for part in parts]),
        market=np.array(market, np.int32),
        time=np.concatenate([part.time for part in parts]),
        markets=markets,
    )
