"""How well scores tell spam from ham, in the words of the TREC spam track.

A figure that is undefined (a rate without messages, an area with one class) is NaN here; a report
turns it into null.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtspam.errors import DataError
from mtspam.kernels.roc import count_errors, twice_area

__all__ = [
    "Errors",
    "Interval",
    "Roc",
    "bootstrap_interval",
    "check_resampling",
    "errors_at",
    "one_minus_roca_percent",
    "percentile_interval",
    "roc",
    "roca",
    "sm_percent_at_hm",
]


@dataclass(frozen=True, slots=True)
class Roc:
    """Messages sorted by score, with the errors at every threshold.

    Parameters
    ----------
    is_spam
        The truth, shape ``(n,)``, in rising order of score.
    cuts
        How many of the lowest messages each threshold calls ham, shape ``(n_distinct + 1,)``.
    thresholds
        Spam is what scores *above*; shape ``(n_distinct + 1,)``, from minus infinity (all is
        spam) to the highest score (nothing is).
    n_ham_wrong, n_spam_wrong
        Errors at each threshold, shape ``(n_distinct + 1,)``.
    """

    is_spam: NDArray[np.bool_]
    cuts: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    n_ham_wrong: NDArray[np.int64]
    n_spam_wrong: NDArray[np.int64]

    @property
    def n_ham(self) -> int:
        """Number of ham messages."""
        return int(self.n_ham_wrong[0])

    @property
    def n_spam(self) -> int:
        """Number of spam messages."""
        return int(self.n_spam_wrong[-1])


@dataclass(frozen=True, slots=True)
class Errors:
    """What a filter got wrong at one threshold, with the track's rates in percent.

    Parameters
    ----------
    n_ham, n_spam
        Messages of each class.
    n_ham_wrong
        Ham called spam.
    n_spam_wrong
        Spam called ham.

    Examples
    --------
    >>> Errors(n_ham=200, n_spam=100, n_ham_wrong=1, n_spam_wrong=5).error_percent
    2.0
    """

    n_ham: int
    n_spam: int
    n_ham_wrong: int
    n_spam_wrong: int

    @property
    def hm_percent(self) -> float:
        """Ham misclassification: ham called spam, of all ham."""
        return _percent(self.n_ham_wrong, self.n_ham)

    @property
    def sm_percent(self) -> float:
        """Spam misclassification: spam called ham, of all spam."""
        return _percent(self.n_spam_wrong, self.n_spam)

    @property
    def error_percent(self) -> float:
        """Messages called wrong, of all messages."""
        return _percent(self.n_ham_wrong + self.n_spam_wrong, self.n_ham + self.n_spam)

    @property
    def lam_percent(self) -> float:
        """Logistic average misclassification: the mean of hm and sm on the log-odds scale.

        ``lam = logit⁻¹((logit hm + logit sm) / 2)``. A class without errors would give zero
        whatever the other does, so each rate is taken as ``(wrong + ½) / (n + 1)``; the CEAS 2007
        contest added ``½`` to both parts, which has no answer when all is wrong.

        References
        ----------
        Cormack and Lynam, "TREC 2005 Spam Track Overview", 2005.
        """
        if not (self.n_ham and self.n_spam):
            return math.nan
        hm = (self.n_ham_wrong + 0.5) / (self.n_ham - self.n_ham_wrong + 0.5)
        sm = (self.n_spam_wrong + 0.5) / (self.n_spam - self.n_spam_wrong + 0.5)
        odds = math.sqrt(hm * sm)
        return 100.0 * odds / (1.0 + odds)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with some confidence.

    Parameters
    ----------
    low, high
        The ends, in the figure's own unit; NaN when the figure is undefined.
    """

    low: float
    high: float


def roc(is_spam: ArrayLike, scores: ArrayLike) -> Roc:
    """Sort messages by score and count the errors at every threshold.

    Parameters
    ----------
    is_spam
        The truth, shape ``(n,)``, booleans.
    scores
        Higher means more like spam, shape ``(n,)``; no NaN.

    Raises
    ------
    DataError
        If the shapes differ or a score is NaN.

    Examples
    --------
    >>> roc([False, True, False, True], [-2.0, 0.5, 0.5, 3.0]).n_ham_wrong.tolist()
    [2, 1, 0, 0]
    """
    truth, values = _checked(is_spam, scores)
    order = np.argsort(values, kind="stable")
    truth = np.ascontiguousarray(truth[order])
    values = np.ascontiguousarray(values[order])
    cuts, n_ham_wrong, n_spam_wrong = count_errors(values, truth)
    thresholds = np.concatenate([[-np.inf], values[cuts[1:] - 1]])
    return Roc(truth, cuts, thresholds, n_ham_wrong, n_spam_wrong)


def roca(is_spam: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a spam scores above a ham, ties as half.

    Parameters
    ----------
    is_spam, scores
        As for `roc`.

    Returns
    -------
    float
        From 0 to 1; NaN when a class is missing.

    Raises
    ------
    DataError
        If the shapes differ or a score is NaN.

    Examples
    --------
    >>> roca([False, True, False, True], [-2.0, 0.5, 0.5, 3.0])
    0.875
    """
    return 1.0 - one_minus_roca_percent(roc(is_spam, scores)) / 100.0


def one_minus_roca_percent(curve: Roc) -> float:
    """Return the track's main figure, ``100 (1 − ROCA)``: less is better, 50 is chance.

    Parameters
    ----------
    curve
        The messages, from `roc`.

    Returns
    -------
    float
        Percent; NaN when a class is missing.

    Examples
    --------
    >>> one_minus_roca_percent(roc([False, True, False, True], [-2.0, 0.5, 0.5, 3.0]))
    12.5
    """
    return _area_above(curve, np.ones(curve.is_spam.size, np.int64))


def bootstrap_interval(
    curve: Roc, *, n_resamples: int = 500, level: float = 0.95, seed: int = 0
) -> Interval:
    """Return a bootstrap interval of ``100 (1 − ROCA)``.

    Messages are drawn with replacement, ham from the ham and spam from the spam (the area does
    not depend on their mix, and no resample lacks a class); the interval lies between the
    percentiles of the resamples. Messages count as independent: near copies of one message make
    the interval narrower than it should be.

    Parameters
    ----------
    curve
        The messages, from `roc`.
    n_resamples
        Number of resamples, at least 1.
    level
        Confidence, between 0 and 1.
    seed
        The same seed gives the same interval.

    Raises
    ------
    DataError
        If `n_resamples` or `level` is out of range.

    Examples
    --------
    >>> bootstrap_interval(roc([False, True], [0.0, 1.0]))
    Interval(low=0.0, high=0.0)
    """
    check_resampling(n_resamples, level)
    if not (curve.n_ham and curve.n_spam):
        return Interval(math.nan, math.nan)
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(~curve.is_spam), np.flatnonzero(curve.is_spam)]
    counts = np.zeros(curve.is_spam.size, np.int64)
    figures = np.empty(n_resamples)
    for i in range(n_resamples):
        for positions in members:
            draws = generator.integers(0, positions.size, positions.size, dtype=np.int32)
            counts[positions] = np.bincount(draws, minlength=positions.size)
        figures[i] = _area_above(curve, counts)
    return percentile_interval(figures, level)


def check_resampling(n_resamples: int, level: float) -> None:
    """Refuse what no bootstrap can be made of.

    Raises
    ------
    DataError
        If `n_resamples` or `level` is out of range.
    """
    if n_resamples < 1 or not 0.0 < level < 1.0:
        raise DataError(
            f"a bootstrap needs at least 1 resample and a level between 0 and 1,"
            f" got {n_resamples} and {level}"
        )


def percentile_interval(figures: ArrayLike, level: float) -> Interval:
    """Return the interval between the percentiles of resampled figures.

    Examples
    --------
    >>> percentile_interval([0.0, 1.0, 2.0], 0.5)
    Interval(low=0.5, high=1.5)
    """
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(np.asarray(figures, np.float64), [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def errors_at(is_spam: ArrayLike, scores: ArrayLike, threshold: float = 0.0) -> Errors:
    """Count the errors of calling spam what scores above a threshold.

    Parameters
    ----------
    is_spam, scores
        As for `roc`.
    threshold
        A score equal to it is ham: who knows nothing lets mail pass. The default suits log-odds.

    Raises
    ------
    DataError
        If the shapes differ or a score is NaN.

    Examples
    --------
    >>> errors_at([False, True, False, True], [-2.0, 0.0, 0.5, 3.0])
    Errors(n_ham=2, n_spam=2, n_ham_wrong=1, n_spam_wrong=1)
    """
    truth, values = _checked(is_spam, scores)
    called = values > threshold
    n_spam = int(np.count_nonzero(truth))
    n_caught = int(np.count_nonzero(called & truth))
    n_ham_wrong = int(np.count_nonzero(called)) - n_caught
    return Errors(truth.size - n_spam, n_spam, n_ham_wrong, n_spam - n_caught)


def sm_percent_at_hm(curve: Roc, hm_percent: float) -> float:
    """Return the least spam misclassification that keeps ham misclassification within a limit.

    Parameters
    ----------
    curve
        The messages, from `roc`.
    hm_percent
        The most ham that may be called spam, in percent of the ham. No rate between two
        thresholds is made up: with fewer than ``100 / hm_percent`` ham messages none may be wrong.

    Returns
    -------
    float
        Percent of the spam; NaN when a class is missing.

    Examples
    --------
    >>> sm_percent_at_hm(roc([False, True, False, True], [-2.0, 0.2, 0.5, 3.0]), 0.1)
    50.0
    """
    if not (curve.n_ham and curve.n_spam):
        return math.nan
    # Whole numbers: 0.1 % of 1,000 messages must allow exactly one, whatever floats make of it.
    n_allowed = math.floor(hm_percent * curve.n_ham / 100.0 + 1e-9)
    first = int(np.argmax(curve.n_ham_wrong <= n_allowed))
    return _percent(int(curve.n_spam_wrong[first]), curve.n_spam)


def _area_above(curve: Roc, counts: NDArray[np.int64]) -> float:
    twice, n_ham, n_spam = twice_area(curve.cuts, curve.is_spam, counts)
    whole = 2 * n_ham * n_spam
    return 100.0 * (whole - twice) / whole if whole else math.nan


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else math.nan


def _checked(
    is_spam: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth = np.asarray(is_spam, dtype=np.bool_)
    values = np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != values.shape:
        raise DataError(
            f"truth and scores must be lists of one length, got shapes {truth.shape} and"
            f" {values.shape}"
        )
    if np.isnan(values).any():
        raise DataError(f"a score must be a number, got NaN at {int(np.argmax(np.isnan(values)))}")
    return truth, values
