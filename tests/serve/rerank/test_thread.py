"""The thread that ranks: its limits, its turns, and that it recovers."""

import asyncio
import threading
from dataclasses import replace

import pytest

from mtspam.config import RankingSettings, RerankSettings, Settings
from mtspam.errors import DataError
from mtspam.ranking.reranker import Reranker
from mtspam.search.events import Interaction, RankingShown, ShownItem
from mtspam.serve.contract import BusyError, UnavailableError
from mtspam.serve.rerank.thread import RankerThread

SECONDS = 30
ITEMS = (ShownItem("birch"), ShownItem("cedar"))


def settings_with(**limits):
    return Settings(ranking=RankingSettings(residual_bits=8), rerank=RerankSettings(**limits))


def thread(tmp_path, **limits):
    return RankerThread(tmp_path / "state", settings_with(**limits))


def order(reranker):
    return reranker.rescore("q", ITEMS).order.tolist()


async def until(event):
    while not event.is_set():
        await asyncio.sleep(0.001)


def test_nothing_is_begun_before_it_is_asked(tmp_path):
    with thread(tmp_path) as ranker:
        before = threading.active_count()
        assert not (tmp_path / "state").exists()
        assert asyncio.run(ranker.ask(order)) == [0, 1]
        assert threading.active_count() == before + 1
        assert (tmp_path / "state" / "journal.sqlite").exists()
    assert threading.active_count() == before


def test_it_begins_early_where_trees_were_trained(tmp_path):
    with thread(tmp_path) as ranker:
        before = threading.active_count()
        ranker.begin()
        assert threading.active_count() == before
    n_items = 6
    events = []
    for search in range(60):
        matches = [float((place + search) % n_items) for place in range(n_items)]
        items = tuple(
            ShownItem(f"d{place}", fields={"match": it}) for place, it in enumerate(matches)
        )
        clicked = f"d{matches.index(max(matches))}"
        events += [
            RankingShown(id=f"r{search}", time=1_000 * search, items=items),
            Interaction(
                id=f"c{search}",
                time=1_000 * search + 1,
                kind="click",
                item=clicked,
                ranking=f"r{search}",
            ),
        ]
    with Reranker.open(tmp_path / "state", settings_with()) as reranker:
        reranker.feedback(events)
        reranker.train()
    with thread(tmp_path) as ranker:
        ranker.begin()
        assert threading.active_count() == before + 1
        assert asyncio.run(ranker.ask(lambda reranker: reranker.version)) == "0001"


def test_trees_that_cannot_be_read_are_no_end_of_it(tmp_path):
    damaged = tmp_path / "state" / "rank" / "0001" / "trunk.snapshot"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no snapshot")
    (damaged.parents[1] / "current").write_text("0001")
    with thread(tmp_path) as ranker:
        ranker.begin()
        with pytest.raises(UnavailableError, match="ranking cannot begin"):
            asyncio.run(ranker.ask(order))


def test_too_many_are_turned_away_at_once(tmp_path):
    async def main(ranker):
        begun, go = threading.Event(), threading.Event()

        def wait():
            begun.set()
            return go.wait(SECONDS)

        waiting = [asyncio.create_task(ranker.do(wait)) for _ in range(2)]
        await until(begun)
        with pytest.raises(BusyError, match="too many"):
            await ranker.do(lambda: None)
        go.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await ranker.do(lambda: 7) == 7

    with thread(tmp_path, max_waiting=2) as ranker:
        asyncio.run(main(ranker))


def test_lower_numbers_are_served_first(tmp_path):
    async def main(ranker):
        begun, go, served = threading.Event(), threading.Event(), []

        def wait():
            begun.set()
            go.wait(SECONDS)

        def serve(name):
            return lambda: served.append(name)

        first = asyncio.create_task(ranker.do(wait))
        await until(begun)
        others = [
            asyncio.create_task(ranker.do(serve(name), priority=priority))
            for name, priority in (("late", 9), ("b", 0), ("c", 0), ("soon", -1))
        ]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *others)
        assert served == ["soon", "b", "c", "late"]

    with thread(tmp_path) as ranker:
        asyncio.run(main(ranker))


def test_who_has_waited_too_long_is_told_and_not_served(tmp_path):
    async def main(ranker):
        begun, go, served = threading.Event(), threading.Event(), []

        def wait():
            begun.set()
            go.wait(SECONDS)

        slow = asyncio.create_task(ranker.do(wait))
        await until(begun)
        with pytest.raises(UnavailableError, match="too long"):
            await ranker.do(lambda: served.append("never"))
        with pytest.raises(UnavailableError, match="too long"):
            await slow
        go.set()
        await ranker.do(lambda: served.append("next"))
        assert served == ["next"]

    with thread(tmp_path, wait_seconds=0.2) as ranker:
        asyncio.run(main(ranker))


def test_a_state_that_cannot_be_opened_is_tried_again(tmp_path):
    state = tmp_path / "state"
    state.write_text("no directory")
    with thread(tmp_path) as ranker:
        with pytest.raises(UnavailableError, match="ranking cannot begin"):
            asyncio.run(ranker.ask(order))
        state.unlink()
        assert asyncio.run(ranker.ask(order)) == [0, 1]


def test_after_a_failure_it_begins_anew_and_after_a_refusal_it_goes_on(tmp_path):
    found = []

    def refuse(reranker):
        found.append(reranker)
        raise DataError("no")

    def fail(reranker):
        found.append(reranker)
        raise ZeroDivisionError

    with thread(tmp_path) as ranker:
        for work, problem in ((refuse, DataError), (fail, ZeroDivisionError), (refuse, DataError)):
            with pytest.raises(problem):
                asyncio.run(ranker.ask(work))
        assert found[0] is found[1]
        assert found[2] is not found[1]
        assert asyncio.run(ranker.ask(order)) == [0, 1]


def test_when_it_is_closed_nobody_is_served_and_nobody_waits(tmp_path):
    ranker = thread(tmp_path)
    asyncio.run(ranker.ask(order))
    ranker.close()
    ranker.close()
    with pytest.raises(UnavailableError, match="stopping"):
        asyncio.run(ranker.ask(order))


def test_limits_are_settings():
    with pytest.raises(ValueError, match="journal"):
        replace(RerankSettings(), journal="some")
