"""Metarank's events: a JSON object a line, or one that came over the network."""

from collections.abc import Mapping
from typing import Any

from mtspam.errors import DataError
from mtspam.search.events import (
    Event,
    FieldValue,
    Interaction,
    Item,
    RankingShown,
    ShownItem,
    Subject,
)
from mtspam.search.reading.values import field_value, grade_of, milliseconds, name_of

__all__ = ["event_of"]

_KINDS = "item, user, ranking or interaction"
_SCORES = ("score", "relevancy", "relevance")
"""Fields of a candidate that hold the host's score."""
_MOST_PLACES = 1 << 31


def event_of(record: object, place: str) -> Event:
    """Make an event of a decoded JSON object in Metarank's shape.

    Parameters
    ----------
    record
        With ``event``, ``id``, ``timestamp`` and what the kind of event has.
    place
        What an error names.

    Raises
    ------
    DataError
        Where something is missing or of a wrong type.

    Examples
    --------
    >>> event_of({"event": "item", "id": "1", "timestamp": "5", "item": "a"}, "here").time
    5
    """
    if not isinstance(record, Mapping):
        raise DataError(f"{place}: an event is an object, got {type(record).__name__}")
    kind = record.get("event")
    if kind not in {"item", "user", "ranking", "interaction"}:
        raise DataError(f"{place}: an event is of kind {_KINDS}, got {kind!r}")
    id_ = name_of(record, "id", place)
    time = milliseconds(record.get("timestamp"), place, knows_seconds=False)
    if kind == "ranking":
        return _ranking(record, id_, time, place)
    fields = _fields(record, place)
    if kind == "item":
        return Item(id=id_, time=time, item=name_of(record, "item", place), fields=fields)
    if kind == "user":
        return Subject(id=id_, time=time, user=name_of(record, "user", place), fields=fields)
    value = fields.get("value")
    return Interaction(
        id=id_,
        time=time,
        kind=name_of(record, "type", place),
        item=name_of(record, "item", place),
        ranking=name_of(record, "ranking", place, default=""),
        user=name_of(record, "user", place, default=""),
        session=name_of(record, "session", place, default=""),
        market=_market(record, place),
        value=float(value) if isinstance(value, float | int) else 1.0,
    )


def _ranking(record: Mapping[str, Any], id_: str, time: int, place: str) -> RankingShown:
    items = record.get("items")
    if not isinstance(items, list):
        raise DataError(f"{place}: a ranking has a list of items")
    fields = _fields(record, place)
    query = fields.pop("query", "")
    return RankingShown(
        id=id_,
        time=time,
        items=tuple(_shown(item, place) for item in items),
        query=query if isinstance(query, str) else "",
        user=name_of(record, "user", place, default=""),
        market=_market(record, place) or str(fields.get("market", "")),
        session=name_of(record, "session", place, default=""),
        fields=fields,
    )


def _market(record: Mapping[str, Any], place: str) -> str:
    own = name_of(record, "market", place, default="")
    return own or name_of(record, "tenant", place, default="")


def _shown(item: object, place: str) -> ShownItem:
    if not isinstance(item, Mapping):
        raise DataError(f"{place}: an item of a ranking is an object, got {type(item).__name__}")
    fields = _fields(item, place)
    score = next((fields[name] for name in _SCORES if name in fields), None)
    label = item.get("label")
    return ShownItem(
        name_of(item, "id", place),
        score=float(score) if isinstance(score, float | int) else float("nan"),
        fields=fields,
        label=grade_of(label, f"{place}: a label") if isinstance(label, float | int) else None,
        host_place=_host_place(item, place),
    )


def _host_place(item: Mapping[str, Any], place: str) -> int | None:
    """Return where the host had a candidate, which Metarank's own events do not tell."""
    given = item.get("host_place")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < _MOST_PLACES:
        raise DataError(
            f"{place}: host_place is {given!r}; it must be a whole number from 0, the first place"
        )
    return given


def _fields(record: Mapping[str, Any], place: str) -> dict[str, FieldValue]:
    listed = record.get("fields") or []
    if not isinstance(listed, list):
        raise DataError(f"{place}: fields are a list, got {type(listed).__name__}")
    found: dict[str, FieldValue] = {}
    for entry in listed:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise DataError(f"{place}: a field is an object with a name and a value")
        name = entry["name"]
        value = field_value(entry.get("value"), f"{place}: field {name!r}")
        if value is not None:
            found[name] = value
    return found
