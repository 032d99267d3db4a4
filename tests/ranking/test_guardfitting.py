import numpy as np
import pytest

from mtspam.config import RankingSettings
from mtspam.ranking.guard import INPUTS, NOBODYS_NEW_QUERY, Guard, host_prior
from mtspam.ranking.guardfitting import GuardLesson, fit_guard

HOST, CLICK, YOU = (INPUTS.index(name) for name in ("host", "click", "you"))


def lessons(taste, *, n=400, seed=0, buckets=(3,)):
    """Rankings of which the candidate is clicked that `taste` and some chance put first."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        inputs = np.zeros((8, len(INPUTS)))
        inputs[:, HOST] = host_prior(range(8))
        inputs[:, CLICK], inputs[:, YOU] = rng.normal(size=(2, 8))
        bucket = buckets[number % len(buckets)]
        best = np.argmax(taste(inputs, bucket) + rng.gumbel(size=8) * 0.5)
        grades = np.where(np.arange(8) == best, 1.0, 0.0)
        found.append(GuardLesson(inputs, grades, bucket, bucket % NOBODYS_NEW_QUERY))
    return found


def fitted(taste, **named):
    guard = Guard(RankingSettings(), has_trees=True)
    fit_guard(guard, lessons(taste, **named))
    return guard


def test_what_does_not_help_is_left():
    guard = fitted(lambda inputs, _: inputs[:, CLICK])
    share = guard.mix(3) / guard.mix(3)[CLICK]
    assert share[CLICK] == 1.0
    assert share[HOST] < 0.15
    assert share[YOU] < 0.15


def test_the_personal_part_is_heard_where_it_tells_something():
    guard = fitted(lambda inputs, _: inputs[:, CLICK] + inputs[:, YOU])
    assert guard.mix(3)[YOU] == pytest.approx(guard.mix(3)[CLICK], rel=0.25)


def test_the_host_stands_where_the_trees_know_nothing():
    guard = fitted(lambda inputs, _: 2.0 * inputs[:, HOST])
    assert guard.mix(3)[HOST] > 5.0 * guard.mix(3)[CLICK]


def test_buckets_may_differ():
    def taste(inputs, bucket):
        return inputs[:, CLICK] + (2.0 * inputs[:, YOU] if bucket == 3 else 0.0)

    guard = fitted(taste, n=1600, buckets=(0, 3))
    assert guard.mix(3)[YOU] > 2.0 * guard.mix(0)[YOU]


@pytest.mark.parametrize("n", [0, 8])
def test_with_hardly_any_rankings_the_host_stands(n):
    guard = fitted(lambda inputs, _: inputs[:, CLICK], n=n, buckets=(0, 3))
    assert guard.mix(0).tolist() == [1.0] + [0.0] * (len(INPUTS) - 1)
    assert guard.mix(3)[[HOST, CLICK]].tolist() == [1.0, 0.0]
    assert 0.0 < guard.mix(3)[YOU] < 0.5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [30, 120, 500])
def test_trees_that_tell_nothing_do_not_move_the_hosts_order(n, seed):
    guard = fitted(lambda inputs, _: inputs[:, HOST], n=n, seed=seed, buckets=(0, 3))
    tested = lessons(lambda inputs, _: inputs[:, HOST], n=2_000, seed=99, buckets=(0,))
    ours, hosts = (
        np.mean([one.grades[np.argmax(one.inputs @ mix)] for one in tested])
        for mix in (guard.mix(0), np.eye(len(INPUTS))[HOST])
    )
    assert ours > hosts - 0.01


def test_who_is_not_known_gets_the_hosts_order_where_trees_help_only_others():
    def taste(inputs, bucket):
        return inputs[:, CLICK if bucket else HOST] * 3.0

    guard = fitted(taste, n=800, buckets=(0, 3))
    assert guard.mix(0)[HOST] > 5.0 * guard.mix(0)[CLICK]
    assert guard.mix(3)[CLICK] > 5.0 * guard.mix(3)[HOST]


def test_rankings_without_a_choice_teach_nothing():
    guard = Guard(RankingSettings(), has_trees=True)
    all_clicked = [
        GuardLesson(one.inputs, np.ones(8), 0, 0)
        for one in lessons(lambda inputs, _: inputs[:, CLICK])
    ]
    fit_guard(guard, all_clicked)
    assert guard.mix(0)[[HOST, CLICK]].tolist() == [1.0, 0.0]


def test_grades_count_more_than_clicks():
    rng = np.random.default_rng(5)
    found = []
    for one in lessons(lambda inputs, _: inputs[:, CLICK], n=300):
        grades = np.round(np.clip(one.inputs[:, YOU] + rng.normal(size=8) * 0.2, 0.0, 2.0) * 2.0)
        found.append(GuardLesson(one.inputs, grades, 3, 3))
    guard = Guard(RankingSettings(), has_trees=True)
    fit_guard(guard, found)
    assert guard.mix(3)[YOU] > 5.0 * guard.mix(3)[CLICK]


def test_what_is_fitted_is_sure_of_itself():
    guard = fitted(lambda inputs, _: inputs[:, CLICK])
    assert guard.squares[0, CLICK] > Guard(RankingSettings(), has_trees=True).squares[0, CLICK]


def test_queries_that_nobody_asked_are_found_out_by_themselves():
    def taste(inputs, bucket):
        return 3.0 * inputs[:, HOST if bucket == NOBODYS_NEW_QUERY else CLICK]

    guard = Guard(RankingSettings(), has_trees=True)
    fit_guard(guard, lessons(taste, buckets=(0,)), lessons(taste, buckets=(NOBODYS_NEW_QUERY,)))
    assert guard.mix(0)[CLICK] > guard.mix(0)[HOST]
    assert guard.mix(NOBODYS_NEW_QUERY).tolist() == [1.0] + [0.0] * (len(INPUTS) - 1)


@pytest.mark.parametrize("bucket", [0, NOBODYS_NEW_QUERY])
def test_where_no_query_was_told_or_all_are_new_they_are_alike(bucket):
    guard = fitted(lambda inputs, _: inputs[:, CLICK], buckets=(bucket,))
    assert guard.mix(0)[CLICK] > guard.mix(0)[HOST]
    assert np.array_equal(guard.mix(NOBODYS_NEW_QUERY), guard.mix(0))
