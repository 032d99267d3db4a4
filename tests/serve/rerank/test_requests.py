"""Requests and feedback as bytes: whatever comes is understood or refused, nothing else."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.config import RerankSettings
from mtspam.errors import DataError
from mtspam.journal.searchpacking import pack_event
from mtspam.ranking.records import Rescored
from mtspam.search.events import Interaction, Item
from mtspam.serve.rerank.answers import relevance, reply_of
from mtspam.serve.rerank.feedback import read_events
from mtspam.serve.rerank.requests import (
    UnknownModelError,
    fields_of,
    item_key,
    ranking_of,
    read_request,
)

LIMITS = RerankSettings()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["text", "id", "fields", "features"]
DOCUMENT = st.text(max_size=5) | st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4)
KEYS = ["model", "top_n", "id", "user", "market", "session", "fields", "explain", "host_scores"]
REQUEST = st.fixed_dictionaries(
    {"query": st.text(max_size=5), "documents": st.lists(DOCUMENT, max_size=4)},
    optional=dict.fromkeys(KEYS, ANYTHING),
)


def read(**said):
    return read_request(json.dumps({"query": "q", "documents": ["a"], **said}).encode(), LIMITS)


def ranking(**said):
    return ranking_of(read(**said), LIMITS, id_="r", now=5)


@given(st.binary(max_size=50) | REQUEST.map(lambda said: json.dumps(said).encode()))
@settings(max_examples=300, derandomize=True, database=None)
def test_a_request_is_understood_or_refused(body):
    try:
        request = read_request(body, LIMITS)
        made = ranking_of(request, LIMITS, id_="r", now=5)
    except DataError:
        return
    assert len(made.items) == len(request.documents)
    assert all(item.item for item in made.items)
    pack_event(made)  # what was understood can be journalled


@given(st.binary(max_size=50) | ANYTHING.map(lambda said: json.dumps(said).encode()))
@settings(max_examples=200, derandomize=True, database=None)
def test_feedback_is_understood_or_refused(body):
    try:
        events = read_events(body, LIMITS)
    except DataError:
        return
    assert events == []  # by chance nobody writes an event


def test_what_is_known_of_documents_is_kept_apart():
    documents = [
        {"text": "a", "fields": {"genre": ["x", "y"], "year": 1999, "none": None}},
        {"id": 7, "text": "b", "features": {"bm25": 2, "is_new": True}},
        "c",
    ]
    made = ranking(documents=documents, host_scores=[3, None, 1.5], fields={"device": "phone"})
    assert [item.item for item in made.items] == [item_key("a"), "7", item_key("c")]
    assert made.items[0].fields == {"genre": ("x", "y"), "year": 1999.0}
    assert made.items[1].fields == {"bm25": 2.0, "is_new": True}
    assert fields_of(documents[0]) == made.items[0].fields
    assert fields_of(documents[1]) == fields_of("c") == {}
    assert made.items[0].score == 3.0
    assert math.isnan(made.items[1].score)
    assert made.fields == {"device": "phone"}


def test_ids_of_the_list_count_before_those_of_documents():
    assert ranking(documents=[{"id": "x"}, "y"], ids=["a", ""]).items[0].item == "a"
    assert ranking(documents=[{"id": "x"}, "y"], ids=["a", ""]).items[1].item == item_key("y")


def test_a_document_without_text_is_known_by_what_it_has():
    one, same, other, bare = (
        {"fields": {"a": 1, "b": 2}, "features": {"x": 1}},
        {"features": {"x": 2}, "fields": {"b": 2, "a": 1}},
        {"fields": {"a": 2}},
        {},
    )
    names = [item.item for item in ranking(documents=[one, same, other, bare]).items]
    assert names[0] == names[1]
    assert len(set(names)) == 3


@pytest.mark.parametrize("model", ["mtspam", "rerank-v3.5", "rerank-multilingual-v3.0", None])
def test_models_that_clients_name_are_this_one(model):
    assert read(model=model).model == model


@pytest.mark.parametrize("model", ["", "gpt", "Rerank-v3", "mtspam2"])
def test_other_models_are_not_here(model):
    with pytest.raises(UnknownModelError, match="not found"):
        read(model=model)


def test_events_in_each_form():
    click = {"event": "interaction", "id": "1", "timestamp": "5", "type": "click", "item": "a",
             "ranking": "r", "user": "ana"}  # fmt: skip
    item = {"event": "item", "id": "2", "timestamp": 6, "item": "a",
            "fields": [{"name": "genre", "value": ["x"]}]}  # fmt: skip
    expected = [
        Interaction(id="1", time=5, kind="click", item="a", ranking="r", user="ana"),
        Item(id="2", time=6, item="a", fields={"genre": ("x",)}),
    ]
    assert read_events(json.dumps(click).encode(), LIMITS) == expected[:1]
    assert read_events(json.dumps([click, item]).encode(), LIMITS) == expected
    lines = f"{json.dumps(click)}\r\n\n{json.dumps(item)}\n".encode()
    assert read_events(lines, LIMITS) == expected


@pytest.mark.parametrize("moment", [1 << 54, str(-(1 << 54)), 1e300])
def test_a_moment_beyond_all_dates_is_refused(moment):
    event = {"event": "item", "id": "2", "timestamp": moment, "item": "a"}
    with pytest.raises(DataError, match=r"event 0: .* is no moment"):
        read_events(json.dumps(event).encode(), LIMITS)


def test_a_wide_ranking_is_refused():
    shown = [{"id": str(n), "fields": [{"name": f"f{n}", "value": 1.0}]} for n in range(2_000)]
    event = {"event": "ranking", "id": "1", "timestamp": 5, "items": shown}
    with pytest.raises(DataError, match="too many fields"):
        read_events(json.dumps(event).encode(), LIMITS)


def rescored(scores, order):
    n = len(scores)
    return Rescored(scores=np.array(scores), order=np.array(order), propensities=np.ones(n))


def test_relevance_falls_within_its_bounds():
    figures = relevance(rescored([-1e9, 0.0, np.inf, 1e9, np.nan], range(5)))
    assert figures.min() >= 0.0
    assert figures.max() <= 1.0
    assert np.isfinite(figures).all()
    assert (np.diff(figures) <= 0).all()


def test_a_swap_that_explores_stays_when_clients_sort():
    request = read(documents=["a", "b", "c"])
    made = ranking(documents=["a", "b", "c"])
    reply = reply_of(request, made, rescored([3.0, 2.0, 1.0], [1, 0, 2]), protocol=2, warning=None)
    again = sorted(reply.results, key=lambda one: one.relevance_score, reverse=True)
    assert [one.index for one in again] == [1, 0, 2]
