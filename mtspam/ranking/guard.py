"""The guard: how far to follow the host, the trees, and the personal part, by evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings

__all__ = ["INPUTS", "Guard", "bucket_of", "host_prior"]

INPUTS = ("host", "click", "conversion", "everyone", "market", "you")
"""What is mixed: the host's order, the trees' two margins, three levels of the personal part."""

_OF_TREES = (False, True, True, False, False, False)
_FIRST_HOST = 0.1
"""Weight of the host's order beside trees, which have seen it already."""
_FIRST_RESIDUAL = (0.5, 0.5, 1.0)
_FIRST_BESIDE_TREES = (0.25, 0.25, 0.5)
"""Of the personal part's levels: less beside trees that know history, too."""
_LEAST_RESIDUAL = (0.1, 0.1, 0.2)
"""What is left of them where they did not help: so little that it decides between near equals."""
_FIRST_SQUARE = 1.0
_BUCKETS = (0, 2, 5)
"""Clicks of a user up to which evidence is none, thin, some; above it is much."""


def host_prior(places: Sequence[int]) -> NDArray[np.float64]:
    """Return what places in the host's order are worth: the discount of nDCG, in nats.

    Examples
    --------
    >>> host_prior([0, 1, 2]).round(2).tolist()
    [-0.69, -1.1, -1.39]
    """
    return -np.log(np.array(places, np.float64) + 2.0)


def bucket_of(n_clicks: int) -> int:
    """Return the bucket of evidence of a user who has clicked so often, from 0 to 3."""
    return sum(n_clicks > bound for bound in _BUCKETS)


class Guard:
    """Weights of what is mixed, learnt online: common ones and what each bucket adds to them.

    A bucket begins with nothing of its own, so that where evidence is thin everybody's weights
    hold; and everybody's begin with the host's order alone where there are no trees.

    Parameters
    ----------
    settings
        Rate.
    has_trees
        Whether there is a trunk.

    Attributes
    ----------
    mostly_trees
        The weights that follow the trees in all but near ties, shape ``(6,)``.
    of_trees
        Which inputs are the trees', shape ``(6,)``.
    is_free
        Which inputs can be heard, so that their weights are learnt; shape ``(6,)``.
    """

    def __init__(self, settings: RankingSettings, *, has_trees: bool) -> None:
        share = settings.conversion_share
        trees = (1.0 - share, share) if has_trees else (0.0, 0.0)
        self.mostly_trees = np.array([0.0, *trees, *_LEAST_RESIDUAL])
        self.weights = np.zeros((len(_BUCKETS) + 2, len(INPUTS)))
        levels = _FIRST_BESIDE_TREES if has_trees else _FIRST_RESIDUAL
        self.weights[0] = (_FIRST_HOST if has_trees else 1.0, *trees, *levels)
        self.of_trees = np.array(_OF_TREES)
        self.squares = np.full_like(self.weights, _FIRST_SQUARE)
        self._rate = settings.guard_rate
        # What was never heard must not be learnt to be doubted.
        self.is_free = np.array([True, has_trees, has_trees and share > 0, True, True, True])

    def mix(self, bucket: int) -> NDArray[np.float64]:
        """Return the weight of each input for a user with so much evidence, none below 0."""
        mixed: NDArray[np.float64] = np.maximum(self.weights[0] + self.weights[1 + bucket], 0.0)
        return mixed

    def step(self, inputs: NDArray[np.float64], bucket: int, push: NDArray[np.float64]) -> None:
        """Move the weights the way a click pushes the candidates.

        Parameters
        ----------
        inputs
            Shape ``(n, 6)``.
        bucket
            Evidence of the user.
        push
            How far each candidate is wanted up or down, shape ``(n,)``.
        """
        gradient = np.where(self.is_free, push @ inputs, 0.0)
        for row in (0, 1 + bucket):
            self.squares[row] += gradient**2
            self.weights[row] += self._rate * gradient / np.sqrt(self.squares[row])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that was learnt."""
        return {"guard weights": self.weights, "guard squares": self.squares}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""
        self.weights = np.array(arrays["guard weights"])
        self.squares = np.array(arrays["guard squares"])
