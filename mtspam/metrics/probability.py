"""How far stated probabilities of spam can be believed."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtspam.errors import DataError

__all__ = ["calibration_error", "logloss"]


def logloss(is_spam: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean of ``−log p(truth)`` in nats; 0.693 is a coin.

    Parameters
    ----------
    is_spam
        The truth, shape ``(n,)``, booleans.
    probability
        Of spam, shape ``(n,)``, from 0 to 1. Certainty counts as one float rounding short of it,
        so that a single error costs 36 nats and not infinity.

    Raises
    ------
    DataError
        If the shapes differ or a probability is not from 0 to 1.

    Examples
    --------
    >>> round(logloss([True, False], [0.5, 0.5]), 3)
    0.693
    """
    truth, values = _checked(is_spam, probability)
    if not truth.size:
        return math.nan
    rounding = float(np.finfo(np.float64).eps)
    given = np.where(truth, values, 1.0 - values)
    return float(-np.mean(np.log(np.maximum(given, rounding))))


def calibration_error(is_spam: ArrayLike, probability: ArrayLike, *, n_bins: int = 15) -> float:
    """Return the expected calibration error: how far stated probabilities are from frequencies.

    ``Σ_b (n_b / n) |mean probability in b − share of spam in b|`` over bins of equal width.

    Parameters
    ----------
    is_spam, probability
        As for `logloss`.
    n_bins
        Number of bins; the paper's default.

    Raises
    ------
    DataError
        If the shapes differ, a probability is not from 0 to 1, or there is no bin.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, eq. 3. There
    the confidence in the class chosen is binned; here the probability of spam.

    Examples
    --------
    >>> calibration_error([True, False, False, False], [0.25, 0.25, 0.25, 0.25])
    0.0
    """
    truth, values = _checked(is_spam, probability)
    if n_bins < 1:
        raise DataError(f"a calibration error needs at least 1 bin, got {n_bins}")
    if not truth.size:
        return math.nan
    bins = np.minimum((values * n_bins).astype(np.int64), n_bins - 1)
    surplus = np.bincount(bins, weights=values - truth, minlength=n_bins)
    return float(np.sum(np.abs(surplus)) / truth.size)


def _checked(
    is_spam: ArrayLike, probability: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth = np.asarray(is_spam, dtype=np.bool_)
    values = np.asarray(probability, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != values.shape:
        raise DataError(
            f"truth and probabilities must be lists of one length, got shapes {truth.shape} and"
            f" {values.shape}"
        )
    # NaN fails both comparisons.
    if values.size and not (values.min() >= 0.0 and values.max() <= 1.0):
        raise DataError(
            f"a probability lies from 0 to 1, got {float(values.min())} to {float(values.max())}"
        )
    return truth, values
