"""Metarank's events: a JSON object a line, or one that came over the network."""

from collections.abc import Mapping
from datetime import UTC, datetime
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

__all__ = ["event_of"]

_KINDS = "item, user, ranking or interaction"
_SCORES = ("score", "relevancy", "relevance")
"""Fields of a candidate that hold the host's score."""


def event_of(record: object) -> Event:
    """Make an event of a decoded JSON object in Metarank's shape.

    Parameters
    ----------
    record
        With ``event``, ``id``, ``timestamp`` and what the kind of event has.

    Raises
    ------
    DataError
        Where something is missing or of a wrong type.

    Examples
    --------
    >>> event_of({"event": "item", "id": "1", "timestamp": "5", "item": "a"}).time
    5
    """
    if not isinstance(record, Mapping):
        raise DataError(f"an event is an object, got {type(record).__name__}")
    kind = record.get("event")
    id_, time = _text(record, "id"), _time(record.get("timestamp"))
    if kind == "item":
        return Item(id=id_, time=time, item=_text(record, "item"), fields=_fields(record))
    if kind == "user":
        return Subject(id=id_, time=time, user=_text(record, "user"), fields=_fields(record))
    if kind == "ranking":
        return _ranking(record, id_, time)
    if kind == "interaction":
        return Interaction(
            id=id_,
            time=time,
            kind=_text(record, "type"),
            item=_text(record, "item"),
            ranking=_text(record, "ranking", ""),
            user=_text(record, "user", ""),
            session=_text(record, "session", ""),
            market=_text(record, "market", "") or _text(record, "tenant", ""),
            value=_value(_fields(record)),
        )
    raise DataError(f"an event is of kind {_KINDS}, got {kind!r}")


def _ranking(record: Mapping[str, Any], id_: str, time: int) -> RankingShown:
    items = record.get("items")
    if not isinstance(items, list):
        raise DataError("a ranking has a list of items")
    fields = _fields(record)
    query = fields.pop("query", "")
    market = _text(record, "market", "") or _text(record, "tenant", "")
    return RankingShown(
        id=id_,
        time=time,
        items=tuple(_shown(item) for item in items),
        query=query if isinstance(query, str) else "",
        user=_text(record, "user", ""),
        market=market or str(fields.get("market", "")),
        session=_text(record, "session", ""),
        fields=fields,
    )


def _shown(item: object) -> ShownItem:
    if not isinstance(item, Mapping):
        raise DataError(f"an item of a ranking is an object, got {type(item).__name__}")
    fields = _fields(item)
    score = next((fields[name] for name in _SCORES if name in fields), None)
    label = item.get("label")
    return ShownItem(
        _text(item, "id"),
        score=float(score) if isinstance(score, float | int) else float("nan"),
        fields=fields,
        label=float(label) if isinstance(label, float | int) else None,
    )


def _fields(record: Mapping[str, Any]) -> dict[str, FieldValue]:
    listed = record.get("fields") or []
    if not isinstance(listed, list):
        raise DataError(f"fields are a list, got {type(listed).__name__}")
    found: dict[str, FieldValue] = {}
    for entry in listed:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise DataError("a field is an object with a name and a value")
        value = entry.get("value")
        if value is not None:
            found[entry["name"]] = _field_value(entry["name"], value)
    return found


def _field_value(name: str, value: object) -> FieldValue:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, float | int):
        return float(value)
    if isinstance(value, list):
        if all(isinstance(one, str) for one in value):
            return tuple(value)
        if all(isinstance(one, float | int) for one in value):
            return tuple(float(one) for one in value)
    raise DataError(
        f"field {name!r} must hold a boolean, text, a number or a list of texts or numbers"
    )


def _value(fields: Mapping[str, FieldValue]) -> float:
    value = fields.get("value", 1.0)
    return float(value) if isinstance(value, float | int) else 1.0


def _text(record: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = record.get(name, default)
    if value is None and default is not None:
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{name!r} must be text, got {value!r}")
    return value


def _time(value: object) -> int:
    """Read a moment: milliseconds as a number or as digits, or a date in ISO 8601."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if value.lstrip("-").isdigit():
            return int(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise DataError(f"timestamp {value!r} is neither milliseconds nor a date") from error
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    raise DataError(f"timestamp must be milliseconds or a date, got {value!r}")
