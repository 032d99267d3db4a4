import os

from mtspam.serve.counters import SECONDS_BOUNDS, Counters
from mtspam.serve.limits import ConnectionLimit, connection_limit


def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_workers_are_summed_over_processes():
    counters = Counters(3)
    in_child(lambda: counters.of_row(1).count("errors"))
    in_child(lambda: counters.of_row(2).count("errors", 2.5))
    counters.of_row(0).count_label("new")
    assert counters.totals() == {"errors": 3.5, "learned:new": 1.0}


def test_who_takes_a_workers_place_goes_on_counting():
    counters = Counters(1)
    for _ in range(3):
        in_child(lambda: counters.of_row(0).count_ruling("reject", 0.001))
    totals = counters.totals()
    assert totals["rulings"] == totals["action:reject"] == 3
    assert totals["seconds_in:0.001"] == 3


def test_every_duration_is_in_one_class():
    counters = Counters(1)
    for seconds in (0.0, 0.00025, 0.3, 5.0, 5.1, 1e9):
        counters.count_ruling("no action", seconds)
    totals = counters.totals()
    classes = {name: n for name, n in totals.items() if name.startswith("seconds_in:")}
    assert classes == {
        "seconds_in:0.00025": 2,
        "seconds_in:1.0": 1,
        "seconds_in:5.0": 1,
        "seconds_in:+Inf": 2,
    }
    assert sorted(SECONDS_BOUNDS) == list(SECONDS_BOUNDS)


def test_rankings_are_counted_apart_from_mail():
    counters = Counters(1)
    counters.count_ranking(100, 0.002, is_unchanged=True)
    counters.count_ranking(10, 0.004, is_unchanged=False)
    assert counters.totals() == {
        "rank:rankings": 2,
        "rank:candidates": 110,
        "rank:unchanged": 1,
        "rank:seconds": 0.006,
        "rank:seconds_in:0.0025": 1,
        "rank:seconds_in:0.005": 1,
    }


def test_names_without_end_take_no_room_without_end():
    counters = Counters(1)
    for n in range(1_000):
        counters.count(f"name {n}")
    totals = counters.totals()
    assert len(totals) <= 150
    assert sum(totals.values()) == 1_000
    assert Counters.of_row(counters, 0).totals() == totals


def test_connections_are_counted_in_and_out():
    limit = ConnectionLimit(2)
    assert [limit.enter() for _ in range(3)] == [True, True, False]
    assert (limit.n_open, limit.n_refused) == (2, 1)
    limit.leave()
    assert limit.enter()


def test_all_faces_share_one_count():
    assert connection_limit(5) is connection_limit(7)
    assert connection_limit(7).most == 7
