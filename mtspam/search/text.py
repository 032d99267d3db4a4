"""Features of a query and the texts of its candidates, where nobody gives better ones."""

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import bm25s
import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.search.events import Event, FieldValue, Item, RankingShown, ShownItem
from mtspam.search.keys import key
from mtspam.search.reading.values import milliseconds

__all__ = [
    "AGE",
    "COLUMNS",
    "SPAM",
    "SpamScore",
    "TextMatcher",
    "query_crosses",
    "scored",
    "text_features",
    "text_of",
    "with_spam_scores",
    "with_text_features",
]

# On import it asks for debugging lines, one for each ranking; who logs says how much is logged.
logging.getLogger("bm25s").setLevel(logging.NOTSET)

AGE, SPAM = "text age", "spam_score"
COLUMNS = ("text bm25", "text share", "text phrase", "text length", AGE)

_WORD = re.compile(r"\w+")
_TIMES = ("published", "time", "date", "timestamp")
_DAY_MS = 86_400_000.0
_MOST_CROSSES = 64
_MOST_DOCUMENTS = 1_000_000
_LEAST_CHARACTERS = 64
"""Shorter texts are names and titles, of which a filter of mail can say nothing."""

SpamScore: TypeAlias = Callable[[str], float]
"""The log-odds that a text is spam, as a filter judges it."""


def text_features(
    ranking: RankingShown, fields: Sequence[Mapping[str, FieldValue]]
) -> NDArray[np.float32]:
    """Compare a query with its candidates' texts.

    Parameters
    ----------
    ranking
        The query and the moment it was asked at.
    fields
        What is known of each candidate; texts are joined, in the order of the fields.

    Returns
    -------
    NDArray
        Shape ``(n, len(COLUMNS))``: BM25 among these candidates; the share of the query's words
        that occur; whether they occur as one phrase; log of the number of words; log of the days
        since the first of `published`, `time`, `date` and `timestamp` that is a moment. NaN: not
        known.

    References
    ----------
    S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.

    Examples
    --------
    >>> from mtspam.search.events import ShownItem
    >>> asked = RankingShown(id="1", time=0, items=(ShownItem("a"), ShownItem("b")), query="red")
    >>> text_features(asked, [{"title": "a red car"}, {"title": "a blue car"}])[:, 1].tolist()
    [1.0, 0.0]
    """
    words = [_words(text_of(one)) for one in fields]
    query = _words(ranking.query)
    out = np.full((len(words), len(COLUMNS)), np.nan, np.float32)
    if query and any(words):
        out[:, 0] = _bm25(query, words)
        wanted = set(query)
        phrase = f" {' '.join(query)} "
        for row, own in enumerate(words):
            out[row, 1] = len(wanted.intersection(own)) / len(wanted)
            out[row, 2] = float(phrase in f" {' '.join(own)} ")
    for row, own in enumerate(words):
        out[row, 3] = math.log1p(len(own))
        out[row, 4] = _age(ranking.time, fields[row])
    return out


def with_text_features(
    ranking: RankingShown, fields: Sequence[Mapping[str, FieldValue]]
) -> RankingShown:
    """Give candidates what `text_features` says, unless they have numbers of their own.

    Parameters are those of `text_features`. Moments are no such numbers; with others, or without
    a query, it is only the age that is added.
    """
    if ranking.query and not any(map(_has_numbers, ranking.items)):
        return _wider(ranking, [_known(row) for row in text_features(ranking, fields).tolist()])
    if not any(name in one.fields for one in ranking.items for name in _TIMES):
        return ranking
    ages = [_age(ranking.time, one.fields) for one in ranking.items]
    return _wider(ranking, [{AGE: age} if age == age else {} for age in ages])  # noqa: PLR0124 - NaN alone differs from itself


def with_spam_scores(
    ranking: RankingShown, fields: Sequence[Mapping[str, FieldValue]], spam_score: SpamScore
) -> RankingShown:
    """Give candidates whose text is long enough the log-odds that it is spam, as `spam_score`.

    Only where one of them is above 0: where nothing is spam there is nothing to tell apart, and
    trees are as good without one feature more to choose from.

    Parameters
    ----------
    ranking
        A candidate that has such a number already keeps it.
    fields
        What the request says of each candidate.
    spam_score
        As a filter judges a text.

    References
    ----------
    Cormack, Smucker and Clarke, "Efficient and effective spam filtering and re-ranking for large
    web datasets", 2011: a document's spam score in its ranking.
    """
    scores = [_score_of(one, spam_score) for one in fields]
    is_any_spam = any(score > 0.0 for one in scores for score in one.values())
    return _wider(ranking, scores) if is_any_spam else ranking


def scored(event: Event, spam_score: SpamScore) -> Event:
    """Return an event with the `spam_score` of what it tells of documents.

    Of that alone: what was told of a document in another event has its score with it there.
    """
    if isinstance(event, RankingShown):
        return with_spam_scores(event, [one.fields for one in event.items], spam_score)
    if isinstance(event, Item):
        score = _score_of(event.fields, spam_score)
        is_spam = score.get(SPAM, 0.0) > 0.0
        return replace(event, fields={**score, **event.fields}) if is_spam else event
    return event


def _score_of(fields: Mapping[str, FieldValue], spam_score: SpamScore) -> dict[str, float]:
    # By the names of the fields, so that whoever tells of a document, its score is the same.
    names = sorted(name for name, value in fields.items() if type(value) is not float)
    text = text_of({name: fields[name] for name in names}) if names else ""
    if len(text) < _LEAST_CHARACTERS or SPAM in fields:
        return {}
    return {SPAM: spam_score(text)}


def _wider(
    ranking: RankingShown, more: Sequence[Mapping[str, FieldValue] | Mapping[str, float]]
) -> RankingShown:
    items = (
        replace(one, fields={**known, **one.fields}) if known else one
        for one, known in zip(ranking.items, more, strict=True)
    )
    return replace(ranking, items=tuple(items))


def _has_numbers(candidate: ShownItem) -> bool:
    """Say whether a host gave a candidate numbers other than moments and our own."""
    return any(
        isinstance(value, float | int) and name not in _TIMES and name != SPAM
        for name, value in candidate.fields.items()
    )


def _known(row: Sequence[float]) -> dict[str, FieldValue]:
    return {name: value for name, value in zip(COLUMNS, row, strict=True) if value == value}  # noqa: PLR0124 - NaN alone differs from itself


def _age(now: int, fields: Mapping[str, FieldValue]) -> float:
    """Return the log of the days since a document's moment, NaN where either is not known."""
    given = next((fields[name] for name in _TIMES if name in fields), None)
    if given is None or now <= 0:
        return math.nan
    try:
        moment = milliseconds(given, "")
    except (DataError, OverflowError):
        return math.nan
    return math.log1p(max(0.0, (now - moment) / _DAY_MS))


class TextMatcher:
    """Gives events what follows from texts: rankings text features, documents spam scores.

    What was told of documents before counts as text of theirs in the rankings that follow.

    Parameters
    ----------
    spam_score
        The log-odds that a text is spam; None: not asked.

    Examples
    --------
    >>> from mtspam.search.events import ShownItem
    >>> matcher = TextMatcher()
    >>> told = Item(id="1", time=0, item="a", fields={"title": "a red car"})
    >>> asked = RankingShown(id="2", time=1, items=(ShownItem("a"),), query="red")
    >>> [matcher.enriched(told) == told, matcher.enriched(asked).items[0].fields["text share"]]
    [True, 1.0]
    """

    def __init__(self, spam_score: SpamScore | None = None) -> None:
        self._spam_score = spam_score
        self._told: dict[str, Mapping[str, FieldValue]] = {}

    def enriched(self, event: Event) -> Event:
        """Return an event with what follows from its texts, where nobody gave it as a number."""
        if isinstance(event, Item):
            if event.item in self._told or len(self._told) < _MOST_DOCUMENTS:
                self._told[event.item] = event.fields
        elif isinstance(event, RankingShown):
            fields = [{**self._told.get(one.item, {}), **one.fields} for one in event.items]
            event = with_text_features(event, fields)
        return event if self._spam_score is None else scored(event, self._spam_score)


def query_crosses(query: str, text: str, secret: bytes = b"") -> NDArray[np.uint64]:
    """Return the hashes of pairs of a query's word and a text's, sorted, no pair twice.

    Examples
    --------
    >>> len(query_crosses("red car", "a blue car"))
    6
    """
    pairs = {(one, other) for one in _words(query) for other in _words(text)}
    chosen = sorted(pairs)[:_MOST_CROSSES]
    crosses = [key(f"{one}\0{other}", secret) for one, other in chosen]
    return np.unique(np.array(crosses, np.uint64))


def _bm25(query: list[str], words: list[list[str]]) -> NDArray[np.float32]:
    # An empty document would have no vocabulary of its own to be indexed by.
    index = bm25s.BM25()
    index.index([own or [""] for own in words], show_progress=False)
    known = [word for word in query if word in index.vocab_dict]
    if not known:
        return np.zeros(len(words), np.float32)
    return np.asarray(index.get_scores(known), np.float32)


def text_of(fields: Mapping[str, FieldValue]) -> str:
    """Return all texts among the fields of a document, in their order, a line each."""
    parts: list[str] = []
    for value in fields.values():
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, tuple):
            parts.extend(one for one in value if isinstance(one, str))
    return "\n".join(parts)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
