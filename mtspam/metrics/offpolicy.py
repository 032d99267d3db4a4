"""What another ranking would have earned, told from logs whose orders were drawn at random."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError

__all__ = ["Estimate", "doubly_robust", "inverse_propensity", "self_normalized"]

_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean reward, and how sure it is.

    Parameters
    ----------
    value
        Reward a request.
    low, high
        Bounds of its 95 % interval, from the normal approximation.
    n_effective
        How many requests of equal weight would tell as much.
    """

    value: float
    low: float
    high: float
    n_effective: float


def inverse_propensity(
    reward: NDArray[np.float64],
    logged: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    cap: float = np.inf,
) -> Estimate:
    """Estimate by weighting each request by how much likelier the target shows what was shown.

    Parameters
    ----------
    reward
        What each request earned, shape ``(n,)``.
    logged
        How likely what was shown was to be shown, above 0, shape ``(n,)``.
    target
        How likely the ranking in question is to show it, shape ``(n,)``.
    cap
        Largest weight; a lower one errs to the low side, and is surer.

    Raises
    ------
    DataError
        If shapes differ, there is no request, or a probability is out of range.

    References
    ----------
    Horvitz and Thompson, "A Generalization of Sampling Without Replacement From a Finite
    Universe", 1952.

    Examples
    --------
    >>> shown = np.array([1.0, 0.0, 1.0, 0.0])
    >>> inverse_propensity(shown, np.full(4, 0.5), np.array([1.0, 0.0, 1.0, 0.0])).value
    1.0
    """
    weights = np.minimum(_weights(reward, logged, target), cap)
    return _estimate(weights * reward, weights)


def self_normalized(
    reward: NDArray[np.float64], logged: NDArray[np.float64], target: NDArray[np.float64]
) -> Estimate:
    """Estimate as `inverse_propensity` does, divided by the mean weight: hardly wrong, far surer.

    Raises
    ------
    DataError
        If shapes differ, there is no request, a probability is out of range, or the target never
        shows what was shown.

    References
    ----------
    Swaminathan and Joachims, "The Self-Normalized Estimator for Counterfactual Learning", 2015.

    Examples
    --------
    >>> reward, even = np.array([1.0, 0.0, 0.0]), np.full(3, 0.5)
    >>> self_normalized(reward, even, np.array([1.0, 1.0, 0.0])).value
    0.5
    """
    weights = _weights(reward, logged, target)
    mean = float(weights.mean())
    if mean == 0.0:
        raise DataError("the ranking in question never shows what was shown: nothing can be told")
    value = float((weights * reward).mean()) / mean
    parts = value + weights * (reward - value) / mean  # the delta method
    found = _estimate(parts, weights)
    return Estimate(value, found.low, found.high, found.n_effective)


def doubly_robust(
    reward: NDArray[np.float64],
    logged: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    expected: NDArray[np.float64],
    expected_target: NDArray[np.float64],
) -> Estimate:
    """Estimate by a model of rewards, put right by what was earned: right if either is.

    Parameters
    ----------
    reward, logged, target
        As in `inverse_propensity`.
    expected
        What a model expects of what was shown, shape ``(n,)``.
    expected_target
        What it expects of what the ranking in question shows, shape ``(n,)``.

    Raises
    ------
    DataError
        If shapes differ, there is no request, or a probability is out of range.

    References
    ----------
    Dudík, Langford and Li, "Doubly Robust Policy Evaluation and Learning", 2011.

    Examples
    --------
    >>> reward, even = np.array([1.0, 0.0]), np.full(2, 0.5)
    >>> doubly_robust(
    ...     reward, even, np.ones(2), expected=reward, expected_target=np.array([1.0, 0.5])).value
    0.75
    """
    weights = _weights(reward, logged, target)
    if expected.shape != reward.shape or expected_target.shape != reward.shape:
        raise DataError(
            f"expected rewards of shape {expected.shape} and {expected_target.shape} do not fit "
            f"rewards of shape {reward.shape}"
        )
    return _estimate(expected_target + weights * (reward - expected), weights)


def _weights(
    reward: NDArray[np.float64], logged: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    if not reward.shape == logged.shape == target.shape or reward.ndim != 1 or not reward.size:
        raise DataError(
            f"rewards, logged and target probabilities have shapes {reward.shape}, "
            f"{logged.shape} and {target.shape}; they must be alike, with a request at least"
        )
    if not (np.all((logged > 0) & (logged <= 1)) and np.all((target >= 0) & (target <= 1))):
        raise DataError("logged probabilities must be above 0, all of them from 0 to 1")
    weights: NDArray[np.float64] = target / logged
    return weights


def _estimate(parts: NDArray[np.float64], weights: NDArray[np.float64]) -> Estimate:
    value = float(parts.mean())
    spread = float(parts.std(ddof=1)) / np.sqrt(parts.size) if parts.size > 1 else np.inf
    squares = float((weights**2).sum())
    n_effective = float(weights.sum()) ** 2 / squares if squares else 0.0
    return Estimate(value, value - _Z_95 * spread, value + _Z_95 * spread, n_effective)
