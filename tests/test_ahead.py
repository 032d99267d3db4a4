import os
from threading import current_thread
from threading import enumerate as threads

import pytest

from mtspam.ahead import ahead


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


def workers():
    return [one for one in threads() if one.name == "ahead"]


@pytest.mark.parametrize("n", [0, 1, 2, 50])
@pytest.mark.parametrize("depth", [1, 3])
def test_all_in_their_order(n, depth):
    assert list(ahead(iter(range(n)), depth)) == list(range(n))
    assert not workers()


def test_what_the_source_raises_comes_in_its_place():
    def source():
        yield 1
        raise KeyError("two")

    items = ahead(source())
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)
    assert not workers()


def test_who_stops_early_has_the_source_closed_in_its_own_thread():
    where = []

    def source():
        try:
            yield from range(1_000_000)
        finally:
            where.append(current_thread().name)

    items = ahead(source())
    assert next(items) == 0
    items.close()
    assert where == ["ahead"]
    assert not workers()


def test_no_more_is_made_than_may_lie_ready():
    made = []

    def source():
        for n in range(100):
            made.append(n)
            yield n

    items = ahead(source(), depth=2)
    for n in range(50):
        assert next(items) == n
        assert len(made) <= n + 1 + 2 + 1  # taken, ready, in hand
    items.close()


def test_on_one_core_there_is_no_thread(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    where, closed = set(), []

    def source():
        try:
            for n in range(3):
                where.add(current_thread().name)
                yield n
        finally:
            closed.append(True)

    assert list(ahead(source())) == [0, 1, 2]
    items = ahead(source())
    assert next(items) == 0
    items.close()
    assert where == {current_thread().name}
    assert closed == [True, True]
