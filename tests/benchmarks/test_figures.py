"""The benchmark's own ruler against counting by hand."""

import numpy as np
import pytest
from figures import measure, one_minus_roca_percent


def test_roca_counts_every_pair_and_half_of_the_ties() -> None:
    rng = np.random.default_rng(3)
    truth, scores = rng.random(60) < 0.4, rng.integers(0, 8, 60).astype(np.float64)
    pairs = [
        1.0 if ham > spam else 0.5 if ham == spam else 0.0
        for spam in scores[truth]
        for ham in scores[~truth]
    ]
    assert one_minus_roca_percent(truth, scores) == pytest.approx(100 * np.mean(pairs))


def test_one_class_alone_has_no_area() -> None:
    assert one_minus_roca_percent(np.array([True, True]), np.array([0.0, 1.0])) is None


def test_errors_are_counted_at_the_threshold_which_is_spam() -> None:
    truth = np.array([True, True, False, False, False])
    found = measure(truth, np.array([0.5, 0.4, 0.5, 0.1, 0.2]), threshold=0.5)
    assert found.error_percent == pytest.approx(100 * 2 / 5)
    assert found.hm_percent == pytest.approx(100 * 1 / 3)
    assert found.sm_percent == pytest.approx(100 * 1 / 2)
    # no ham may be lost among three, so the threshold lies above .5
    assert found.sm_at_hm_0_1_percent == pytest.approx(100.0)
