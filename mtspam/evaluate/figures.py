"""The figures of some messages, and any report as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.metrics.binary import (
    Interval,
    bootstrap_interval,
    errors_at,
    one_minus_roca_percent,
    roc,
    sm_percent_at_hm,
)
from mtspam.metrics.probability import calibration_error, logloss

__all__ = ["Figures", "Json", "as_json", "figures", "sigmoid"]

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

_LARGEST_LOG_ODDS = 700.0
"""Beyond it the exponential overflows; the probability is 0 or 1 long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of some messages at the default threshold, score 0; NaN where undefined.

    Parameters
    ----------
    n, n_ham, n_spam
        Number of messages.
    one_minus_roca_percent
        ``100 (1 − area under the ROC)``.
    one_minus_roca_percent_interval
        Its 95 % bootstrap interval, see `mtspam.metrics.binary.bootstrap_interval`.
    error_percent, hm_percent, sm_percent, lam_percent
        Misclassified: of all, of ham, of spam, and the logistic average of the last two.
    sm_at_hm_0_01_percent, sm_at_hm_0_1_percent, sm_at_hm_1_percent
        The least spam misclassified with .01, .1 and 1 % of the ham misclassified at most.
    logloss
        Mean negative log-likelihood, in nats.
    calibration_error
        Expected calibration error, from 0 to 1.
    """

    n: int
    n_ham: int
    n_spam: int
    one_minus_roca_percent: float
    one_minus_roca_percent_interval: Interval
    error_percent: float
    hm_percent: float
    sm_percent: float
    lam_percent: float
    sm_at_hm_0_01_percent: float
    sm_at_hm_0_1_percent: float
    sm_at_hm_1_percent: float
    logloss: float
    calibration_error: float


def figures(
    is_spam: NDArray[np.bool_],
    scores: NDArray[np.float64],
    probability: NDArray[np.float64] | None = None,
    *,
    seed: int = 0,
    n_resamples: int = 500,
) -> Figures:
    """Measure the scores of some messages.

    Parameters
    ----------
    is_spam
        The truth, shape ``(n,)``.
    scores
        Log-odds, shape ``(n,)``.
    probability
        The calibrated probability, shape ``(n,)``; None takes the scores at their word.
    seed, n_resamples
        Of the bootstrap.

    Returns
    -------
    Figures
        NaN where undefined.

    Raises
    ------
    DataError
        If shapes differ or a score is NaN.

    Examples
    --------
    >>> figures(np.array([False, True]), np.array([-1.0, 2.0])).error_percent
    0.0
    """
    if probability is None:
        probability = sigmoid(scores)
    curve = roc(is_spam, scores)
    errors = errors_at(is_spam, scores)
    return Figures(
        n=is_spam.size,
        n_ham=errors.n_ham,
        n_spam=errors.n_spam,
        one_minus_roca_percent=one_minus_roca_percent(curve),
        one_minus_roca_percent_interval=bootstrap_interval(
            curve, n_resamples=n_resamples, seed=seed
        ),
        error_percent=errors.error_percent,
        hm_percent=errors.hm_percent,
        sm_percent=errors.sm_percent,
        lam_percent=errors.lam_percent,
        sm_at_hm_0_01_percent=sm_percent_at_hm(curve, 0.01),
        sm_at_hm_0_1_percent=sm_percent_at_hm(curve, 0.1),
        sm_at_hm_1_percent=sm_percent_at_hm(curve, 1.0),
        logloss=logloss(is_spam, probability),
        calibration_error=calibration_error(is_spam, probability),
    )


def as_json(report: object) -> Json:
    """Turn a report into what `json.dumps` takes; what is undefined or infinite becomes null.

    Parameters
    ----------
    report
        A report or a part of one. The `overall` figures of a report rise to its top.

    Returns
    -------
    dict, list, str, int, float, bool or None
        A value of plain types.

    Raises
    ------
    TypeError
        If a part is of a type that no report has.

    Examples
    --------
    >>> as_json(Interval(low=0.5, high=math.nan))
    {'low': 0.5, 'high': None}
    """
    if is_dataclass(report):
        record: dict[str, Json] = {}
        for field in fields(report):
            value = as_json(getattr(report, field.name))
            if field.name == "overall" and isinstance(value, dict):
                record.update(value)
            else:
                record[field.name] = value
        return record
    if isinstance(report, float):
        return report if math.isfinite(report) else None
    if isinstance(report, str):
        # A name that is no UTF-8 came through surrogateescape; JSON must still be UTF-8.
        return report.encode("utf-8", "backslashreplace").decode()
    if report is None or isinstance(report, int):
        return report
    if isinstance(report, Mapping):
        return {str(key): as_json(value) for key, value in report.items()}
    if isinstance(report, Sequence):
        return [as_json(value) for value in report]
    raise TypeError(f"no report holds a {type(report).__name__}")


def sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities that log-odds stand for.

    Parameters
    ----------
    scores
        Log-odds, shape ``(n,)``.

    Returns
    -------
    NDArray
        From 0 to 1, shape ``(n,)``.

    Examples
    --------
    >>> sigmoid(np.array([0.0])).tolist()
    [0.5]
    """
    bounded = np.clip(scores, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    return np.asarray(1.0 / (1.0 + np.exp(-bounded)), dtype=np.float64)
