import numpy as np
import pytest

from mtspam.config import RankingSettings
from mtspam.ranking.guard import INPUTS, Guard, host_prior
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
        found.append(GuardLesson(inputs, np.arange(8) == best, bucket))
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


@pytest.mark.parametrize("n", [0, 20])
def test_too_few_rankings_change_nothing(n):
    before = Guard(RankingSettings(), has_trees=True)
    after = fitted(lambda inputs, _: inputs[:, HOST], n=n)
    assert np.array_equal(before.weights, after.weights)


def test_rankings_without_a_choice_teach_nothing():
    guard = Guard(RankingSettings(), has_trees=True)
    all_clicked = [
        GuardLesson(one.inputs, np.ones(8, np.bool_), 0)
        for one in lessons(lambda inputs, _: inputs[:, HOST])
    ]
    fit_guard(guard, all_clicked)
    assert np.array_equal(guard.weights, Guard(RankingSettings(), has_trees=True).weights)


def test_what_is_fitted_is_sure_of_itself():
    guard = fitted(lambda inputs, _: inputs[:, CLICK])
    assert guard.squares[0, CLICK] > Guard(RankingSettings(), has_trees=True).squares[0, CLICK]
