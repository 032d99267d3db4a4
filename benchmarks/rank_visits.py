"""Made-up travellers: most look at some hotels before they click on one of a city's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.search.events import Event, Interaction, RankingShown, ShownItem

__all__ = ["made_visits"]

_N_CITIES = 40
_N_HOTELS = 60
_N_CANDIDATES = 25
_SHARE_WHO_LOOK = 0.7
_MOST_LOOKS = 5
_KINDS = ("image", "info", "deals")
_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class _Visitor:
    """Somebody who goes to one city, with a taste in hotels, and looks around or does not."""

    name: str
    city: int
    taste: NDArray[np.float64]
    looks: bool


def made_visits(n_visitors: int, *, seed: int) -> list[Event]:
    """Return rankings of hotels, what was looked at before, and the one that was clicked.

    A click goes by what all think of a hotel, the visitor's own taste, its price, and the host's
    order, which follows what all think. What is looked at before goes by the same, with chance.

    Parameters
    ----------
    n_visitors
        Each searches two times or more, three times on average.
    """
    generator = np.random.default_rng(seed)
    quality = generator.normal(size=(_N_CITIES, _N_HOTELS))
    made: list[Event] = []
    number = 0
    for name in range(n_visitors):
        city = int(generator.integers(_N_CITIES))
        taste = generator.normal(size=_N_HOTELS)
        visitor = _Visitor(f"u{name}", city, taste, bool(generator.random() < _SHARE_WHO_LOOK))
        for _ in range(1 + generator.geometric(0.5)):
            made += _searched(number, visitor, quality[city], generator)
            number += 1
    return made


def _searched(
    number: int, visitor: _Visitor, quality: NDArray[np.float64], generator: np.random.Generator
) -> list[Event]:
    """Return one search: what was looked at, what was shown, what was clicked."""
    time, name = number * _MINUTE, visitor.name
    noise = generator.normal(size=_N_HOTELS)
    order = np.argsort(-(quality + 0.7 * noise))[:_N_CANDIDATES]
    price = generator.normal(size=_N_CANDIDATES)
    beside = 0.5 * price + 1.2 * np.log(np.arange(_N_CANDIDATES) + 2.0)
    worth = quality[order] + 1.5 * visitor.taste[order] - beside
    hotels = [f"{visitor.city}-{hotel}" for hotel in order.tolist()]
    n_looks = int(generator.integers(1, _MOST_LOOKS + 1))
    seen = np.argsort(-(worth + generator.normal(size=worth.size)))[:n_looks].tolist()
    kinds = generator.integers(len(_KINDS), size=n_looks).tolist()
    looks = [
        Interaction(
            id=f"l{number} {place}",
            time=time - _MINUTE // 2 + 1_000 * turn,
            kind=_KINDS[kind],
            item=hotels[place],
            user=name,
        )
        for turn, (place, kind) in enumerate(zip(seen, kinds, strict=True))
    ]
    items = tuple(
        ShownItem(hotel, -float(place), {"price": float(price[place])})
        for place, hotel in enumerate(hotels)
    )
    best = int(np.argmax(worth + 0.5 * generator.gumbel(size=worth.size)))
    city = f"city {visitor.city}"
    shown = RankingShown(id=f"r{number}", time=time, items=items, query=city, user=name)
    click = Interaction(
        id=f"c{number}",
        time=time + 5,
        kind="click",
        item=hotels[best],
        ranking=shown.id,
        user=name,
    )
    return [*(looks if visitor.looks else []), shown, click]
