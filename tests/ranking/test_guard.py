import numpy as np
import pytest

from mtspam.config import RankingSettings
from mtspam.ranking.guard import (
    INPUTS,
    NEW_QUERY,
    NOBODYS_NEW_QUERY,
    Guard,
    bucket_of,
    host_prior,
)

SETTINGS = RankingSettings(guard_rate=0.1)
HOST, CLICK = INPUTS.index("host"), INPUTS.index("click")


def test_buckets():
    assert [bucket_of(n) for n in (0, 1, 2, 3, 5, 6, 1000)] == [0, 1, 1, 2, 2, 3, 3]


def test_it_begins_with_the_hosts_order_alone():
    mix = Guard(SETTINGS, has_trees=False).mix(0)
    assert mix[HOST] == 1.0
    assert mix[CLICK] == 0.0
    assert np.all(np.diff(host_prior(range(20))) < 0)


def taught(clicked_by, *, bucket=3, n=300):
    """A guard that has seen people click what one input wants, the other being chance."""
    rng = np.random.default_rng(0)
    guard = Guard(SETTINGS, has_trees=True)
    for _ in range(n):
        inputs = np.zeros((5, len(INPUTS)))
        inputs[:, HOST], inputs[:, CLICK] = host_prior(range(5)), rng.normal(size=5)
        best = int(np.argmax(inputs[:, clicked_by]))
        odds = np.exp(inputs @ guard.mix(bucket))
        push = -odds / odds.sum()
        push[best] += 1.0
        guard.step(inputs, bucket, push)
    return guard


def test_it_learns_whom_to_trust():
    trees, host = taught(CLICK), taught(HOST)
    assert trees.mix(3)[CLICK] > host.mix(3)[CLICK]
    assert trees.mix(3)[HOST] < host.mix(3)[HOST]


def test_a_bucket_without_clicks_goes_with_all():
    guard = taught(CLICK, bucket=3)
    assert guard.mix(0)[CLICK] == pytest.approx(guard.weights[0, CLICK])
    assert guard.mix(3)[CLICK] > guard.mix(0)[CLICK] > 1.0


@pytest.mark.parametrize("new", [NEW_QUERY, NOBODYS_NEW_QUERY])
def test_new_queries_and_others_do_not_teach_each_other(new):
    untaught = Guard(SETTINGS, has_trees=True)
    assert np.array_equal(taught(CLICK, bucket=3).mix(new), untaught.mix(new))
    assert np.array_equal(taught(HOST, bucket=new).mix(3), untaught.mix(3))


def test_an_older_guard_knows_of_no_new_queries():
    guard, again = taught(CLICK, bucket=0), Guard(SETTINGS, has_trees=True)
    older = {name: array[: 1 + NOBODYS_NEW_QUERY] for name, array in guard.arrays().items()}
    again.restore(older)
    assert np.array_equal(again.mix(NOBODYS_NEW_QUERY), guard.mix(0))
    assert np.array_equal(again.mix(0), guard.mix(0))


def test_nothing_is_ever_turned_round():
    guard = Guard(SETTINGS, has_trees=True)
    guard.weights[0] = -1.0
    assert guard.mix(0).tolist() == [0.0] * len(INPUTS)


def test_there_and_back():
    guard = taught(CLICK)
    again = Guard(SETTINGS, has_trees=True)
    again.restore(guard.arrays())
    assert np.array_equal(again.mix(2), guard.mix(2))
