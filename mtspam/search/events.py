"""What a search tells of: items, rankings shown, what people did with them, judgements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "Event",
    "FieldValue",
    "Interaction",
    "Item",
    "Judgement",
    "RankingShown",
    "ShownItem",
    "Subject",
]

FieldValue: TypeAlias = bool | float | str | tuple[str, ...] | tuple[float, ...]
"""What a field of an item, of a ranking or of a user may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A document and its fields, as they are from `time` on.

    Parameters
    ----------
    id
        Of the event; the same id twice is one event.
    time
        Milliseconds since 1970.
    item
        The document's own id.
    fields
        Values by name.
    """

    id: str
    time: int
    item: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is known of a user, as it is from `time` on."""

    id: str
    time: int
    user: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One candidate of a ranking.

    Parameters
    ----------
    item
        The document's id.
    score
        The host's score; not a number where it gave none.
    fields
        Features of the pair of query and document.
    label
        A judgement known from the start, as files for learning to rank have; None: none.
    host_place
        Its place in the host's order, the first is 0, where it was shown at another one; None: it
        was shown where the host had it.
    """

    item: str
    score: float = float("nan")
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    label: float | None = None
    host_place: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingShown:
    """Candidates in the order in which they were shown, which need not be the host's.

    Parameters
    ----------
    id
        Interactions name it; the same id twice is one event.
    time
        Milliseconds since 1970.
    items
        First ones first.
    query
        Its text, empty where there is none.
    user, market, session
        Empty where not known.
    fields
        Features of the request.

    Examples
    --------
    >>> swapped = ShownItem("b", host_place=1), ShownItem("a", host_place=0), ShownItem("c")
    >>> RankingShown(id="1", time=0, items=swapped).host_places
    (1, 0, 2)
    """

    id: str
    time: int
    items: tuple[ShownItem, ...]
    query: str = ""
    user: str = ""
    market: str = ""
    session: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    @property
    def host_places(self) -> tuple[int, ...]:
        """The place of each candidate in the host's order."""
        return tuple(
            place if one.host_place is None else one.host_place
            for place, one in enumerate(self.items)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """Something a user did with a document.

    Parameters
    ----------
    kind
        ``click``, ``conversion`` or any other name.
    ranking
        Id of the ranking in which it was shown; empty where not known.
    value
        How much of it: seconds of dwelling, a price, stars.
    """

    id: str
    time: int
    kind: str
    item: str
    ranking: str = ""
    user: str = ""
    session: str = ""
    market: str = ""
    value: float = 1.0

    @property
    def is_done(self) -> bool:
        """Whether the user did something: an impression is what was done to them."""
        return self.kind != "impression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How well a document answers a query, by somebody's judgement: a grade of 0 or more."""

    id: str
    time: int
    query: str
    item: str
    grade: float
    user: str = ""
    market: str = ""


Event: TypeAlias = Item | Subject | RankingShown | Interaction | Judgement
