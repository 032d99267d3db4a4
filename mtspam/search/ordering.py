"""The order in which events are folded, whatever the order in which they came."""

from collections.abc import Iterable

from mtspam.search.events import Event, Interaction, RankingShown

__all__ = ["in_order"]


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events by time, but nothing before the ranking in which it was done.

    An interaction that names a ranking of a later time, as clocks that differ make it, comes right
    behind that ranking; several of them by their own times. Events of one moment stand as they
    came: of these alone the order of arrival counts. The journal gives its events in this order.

    Examples
    --------
    >>> shown = RankingShown(id="r", time=9, items=())
    >>> early = Interaction(id="c", time=7, kind="click", item="a", ranking="r")
    >>> [event.id for event in in_order([early, shown])]
    ['r', 'c']
    """
    came = list(events)
    shown = {
        event.id: (event.time, place)
        for place, event in enumerate(came)
        if isinstance(event, RankingShown)
    }

    def moment(place: int) -> tuple[int, int, bool, int, int]:
        event = came[place]
        own = event.time, place
        ranking = event.ranking if isinstance(event, Interaction) else ""
        at = max(own, shown.get(ranking, own))
        return (*at, at != own, *own)

    return [came[place] for place in sorted(range(len(came)), key=moment)]
