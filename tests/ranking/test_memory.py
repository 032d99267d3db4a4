"""What is known of documents, as features and as hashes."""

import numpy as np
import pytest

from mtspam.config import RankingSettings, Settings
from mtspam.config.history import HistorySettings
from mtspam.ranking.memory import HOST_PLACE, HOST_SCORE, Memory
from mtspam.search.events import Interaction, Item, RankingShown, ShownItem
from mtspam.search.history import History

COLUMNS = (HOST_PLACE, HOST_SCORE, "price", "match", "day", "absent")


@pytest.fixture
def settings():
    return Settings(history=HistorySettings(items=16, users=16, counter_bits=10, pair_bits=10))


@pytest.fixture
def memory():
    return Memory(RankingSettings(pending_rankings=2), bytes(32))


def item(n, name, **fields):
    return Item(id=f"i{n}", time=n, item=name, fields=fields)


def ranking(*items, **more):
    return RankingShown(id=more.pop("id", "r"), time=9, items=items, **more)


def test_features_come_from_document_candidate_and_request(memory):
    memory.observe(item(1, "a", price=2.5, genre="war"))
    shown = ranking(
        ShownItem("a", 7.0, {"match": 1}), ShownItem("b", 6.0, {"match": True, "x": 1.0}),
        fields={"day": 3.0, "word": "monday"},
    )  # fmt: skip
    nan = float("nan")
    expected = [[0, 7, 2.5, 1, 3, nan], [1, 6, nan, 1, 3, nan]]
    assert np.array_equal(memory.values(shown, COLUMNS), np.float32(expected), equal_nan=True)
    assert memory.names_of(shown) == (HOST_PLACE, HOST_SCORE, "day", "price", "match", "x")


def test_a_candidates_own_number_comes_before_the_documents(memory):
    memory.observe(item(1, "a", price=2.5))
    shown = ranking(ShownItem("a", 0.0, {"price": 9.0}))
    assert memory.values(shown, ("price",)).tolist() == [[9.0]]
    assert memory.names_of(shown) == (HOST_PLACE, HOST_SCORE, "price")


def test_news_of_documents_show_at_once(memory):
    both = ranking(ShownItem("a"), ShownItem("b"))
    memory.observe(item(1, "a", price=1.0))
    assert memory.values(both, ("price",))[0].tolist() == [1.0]
    memory.observe(item(2, "a", price=2.0))
    memory.observe(item(3, "b", price=3.0))
    assert memory.values(both, ("price",)).tolist() == [[2.0], [3.0]]
    memory.observe(item(4, "b", price=3.0, size=5.0))
    assert memory.values(both, ("size",))[1].tolist() == [5.0]
    for n in range(5, 3000):
        memory.observe(item(n, f"d{n}", size=float(n)))
    many = ranking(*(ShownItem(f"d{n}") for n in range(5, 3000)))
    assert memory.values(many, ("size",))[:, 0].tolist() == list(range(5, 3000))


def test_a_version_may_know_some_columns_of_history_only():
    memory = Memory(RankingSettings(), bytes(32), History())
    for n in range(4):
        memory.observe(ranking(ShownItem("a"), ShownItem("b"), id=f"r{n}"))
        memory.observe(
            Interaction(id=f"c{n}", time=9, kind="click", item="b", ranking=f"r{n}", user="ana")
        )
    every = History.columns
    whole = memory.values(ranking(ShownItem("a"), ShownItem("b")), (HOST_PLACE, *every))
    some = (every[3], HOST_PLACE, every[0], every[8], "absent")
    found = memory.values(ranking(ShownItem("a"), ShownItem("b")), some)
    assert np.array_equal(found[:, :4], whole[:, [4, 0, 1, 9]], equal_nan=True)
    assert found[1, 2] > found[0, 2]
    none = memory.values(ranking(ShownItem("a")), (HOST_PLACE,))
    assert none.tolist() == [[0.0]]


def test_hashes_by_document_fields_query_and_leaves(memory):
    memory.observe(item(1, "a", genre="war", tags=("x", "y")))
    shown = ranking(ShownItem("a"), ShownItem("b"), query="Q")
    leaves = np.array([[1, 2], [1, 3]], np.int32)
    hashes, offsets = memory.hashes(shown, leaves)
    assert offsets.tolist() == [0, 7, 11]  # three fields, document, query with it, two leaves
    first, second = set(hashes[:7].tolist()), set(hashes[7:].tolist())
    assert len(first & second) == 1  # the leaf that both are in
    again, _ = memory.hashes(ranking(ShownItem("b"), query="q"), leaves[1:])
    assert set(again.tolist()) == second
    other = Memory(RankingSettings(), bytes(31) + b"1")
    assert not set(other.hashes(shown, None)[0].tolist()) & (first | second)


def test_documents_that_are_only_asked_about_take_no_room(memory):
    before = len(memory._pool), len(memory._documents)
    for n in range(2000):
        memory.hashes(ranking(ShownItem(f"d{n}")), None)
        memory.values(ranking(ShownItem(f"d{n}")), COLUMNS)
    assert (len(memory._pool), len(memory._documents)) == before


def test_deeds_are_counted_and_rankings_wait_in_turn(memory):
    for n in range(3):
        memory.observe(ranking(ShownItem("a"), id=f"r{n}", user="ana"))
    assert list(memory.pending) == ["r1", "r2"]
    for n, (shown, user, kind) in enumerate(
        [
            ("r2", "", "click"),
            ("r9", "bo", "click"),
            ("r2", "", "look"),
            ("r2", "", "impression"),
            ("", "cy", "impression"),
        ]
    ):
        memory.observe(
            Interaction(id=f"{n}", time=1, kind=kind, item="a", ranking=shown, user=user)
        )
    assert (memory.n_deeds("ana"), memory.n_deeds("bo"), memory.n_deeds("cy")) == (2, 1, 0)


def test_what_else_people_do_makes_columns_where_anybody_did_it(settings):
    memory = Memory(settings.ranking, bytes(32), History(settings.history))
    shown = ranking(ShownItem("a"), ShownItem("b"), user="ana")
    before = memory.names_of(shown)
    memory.observe(Interaction(id="c", time=1, kind="click", item="b", user="ana"))
    memory.observe(Interaction(id="i", time=1, kind="impression", item="b", user="ana"))
    assert memory.names_of(shown) == before
    memory.observe(Interaction(id="v", time=2, kind="view", item="b", user="ana"))
    assert memory.names_of(shown) == (*before, *History.act_columns)
    values = memory.values(shown, memory.names_of(shown))
    np.testing.assert_array_equal(values[:, len(before) :], memory.history.read_acts(shown))


def test_a_ranking_without_candidates(memory):
    assert memory.values(ranking(), COLUMNS).shape == (0, len(COLUMNS))
    assert memory.hashes(ranking(), None)[1].tolist() == [0]
