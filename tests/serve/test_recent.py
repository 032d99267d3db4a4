import hashlib
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import JournalError
from mtspam.journal.recent import LEAST_BYTES, RecentRing
from mtspam.mail.views import N_VIEWS
from mtspam.serve.memories import SharedExamples, ring_path
from mtspam.types import Example
from tests.spam.conftest import fill


def digest(n):
    return hashlib.blake2b(b"%d" % n, digest_size=16).digest()


def example(n, size=900, n_views=3):
    rng = np.random.default_rng(n)
    return Example(
        tuple(np.unique(rng.integers(0, 2**32, size, dtype=np.uint32)) for _ in range(n_views))
    )


def is_same(found, n, size=900, n_views=3):
    views, expected = found[0].views, example(n, size, n_views).views
    return all(map(np.array_equal, views, expected)) and found[1] == n / 8


@pytest.fixture
def ring(tmp_path):
    return RecentRing.make(tmp_path / "recent.0", LEAST_BYTES, n_views=3)


def test_another_process_reads_what_was_put(ring):
    for n in range(20):
        ring.put(digest(n), example(n), n / 8)
    reader = RecentRing.open(ring.path, n_views=3)
    assert all(is_same(reader.get(digest(n)), n) for n in range(20))
    assert reader.get(digest(99)) is None
    ring.put(digest(50), example(50), 50 / 8)
    assert is_same(reader.get(digest(50)), 50)


def test_the_oldest_make_room_and_the_file_does_not_grow(ring):
    n_all = 300
    for n in range(n_all):
        ring.put(digest(n), example(n), n / 8)
    kept = [n for n in range(n_all) if ring.get(digest(n)) is not None]
    assert all(is_same(ring.get(digest(n)), n) for n in kept)
    # The newest are all there; how many fit is a matter of their size.
    n_fit = LEAST_BYTES // (3 * 900 * 4 + 100)
    assert kept[-(n_fit // 2) :] == list(range(n_all - n_fit // 2, n_all))
    assert len(kept) <= n_fit
    assert ring.path.stat().st_size == LEAST_BYTES


def test_a_message_judged_again_is_found_as_it_was_last(ring):
    ring.put(digest(1), example(1), 1 / 8)
    ring.put(digest(1), example(2), 2 / 8)
    assert is_same(ring.get(digest(1)), 2)


def test_what_is_too_large_is_left_out(ring):
    ring.put(digest(1), example(1, 200_000), 0.0)
    assert ring.get(digest(1)) is None
    ring.put(digest(2), Example((np.empty(0, np.uint32),) * 3), 2 / 8)
    assert [len(view) for view in ring.get(digest(2))[0].views] == [0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20_000)), max_size=60))
def test_whatever_is_put_what_is_found_is_what_was_put_last(tmp_path_factory, puts):
    path = tmp_path_factory.mktemp("ring") / "recent.0"
    ring = RecentRing.make(path, LEAST_BYTES, n_views=2)
    last = {}
    for n, size in puts:
        ring.put(digest(n), example(n + size, size, 2), (n + size) / 8)
        last[n] = size
    for n, size in last.items():
        found = ring.get(digest(n))
        assert found is None or is_same(found, n + size, size, 2)


@given(st.data())
def test_a_damaged_ring_gives_nothing_wrong(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("ring") / "recent.0"
    ring = RecentRing.make(path, LEAST_BYTES, n_views=3)
    for n in range(30):
        ring.put(digest(n), example(n, 50), n / 8)
    with path.open("r+b") as file:
        for _ in range(20):
            # The head is left alone: what is there is looked at first, and the rest never found.
            file.seek(data.draw(st.integers(4096, 60_000)))
            file.write(data.draw(st.binary(min_size=1, max_size=40)))
    reader = RecentRing.open(path, n_views=3)
    for n in range(30):
        found = reader.get(digest(n))
        assert found is None or is_same(found, n, 50)


def test_reading_while_it_is_overwritten_gives_whole_examples_or_none(ring):
    reader = RecentRing.open(ring.path, n_views=3)
    is_over = threading.Event()
    wrong = []

    def read():
        while not is_over.is_set():
            for n in range(8):
                found = reader.get(digest(n))
                if found is not None and not is_same(found, n, 5_000):
                    wrong.append(n)

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(150):
        for n in range(8):
            ring.put(digest(n), example(n, 5_000), n / 8)
    is_over.set()
    thread.join()
    assert not wrong


def test_a_ring_of_a_former_run_is_remembered(tmp_path, ring):
    ring.put(digest(1), example(1), 1 / 8)
    again = RecentRing.make(ring.path, LEAST_BYTES, n_views=3)
    assert is_same(again.get(digest(1)), 1)
    larger = RecentRing.make(ring.path, 2 * LEAST_BYTES, n_views=3)
    assert larger.get(digest(1)) is None
    assert not again.is_current()
    assert is_same(again.get(digest(1)), 1)  # who has it mapped loses nothing
    assert RecentRing.open(ring.path, n_views=4) is None
    assert RecentRing.open(tmp_path / "none", n_views=3) is None


def test_a_disk_without_room_is_told(small_disk):
    with pytest.raises(JournalError, match="no room for recent examples"):
        RecentRing.make(small_disk / "recent.0", 4 * LEAST_BYTES, n_views=3)
    assert list(small_disk.iterdir()) == []


def test_workers_remember_together(tmp_path):
    one, other = (SharedExamples(tmp_path, row, 2, LEAST_BYTES) for row in range(2))
    one.remember(digest(1), example(1, 50, N_VIEWS), 0.5)
    for worker in (one, other):
        assert worker.recall(digest(1)).prior == 0.5
        assert worker.recall(digest(2)) is None
    # The other worker is replaced by one with more room.
    ring_path(tmp_path, 0).unlink()
    assert other.recall(digest(1)) is None
    fresh = SharedExamples(tmp_path, 0, 2, 2 * LEAST_BYTES)
    fresh.remember(digest(3), example(3, 50, N_VIEWS), 0.25)
    assert other.recall(digest(3)).prior == 0.25


def test_without_room_nothing_is_remembered_and_nothing_fails(tmp_path, small_disk):
    fill(small_disk)
    for memory in (
        SharedExamples(tmp_path, 0, 1, 0),
        SharedExamples(small_disk, 0, 1, LEAST_BYTES),
    ):
        memory.remember(digest(1), example(1, 50, N_VIEWS), 0.5)
        assert memory.recall(digest(1)) is None
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]
