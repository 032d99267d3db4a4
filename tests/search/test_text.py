"""Features of texts: BM25, matches, age, spam; hashed pairs of words."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest

from mtspam.search.events import Item, RankingShown, ShownItem
from mtspam.search.text import (
    AGE,
    COLUMNS,
    SPAM,
    TextMatcher,
    query_crosses,
    scored,
    text_features,
    with_spam_scores,
    with_text_features,
)

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


@pytest.mark.parametrize(
    "published", [1_714_521_600_000.0, 1_714_521_600, "1714521600000", "2024-05-01"]
)
def test_age_is_a_feature_where_a_moment_is_known(published) -> None:
    asked = replace(_asked("a", 3), time=1_714_521_600_000 + 3 * _DAY)
    fields = [{"title": "a", "published": published}, {"date": "soon"}, {"title": "a"}]
    age = text_features(asked, fields)[:, COLUMNS.index(AGE)]
    assert age[0] == np.float32(math.log(4.0))
    assert np.isnan(age[1:]).all()


def test_moments_are_no_numbers_of_the_hosts_own() -> None:
    moment = {"published": 9.5e12, "title": "red car"}
    asked = replace(_asked("red", 1), time=10**13, items=(ShownItem("a", fields=moment),))
    bare = with_text_features(asked, [moment]).items[0].fields
    assert bare.keys() == {*moment, *COLUMNS}
    priced = replace(asked, items=(ShownItem("a", fields={**moment, "price": 3.0}),))
    known = with_text_features(priced, [moment]).items[0].fields
    assert known.keys() == {*moment, "price", AGE}
    assert known[AGE] == pytest.approx(bare[AGE])
    timeless = replace(priced, time=0)
    assert with_text_features(timeless, [moment]) == timeless


def test_spam_scores_of_long_texts_alone_and_only_where_there_is_none() -> None:
    spam, short = "x" * 80, "x"
    fields = [{"text": spam}, {"text": short}, {"text": spam, SPAM: -1.0}]
    items = tuple(ShownItem(str(n), fields=one) for n, one in enumerate(fields))
    asked = replace(_asked("", 3), items=items)
    found = with_spam_scores(asked, fields, lambda _: 3.0)
    assert [one.fields.get(SPAM) for one in found.items] == [3.0, None, -1.0]
    assert with_spam_scores(asked, fields, lambda _: 0.0) == asked
    mixed = with_spam_scores(
        replace(asked, items=items[:2]),
        [{"text": spam}, {"text": spam * 2}],
        lambda t: len(t) - 80,
    )
    assert [one.fields[SPAM] for one in mixed.items] == [0, 80]
    assert (
        SPAM not in scored(Item(id="i", time=0, item="a", fields=fields[0]), lambda _: 0.0).fields
    )
    texts = []
    twisted = [{"b": spam, "a": short}, {"a": short, "b": spam}, {}]
    with_spam_scores(asked, twisted, lambda text: texts.append(text) or 0.0)
    assert texts[0] == texts[1]
    matcher = TextMatcher(lambda _: 3.0)
    assert matcher.enriched(asked) == found
    told = [Item(id="i", time=0, item="a", fields=one) for one in fields]
    assert [matcher.enriched(one).fields.get(SPAM) for one in told] == [3.0, None, -1.0]


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
