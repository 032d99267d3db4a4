"""User behaviour insights (UBI), as OpenSearch keeps them: queries, and what people did."""

from collections.abc import Mapping
from typing import Any

from mtspam.errors import DataError
from mtspam.search.events import Event, Interaction, RankingShown, ShownItem
from mtspam.search.reading.values import milliseconds, name_of, number_of

__all__ = ["is_ubi", "ubi_event"]

_KINDS = {
    "item_click": "click",
    "click_through": "click",
    "result_click": "click",
    "product_click": "click",
    "purchase": "conversion",
    "product_purchase": "conversion",
}
"""Names that the specification and its examples give to what others call click and conversion."""


def is_ubi(record: Mapping[str, Any]) -> bool:
    """Say whether a record is one of UBI: a query with its hits, or an action."""
    return "action_name" in record or "query_response_hit_ids" in record


def ubi_event(record: Mapping[str, Any], place: str) -> Event:
    """Turn one record of ``ubi_queries`` or ``ubi_events`` into an event.

    Raises
    ------
    DataError
        If something is missing or wrong.

    Examples
    --------
    >>> ubi_event({"action_name": "item_click", "query_id": "q1", "client_id": "ana",
    ...            "timestamp": "2024-05-01T10:00:00Z",
    ...            "event_attributes": {"object": {"object_id": "42"}}}, "here").kind
    'click'
    """
    if "action_name" in record:
        return _action(record, place)
    hits = record.get("query_response_hit_ids")
    if not isinstance(hits, list):
        raise DataError(f"{place}: query_response_hit_ids is {hits!r}, but must be a list")
    return RankingShown(
        id=name_of(record, "query_id", place),
        time=milliseconds(record.get("timestamp"), place),
        items=tuple(ShownItem(name_of({"hit": hit}, "hit", place)) for hit in hits),
        query=name_of(record, "user_query", place, default=""),
        user=name_of(record, "client_id", place, default=""),
        session=name_of(record, "session_id", place, default=""),
    )


def _action(record: Mapping[str, Any], place: str) -> Event:
    attributes = _part(record, "event_attributes", place)
    about = _part(attributes, "object", place)
    kind = name_of(record, "action_name", place)
    user = name_of(record, "client_id", place, default="")
    ranking = name_of(record, "query_id", place, default="")
    item = name_of(about, "object_id", place)
    time = milliseconds(record.get("timestamp"), place)
    return Interaction(
        # UBI gives actions no id: the same action of the same moment is one.
        id=name_of(record, "event_id", place, default=f"{ranking}/{kind}/{item}/{user}/{time}"),
        time=time,
        kind=_KINDS.get(kind, kind),
        item=item,
        ranking=ranking,
        user=user,
        session=name_of(attributes, "session_id", place, default=""),
        value=number_of(attributes, "value", place, default=1.0),
    )


def _part(record: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    part = record.get(key, {})
    if not isinstance(part, Mapping):
        raise DataError(f"{place}: {key!r} is {part!r}, but must be an object")
    return part
