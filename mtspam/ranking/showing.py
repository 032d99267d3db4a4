"""A ranking as it was shown: what is to be journalled, so that clicks can name it."""

from dataclasses import replace

from mtspam.errors import DataError
from mtspam.ranking.exploring import PROPENSITY
from mtspam.ranking.records import Rescored
from mtspam.search.events import RankingShown

__all__ = ["shown"]


def shown(ranking: RankingShown, rescored: Rescored) -> RankingShown:
    """Return the ranking as it was shown in a new order, which still tells the host's order.

    The propensities are among the fields of the candidates, to be logged.

    Raises
    ------
    DataError
        If the two are not of equally many candidates.
    """
    if len(ranking.items) != len(rescored.order):
        raise DataError(
            f"{len(rescored.order)} places for {len(ranking.items)} candidates do not fit"
        )
    hosts = ranking.host_places
    items = []
    for place, propensity in zip(rescored.order.tolist(), rescored.propensities, strict=True):
        item = ranking.items[place]
        fields = {**item.fields, PROPENSITY: float(propensity)}
        # Clicks are to teach how far the host is right, not how far we are.
        items.append(replace(item, fields=fields, host_place=hosts[place]))
    return replace(ranking, items=tuple(items))
