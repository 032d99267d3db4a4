"""Features of a query and the texts of its candidates, where nobody gives better ones."""

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import bm25s
import numpy as np
from numpy.typing import NDArray

from mtspam.search.events import Event, FieldValue, Item, RankingShown
from mtspam.search.keys import key

__all__ = ["COLUMNS", "TextMatcher", "query_crosses", "text_features", "with_text_features"]

# On import it asks for debugging lines, one for each ranking; who logs says how much is logged.
logging.getLogger("bm25s").setLevel(logging.NOTSET)

COLUMNS = ("text bm25", "text share", "text phrase", "text length", "text age", "text spam")

_WORD = re.compile(r"\w+")
_TIMES = ("published", "time", "date", "timestamp")
_DAY_MS = 86_400_000.0
_MOST_CROSSES = 64
_MOST_DOCUMENTS = 1_000_000


def text_features(
    ranking: RankingShown,
    fields: Sequence[Mapping[str, FieldValue]],
    *,
    spam_score: Callable[[str], float] | None = None,
) -> NDArray[np.float32]:
    """Compare a query with its candidates' texts.

    Parameters
    ----------
    ranking
        The query and the moment it was asked at.
    fields
        What is known of each candidate; texts are joined, in the order of the fields.
    spam_score
        The log-odds that a text is spam, as a filter judges it; None: the column is missing.

    Returns
    -------
    NDArray
        Shape ``(n, len(COLUMNS))``: BM25 among these candidates; the share of the query's words
        that occur; whether they occur as one phrase; log of the number of words; log of the days
        since the first of `published`, `time`, `date` and `timestamp` that is a number of
        milliseconds; the spam score. NaN: not known.

    References
    ----------
    S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
    Cormack, Smucker and Clarke, "Efficient and effective spam filtering and re-ranking for large
    web datasets", 2011: a document's spam score in its ranking.

    Examples
    --------
    >>> from mtspam.search.events import ShownItem
    >>> asked = RankingShown(id="1", time=0, items=(ShownItem("a"), ShownItem("b")), query="red")
    >>> text_features(asked, [{"title": "a red car"}, {"title": "a blue car"}])[:, 1].tolist()
    [1.0, 0.0]
    """
    texts = [_text(one) for one in fields]
    words = [_words(text) for text in texts]
    query = _words(ranking.query)
    out = np.full((len(texts), len(COLUMNS)), np.nan, np.float32)
    if query and any(words):
        out[:, 0] = _bm25(query, words)
        wanted = set(query)
        phrase = f" {' '.join(query)} "
        for row, own in enumerate(words):
            out[row, 1] = len(wanted.intersection(own)) / len(wanted)
            out[row, 2] = float(phrase in f" {' '.join(own)} ")
    for row, own in enumerate(words):
        out[row, 3] = math.log1p(len(own))
        moment = next((fields[row][name] for name in _TIMES if name in fields[row]), None)
        if isinstance(moment, float | int):
            out[row, 4] = math.log1p(max(0.0, (ranking.time - moment) / _DAY_MS))
        if spam_score is not None:
            out[row, 5] = spam_score(texts[row])
    return out


def with_text_features(
    ranking: RankingShown,
    fields: Sequence[Mapping[str, FieldValue]],
    *,
    spam_score: Callable[[str], float] | None = None,
) -> RankingShown:
    """Give candidates what `text_features` says, unless they have numbers of their own.

    Parameters and references are those of `text_features`; a ranking without a query stays as it
    is.
    """
    has_numbers = any(
        isinstance(value, float | int) for one in ranking.items for value in one.fields.values()
    )
    if has_numbers or not ranking.query:
        return ranking
    found = text_features(ranking, fields, spam_score=spam_score)
    items = (
        replace(one, fields={**one.fields, **_known(row)})
        for one, row in zip(ranking.items, found.tolist(), strict=True)
    )
    return replace(ranking, items=tuple(items))


def _known(row: Sequence[float]) -> dict[str, float]:
    return {name: value for name, value in zip(COLUMNS, row, strict=True) if value == value}  # noqa: PLR0124 - NaN alone differs from itself


class TextMatcher:
    """Gives rankings among events their text features, from what was told of documents before.

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

    def __init__(self, spam_score: Callable[[str], float] | None = None) -> None:
        self._spam_score = spam_score
        self._told: dict[str, Mapping[str, FieldValue]] = {}

    def enriched(self, event: Event) -> Event:
        """Return an event, a ranking with text features where nobody gave it numbers."""
        if isinstance(event, Item):
            if event.item in self._told or len(self._told) < _MOST_DOCUMENTS:
                self._told[event.item] = event.fields
        elif isinstance(event, RankingShown) and event.query:
            fields = [{**self._told.get(one.item, {}), **one.fields} for one in event.items]
            return with_text_features(event, fields, spam_score=self._spam_score)
        return event


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


def _text(fields: Mapping[str, FieldValue]) -> str:
    parts: list[str] = []
    for value in fields.values():
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, tuple):
            parts.extend(one for one in value if isinstance(one, str))
    return "\n".join(parts)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
