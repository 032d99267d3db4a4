"""Believable probabilities, expected values written as arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import DataError
from mtspam.metrics.probability import calibration_error, logloss


def test_logloss():
    expected = -(math.log(0.9) + math.log(1 - 0.2)) / 2
    assert logloss([True, False], [0.9, 0.2]) == pytest.approx(expected)
    assert logloss([True], [0.0]) == pytest.approx(52 * math.log(2))
    assert logloss([True, False], [1.0, 0.0]) == 0
    assert math.isnan(logloss([], []))


def test_calibration_error():
    # Bins of 0.1: [0.2, 0.3) says .25 where half is spam; the last says 1 and is right.
    is_spam = [True, False, True, True]
    assert calibration_error(is_spam, [0.25, 0.25, 1.0, 1.0], n_bins=10) == pytest.approx(
        2 / 4 * abs(0.25 - 1 / 2)
    )
    assert math.isnan(calibration_error([], []))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1))
def test_bounds(messages):
    is_spam = [truth for truth, _ in messages]
    probability = [p for _, p in messages]
    assert 0 <= calibration_error(is_spam, probability) <= 1
    assert 0 <= logloss(is_spam, probability) <= 52 * math.log(2)


def test_probabilities_that_are_drawn_from_are_calibrated():
    generator = np.random.default_rng(2)
    probability = generator.random(100_000)
    is_spam = generator.random(100_000) < probability
    assert calibration_error(is_spam, probability) < 0.01
    # The mean of the entropy of a uniform probability is one half of a nat.
    assert logloss(is_spam, probability) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    "call",
    [
        lambda: logloss([True], [1.5]),
        lambda: logloss([True], [math.nan]),
        lambda: logloss([True, False], [0.5]),
        lambda: calibration_error([True], [-0.1]),
        lambda: calibration_error([True], [0.1], n_bins=0),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(DataError):
        call()
