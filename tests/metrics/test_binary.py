"""The track's figures, expected values written as arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import DataError
from mtspam.metrics.binary import (
    Errors,
    Interval,
    bootstrap_interval,
    errors_at,
    one_minus_roca_percent,
    roc,
    roca,
    sm_percent_at_hm,
)
from tests.reference import roc as twin

MESSAGES = st.lists(
    st.tuples(st.booleans(), st.integers(-20, 20)), min_size=2, max_size=60
).filter(lambda messages: len({truth for truth, _ in messages}) == 2)


def _columns(messages):
    return (
        np.array([truth for truth, _ in messages]),
        np.array([score for _, score in messages], np.float64),
    )


def _random(n, seed):
    generator = np.random.default_rng(seed)
    is_spam = generator.random(n) < 0.4
    # Rounded, so that ties happen.
    return is_spam, np.round(generator.normal(size=n) + 1.5 * is_spam, 1)


@pytest.mark.parametrize("seed", range(5))
def test_roca_is_the_twins(seed):
    is_spam, scores = _random(300, seed)
    assert roca(is_spam, scores) == pytest.approx(twin.roca(is_spam, scores), rel=1e-12)


def test_roca_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is a bench extra")
    is_spam, scores = _random(2000, 7)
    assert roca(is_spam, scores) == pytest.approx(metrics.roc_auc_score(is_spam, scores))


@given(MESSAGES)
def test_roca_sees_order_alone(messages):
    is_spam, scores = _columns(messages)
    assert roca(is_spam, np.arctan(scores) * 3 - 1) == roca(is_spam, scores)


@given(MESSAGES)
def test_swapped_labels_give_the_other_area(messages):
    is_spam, scores = _columns(messages)
    assert roca(~is_spam, scores) == pytest.approx(1 - roca(is_spam, scores))
    assert roca(is_spam, -scores) == pytest.approx(1 - roca(is_spam, scores))


@given(MESSAGES, st.randoms(use_true_random=False))
def test_the_order_of_messages_is_nothing(messages, random):
    shuffled = random.sample(messages, len(messages))
    assert roca(*_columns(shuffled)) == roca(*_columns(messages))


def test_one_minus_roca_percent():
    # Six pairs: the spam at 1 loses to the ham at 2, all others are right.
    curve = roc([False, False, True, True, True], [0, 2, 1, 3, 4])
    assert one_minus_roca_percent(curve) == 100 * 1 / 6


@pytest.mark.parametrize("is_spam", [[], [True, True], [False]])
def test_one_class_is_undefined(is_spam):
    curve = roc(is_spam, [1.0] * len(is_spam))
    assert math.isnan(one_minus_roca_percent(curve))
    assert math.isnan(sm_percent_at_hm(curve, 0.1))
    assert math.isnan(bootstrap_interval(curve).low)
    assert math.isnan(bootstrap_interval(curve).high)
    assert math.isnan(errors_at(is_spam, [1.0] * len(is_spam)).lam_percent)


def test_rates():
    errors = errors_at([False] * 4 + [True] * 5, [-1, -1, 0, 2, 3, 3, 3, 0, -1])
    assert errors == Errors(n_ham=4, n_spam=5, n_ham_wrong=1, n_spam_wrong=2)
    assert errors.hm_percent == 100 * 1 / 4
    assert errors.sm_percent == 100 * 2 / 5
    assert errors.error_percent == 100 * 3 / 9
    hm, sm = 1.5 / 5, 2.5 / 6
    logit = (math.log(hm / (1 - hm)) + math.log(sm / (1 - sm))) / 2
    assert errors.lam_percent == pytest.approx(100 / (1 + math.exp(-logit)))


@given(st.integers(1, 50), st.integers(1, 50), st.data())
def test_lam_of_all_answers_turned_round_is_the_rest(n_ham, n_spam, data):
    ham = data.draw(st.integers(0, n_ham))
    spam = data.draw(st.integers(0, n_spam))
    lam = Errors(n_ham, n_spam, ham, spam).lam_percent
    turned = Errors(n_ham, n_spam, n_ham - ham, n_spam - spam).lam_percent
    assert 0 < lam < 100
    assert lam + turned == pytest.approx(100)


@given(MESSAGES, st.integers(-21, 21))
def test_the_curve_holds_the_errors_at_any_threshold(messages, threshold):
    is_spam, scores = _columns(messages)
    curve = roc(is_spam, scores)
    k = int(np.searchsorted(curve.thresholds, threshold, side="right")) - 1
    errors = errors_at(is_spam, scores, threshold)
    assert (curve.n_ham_wrong[k], curve.n_spam_wrong[k]) == (
        errors.n_ham_wrong,
        errors.n_spam_wrong,
    )
    assert (curve.n_ham, curve.n_spam) == (errors.n_ham, errors.n_spam)


def test_sm_at_hm():
    # 1,000 ham at 0..999; spam at 998.5 (one ham above it), 997.5 (two), 2000 (none).
    curve = roc([False] * 1000 + [True] * 3, [*range(1000), 998.5, 997.5, 2000])
    assert sm_percent_at_hm(curve, 0.01) == 100 * 2 / 3
    assert sm_percent_at_hm(curve, 0.1) == 100 * 1 / 3
    assert sm_percent_at_hm(curve, 0.2) == 0
    assert sm_percent_at_hm(curve, 1) == 0


def test_sm_at_hm_never_parts_ties():
    curve = roc([False, True, True], [1.0, 1.0, 2.0])
    assert sm_percent_at_hm(curve, 1.0) == 100 * 1 / 2


def test_bootstrap_covers_and_repeats():
    is_spam, scores = _random(400, 3)
    curve = roc(is_spam, scores)
    interval = bootstrap_interval(curve, n_resamples=200, seed=1)
    assert interval.low < one_minus_roca_percent(curve) < interval.high
    assert interval == bootstrap_interval(curve, n_resamples=200, seed=1)
    assert interval != bootstrap_interval(curve, n_resamples=200, seed=2)


def test_bootstrap_is_as_wide_as_theory():
    # For continuous scores that say nothing, Var(ROCA) = (n_ham + n_spam + 1) / (12 n_ham n_spam).
    n = 1000
    scores = np.random.default_rng(5).normal(size=2 * n)
    interval = bootstrap_interval(roc(np.arange(2 * n) % 2 == 0, scores), seed=5)
    deviation = 100 * math.sqrt((2 * n + 1) / (12 * n * n))
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * deviation, rel=0.15)


def test_a_perfect_filter_has_no_width():
    assert bootstrap_interval(roc([False, False, True], [0, 1, 2])) == Interval(0.0, 0.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: roc([True], [1.0, 2.0]),
        lambda: roc([[True]], [[1.0]]),
        lambda: roc([True, False], [1.0, math.nan]),
        lambda: errors_at([True], [math.nan]),
        lambda: bootstrap_interval(roc([True, False], [1, 0]), n_resamples=0),
        lambda: bootstrap_interval(roc([True, False], [1, 0]), level=1.0),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(DataError):
        call()
