"""What waits is written together, acknowledged only then, and nobody's fault is another's."""

import asyncio
import threading

import pytest

from mtspam.config import Settings
from mtspam.errors import DataError
from mtspam.journal.search import SearchJournal
from mtspam.search.events import Interaction, Item
from mtspam.serve.contract import UnavailableError
from mtspam.serve.rerank.journalling import Journalling
from mtspam.serve.rerank.thread import RankerThread
from mtspam.state import StateDirectory

SECONDS = 20.0


def click(n):
    return Interaction(id=f"c{n}", time=n, kind="click", item="a")


async def held_up(thread, journalling, requests):
    """Let requests come while the thread is busy, and return what each is told."""
    go = threading.Event()
    busy = asyncio.create_task(thread.do(lambda: go.wait(SECONDS)))
    asked = [asyncio.create_task(journalling.append(one, list)) for one in requests]
    await asyncio.sleep(0)  # all of them are in the queue
    go.set()
    await busy
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.fixture
def thread(tmp_path):
    with RankerThread(tmp_path / "state", Settings()) as made:
        yield made


def written(tmp_path):
    state = StateDirectory(tmp_path / "state")
    with SearchJournal.open(state.journal, state.secret(), read_only=True) as journal:
        return [event.time for _, event in journal.events(by_time=False)]


def n_transactions(thread, monkeypatch):
    """Count how often the disk is waited for."""
    found = []
    append = SearchJournal.append_each
    monkeypatch.setattr(
        SearchJournal, "append_each", lambda *args: found.append(1) or append(*args)
    )
    return found


def test_what_waits_is_written_at_once(thread, tmp_path, monkeypatch):
    counted = n_transactions(thread, monkeypatch)
    requests = [[[click(n)], [click(n), click(n + 10)]] for n in range(8)]
    told = asyncio.run(held_up(thread, Journalling(thread), requests))
    assert told == [[1, 1]] * 8
    assert len(counted) == 1
    assert sorted(written(tmp_path)) == sorted([*range(8), *range(10, 18)])


def test_one_that_cannot_be_stored_is_refused_alone(thread, tmp_path):
    bad = Item(id="i", time=3, item="a", fields={"price": float("inf")})
    requests = [[[click(0)]], [[click(1)], [bad]], [[click(2)]]]
    told = asyncio.run(held_up(thread, Journalling(thread), requests))
    assert (told[0], told[2]) == ([1], [1])
    assert isinstance(told[1], DataError)
    assert written(tmp_path) == [0, 2]


def test_without_a_disk_nobody_is_told_that_it_was_written(thread, tmp_path, monkeypatch):
    journalling = Journalling(thread)
    assert asyncio.run(journalling.append([[click(0)]], list)) == [1]

    def full(*_):
        raise OSError("no room left")

    monkeypatch.setattr(SearchJournal, "append_each", full)
    requests = [[[click(n)]] for n in (1, 2)]
    told = asyncio.run(held_up(thread, journalling, requests))
    assert [type(one) for one in told] == [OSError, OSError]
    assert written(tmp_path) == [0]


def test_who_has_gone_is_not_written(thread, tmp_path):
    journalling = Journalling(thread)

    async def main():
        go = threading.Event()
        busy = asyncio.create_task(thread.do(lambda: go.wait(SECONDS)))
        gone, stays = (asyncio.create_task(journalling.append([[click(n)]], list)) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        go.set()
        await busy
        assert await stays == [1]

    asyncio.run(main())
    assert written(tmp_path) == [2]


def test_a_state_that_cannot_be_opened(tmp_path):
    (tmp_path / "state").write_text("no folder")
    thread = RankerThread(tmp_path / "state", Settings())
    with thread, pytest.raises(UnavailableError):
        asyncio.run(Journalling(thread).append([[click(1)]], list))
