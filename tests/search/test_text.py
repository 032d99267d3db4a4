"""Features of texts: BM25, matches, age, spam; hashed pairs of words."""

import logging
import math

import numpy as np

from mtspam.search.events import RankingShown, ShownItem
from mtspam.search.text import COLUMNS, query_crosses, text_features

_DAY = 86_400_000


def _asked(query: str, n: int) -> RankingShown:
    items = tuple(ShownItem(str(k)) for k in range(n))
    return RankingShown(id="r", time=10 * _DAY, items=items, query=query)


def test_the_rarer_word_and_the_phrase_count_more() -> None:
    fields = [{"title": "red car"}, {"title": "blue car"}, {"title": "car red"}, {"title": ""}]
    found = text_features(_asked("red car", 4), fields)
    bm25, share, phrase = found[:, 0], found[:, 1], found[:, 2]
    assert bm25[0] > bm25[1] > bm25[3] == 0.0
    assert share.tolist() == [1.0, 0.5, 1.0, 0.0]
    assert phrase.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_age_and_spam_are_features_where_they_are_known() -> None:
    fields = [{"title": "a", "published": 7.0 * _DAY}, {"title": "b"}]
    found = text_features(_asked("", 2), fields, spam_score=lambda text: 3.0 * (text == "b"))
    age, spam = (found[:, COLUMNS.index(name)] for name in ("text age", "text spam"))
    assert age[0] == np.float32(math.log(4.0))
    assert np.isnan(age[1])
    assert spam.tolist() == [0.0, 3.0]
    assert np.isnan(text_features(_asked("", 2), fields)[:, 5]).all()


def test_a_query_of_unknown_words_matches_nothing() -> None:
    found = text_features(_asked("xyzzy", 1), [{"title": "red car"}])
    assert found[0, :3].tolist() == [0.0, 0.0, 0.0]


def test_crosses_depend_on_both_sides_and_the_secret() -> None:
    one = query_crosses("red", "car")
    assert one.size == 1
    assert one != query_crosses("red", "bus")
    assert one != query_crosses("blue", "car")
    assert one != query_crosses("red", "car", b"secret")


def test_the_index_logs_no_more_than_the_root_asks_for():
    assert logging.getLogger("bm25s").getEffectiveLevel() == logging.getLogger().level
