import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.metrics.offpolicy import doubly_robust, inverse_propensity, self_normalized

WORTH = np.array([0.1, 0.3, 0.6])
LOGGING = np.array([0.6, 0.3, 0.1])
TARGET = np.array([0.1, 0.2, 0.7])


def log(n, seed=0):
    """Requests that were answered by chance with one of three things."""
    rng = np.random.default_rng(seed)
    shown = rng.choice(3, n, p=LOGGING)
    reward = (rng.random(n) < WORTH[shown]).astype(float)
    return shown, reward, LOGGING[shown], TARGET[shown]


def test_by_hand():
    reward, logged, target = np.array([1.0, 0.0]), np.array([0.5, 0.25]), np.array([0.25, 0.5])
    assert inverse_propensity(reward, logged, target).value == (0.5 * 1 + 2 * 0) / 2
    assert self_normalized(reward, logged, target).value == pytest.approx(0.5 / 2.5)
    found = doubly_robust(
        reward, logged, target, expected=np.array([0.5, 0.5]), expected_target=np.array([0.4, 0.6])
    )
    assert found.value == pytest.approx((0.4 + 0.5 * 0.5 + 0.6 - 2 * 0.5) / 2)
    assert inverse_propensity(reward, logged, target).n_effective == 2.5**2 / (0.25 + 4)


def test_all_come_near_the_truth_and_say_how_near():
    truth = float(TARGET @ WORTH)
    shown, *logs = log(20_000)
    reward_model = {"expected": WORTH[shown], "expected_target": np.full(20_000, truth)}
    plain, normal = inverse_propensity(*logs), self_normalized(*logs)
    robust = doubly_robust(*logs, **reward_model)
    for found in (plain, normal, robust):
        assert found.low < truth < found.high
        assert found.value == pytest.approx(truth, abs=0.03)
    assert normal.high - normal.low < plain.high - plain.low
    assert robust.high - robust.low < plain.high - plain.low


def test_intervals_hold_as_often_as_they_say():
    truth = float(TARGET @ WORTH)
    found = [self_normalized(*log(2_000, seed)[1:]) for seed in range(200)]
    assert 0.9 < np.mean([one.low < truth < one.high for one in found]) <= 1.0


def test_a_wrong_model_is_put_right():
    truth = float(TARGET @ WORTH)
    shown, *logs = log(20_000)
    wrong = {"expected": 1 - WORTH[shown], "expected_target": np.full(20_000, 1 - truth)}
    assert doubly_robust(*logs, **wrong).value == pytest.approx(truth, abs=0.03)


def test_a_cap_errs_to_the_low_side():
    _, *logs = log(5_000)
    assert inverse_propensity(*logs, cap=2.0).value < inverse_propensity(*logs).value


@pytest.mark.parametrize(
    ("reward", "logged", "target"),
    [([], [], []), ([1.0], [0.0], [1.0]), ([1.0], [0.5], [1.5]), ([1.0, 2.0], [0.5], [0.5])],
)
def test_what_cannot_be_is_refused(reward, logged, target):
    arrays = [np.array(one, float) for one in (reward, logged, target)]
    with pytest.raises(DataError):
        inverse_propensity(*arrays)


def test_what_was_never_shown_cannot_be_told():
    with pytest.raises(DataError, match="never"):
        self_normalized(np.ones(2), np.ones(2), np.zeros(2))
    with pytest.raises(DataError, match="fit"):
        doubly_robust(
            np.ones(2), np.ones(2), np.ones(2), expected=np.ones(1), expected_target=np.ones(2)
        )
