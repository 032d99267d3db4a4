"""Rankings whose host's order tells something, so that to leave it can do harm."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtspam.search.events import Event, Interaction, RankingShown, ShownItem
from mtspam.search.history import History

__all__ = ["by_history", "made_noise", "made_queries", "reordered"]

_N_CANDIDATES = 20
_N_CLICKS = 2
_N_NOISE = 5
_N_KNOWN = 50

Score = Callable[[RankingShown], NDArray[np.float64]]


def reordered(
    events: Sequence[Event], score: Score, learn: Callable[[Event], None]
) -> list[Event]:
    """Return events by time, each ranking in the order of a host that learns as it goes.

    Parameters
    ----------
    events
        By time.
    score
        The host's score of each candidate, by what it was told before.
    learn
        Tells the host of an event.
    """
    found = []
    for event in events:
        told = event
        if isinstance(event, RankingShown):
            scores = score(event)
            order = np.argsort(-scores, kind="stable").tolist()
            items = (replace(event.items[place], score=float(scores[place])) for place in order)
            told = replace(event, items=tuple(items))
        learn(told)
        found.append(told)
    return found


def by_history(*columns: str) -> tuple[Score, Callable[[Event], None]]:
    """Return a host that ranks by columns of history, a later one where the former are equal."""
    history = History()
    places = [history.columns.index(column) for column in columns]

    def score(ranking: RankingShown) -> NDArray[np.float64]:
        read = history.read(ranking)[:, places].astype(np.float64)
        ranks = np.lexsort(list(reversed(read.T))).argsort()
        return ranks.astype(np.float64)

    return score, history.observe


def made_noise(n: int, *, strength: float, seed: int) -> list[Event]:
    """Return rankings clicked by the host's order and chance alone; all features are noise.

    Parameters
    ----------
    n
        How many, each of a user of its own.
    strength
        How far the host is right: at 4 hardly anything is left to chance.
    """
    generator = np.random.default_rng(seed)
    made: list[Event] = []
    for number in range(n):
        worth = -strength * np.log2(np.arange(_N_CANDIDATES) + 2.0)
        noise = generator.normal(size=(_N_CANDIDATES, _N_NOISE))
        names = generator.choice(300, _N_CANDIDATES, replace=False)
        items = tuple(
            ShownItem(
                f"d{name}", -float(place), {f"noise {k}": float(x) for k, x in enumerate(row)}
            )
            for place, (name, row) in enumerate(zip(names.tolist(), noise, strict=True))
        )
        made += _clicked(number, items, worth, generator)
    return made


def made_queries(n: int, *, n_before: int, seed: int) -> list[Event]:
    """Return rankings whose clicks follow the query's taste and the host's order.

    Parameters
    ----------
    n
        How many, each of a user of its own.
    n_before
        Until then all queries come from a few; of the later ones every other is seen for the
        first time.
    """
    generator = np.random.default_rng(seed)
    taste = generator.normal(size=(_N_KNOWN + n, 60))
    made: list[Event] = []
    for number in range(n):
        is_new = number >= n_before and number % 2 == 1
        query = _N_KNOWN + number if is_new else int(generator.integers(_N_KNOWN))
        names = generator.choice(60, _N_CANDIDATES, replace=False)
        worth = 2.0 * taste[query, names] - np.log2(np.arange(_N_CANDIDATES) + 2.0)
        items = tuple(
            ShownItem(f"d{name}", -float(place)) for place, name in enumerate(names.tolist())
        )
        made += _clicked(number, items, worth, generator, f"q{query}")
    return made


def _clicked(
    number: int,
    items: tuple[ShownItem, ...],
    worth: NDArray[np.float64],
    generator: np.random.Generator,
    query: str = "",
) -> list[Event]:
    """Return a ranking and clicks on those candidates that are worth most, by some chance."""
    ranking, time = f"r{number}", number * 10_000
    chosen = np.argsort(-(worth + generator.gumbel(size=worth.size)))[:_N_CLICKS].tolist()
    user = f"u{number}"
    shown = RankingShown(id=ranking, time=time, items=items, query=query, user=user)
    clicks = [
        Interaction(
            id=f"c{number} {place}",
            time=time + 1,
            kind="click",
            item=items[place].item,
            ranking=ranking,
            user=user,
        )
        for place in chosen
    ]
    return [shown, *clicks]
