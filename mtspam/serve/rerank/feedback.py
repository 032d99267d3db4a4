"""Feedback over the network: events in Metarank's shape, one, a list, or one a line. No HTTP."""

from typing import Any

import msgspec

from mtspam.config import RerankSettings
from mtspam.errors import DataError
from mtspam.search.events import Event, RankingShown
from mtspam.search.reading.metarank import event_of
from mtspam.search.text import SpamScore, scored

__all__ = ["read_events"]


def read_events(
    body: bytes, settings: RerankSettings, spam_score: SpamScore | None = None
) -> list[Event]:
    """Read the events of a request.

    Parameters
    ----------
    body
        JSON.
    settings
        Limits.
    spam_score
        The log-odds that a text is spam, which documents then have as a field; None: not asked.

    Raises
    ------
    DataError
        Where one is malformed, or there are too many.
    """
    records = _records(body)
    if len(records) > settings.max_documents:
        raise DataError(
            f"{len(records)} events, but at most {settings.max_documents} are taken at once"
        )
    events: list[Event] = []
    n_values = 0
    for place, record in enumerate(records):
        event = event_of(record, f"event {place}")
        if isinstance(event, RankingShown):
            if len(event.items) > settings.max_documents:
                raise DataError(
                    f"event {place}: {len(event.items)} items, but at most "
                    f"{settings.max_documents} are taken"
                )
            names = {name for item in event.items for name in item.fields}
            n_values += len(names) * len(event.items)
            if n_values > settings.max_values:
                raise DataError(
                    f"event {place}: too many fields: items times their names may be "
                    f"{settings.max_values} at most"
                )
        events.append(event if spam_score is None else scored(event, spam_score))
    return events


def _records(body: bytes) -> list[Any]:
    try:
        try:
            decoded = msgspec.json.decode(body)
        except msgspec.DecodeError:
            lines = [line for line in body.splitlines() if line.strip()]
            if len(lines) < 2:  # noqa: PLR2004 - a single line is what was just refused
                raise
            decoded = [msgspec.json.decode(line) for line in lines]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise DataError(f"the body is no JSON: {problem}") from problem
    return decoded if isinstance(decoded, list) else [decoded]
