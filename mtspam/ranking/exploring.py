"""Exploration: now and then two neighbours change places, and how likely that was is known."""

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings

__all__ = ["PROPENSITY", "explored"]

PROPENSITY = "propensity"
"""The field of a candidate that says how likely it came to stand where it was shown."""


def explored(
    order: NDArray[np.int64], settings: RankingSettings, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Swap some neighbours among the first places.

    Parameters
    ----------
    order
        Candidates, best first.
    settings
        How many places, how often.
    rng
        What is drawn from.

    Returns
    -------
    order
        As it is to be shown.
    propensities
        How likely the candidate at each place was to come there.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> settings = RankingSettings(explore_places=4, explore_rate=0.5)
    >>> explored(np.arange(5), settings, rng)
    (array([0, 1, 2, 3, 4]), array([0.5, 0.5, 0.5, 0.5, 1. ]))
    """
    out = order.copy()
    propensities = np.ones(len(order))
    n_pairs = min(settings.explore_places, len(order)) // 2
    rate = settings.explore_rate
    if n_pairs == 0 or rate == 0.0:
        return out, propensities
    swaps = rng.random(n_pairs) < rate
    for pair in range(n_pairs):
        places = slice(2 * pair, 2 * pair + 2)
        propensities[places] = rate if swaps[pair] else 1.0 - rate
        if swaps[pair]:
            out[places] = out[places][::-1]
    return out, propensities
