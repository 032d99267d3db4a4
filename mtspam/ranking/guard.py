"""The guard: how far to follow the host, the trees, and the personal part, by evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings

__all__ = [
    "INPUTS",
    "NEW_QUERY",
    "NOBODYS_NEW_QUERY",
    "STRANGER",
    "Guard",
    "bucket_of",
    "host_prior",
]

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
_BOUNDS = (0, 2, 5)
"""Deeds of a user up to which evidence is none, thin, some; above it is much."""
STRANGER, NOBODYS_NEW_QUERY, NEW_QUERY = 0, 4, 5
"""Buckets: users who did nothing yet; queries new to all, of such users and of others."""
_N_BUCKETS = 6


def host_prior(places: Sequence[int]) -> NDArray[np.float64]:
    """Return what places in the host's order are worth: the discount of nDCG, in nats.

    Examples
    --------
    >>> host_prior([0, 1, 2]).round(2).tolist()
    [-0.69, -1.1, -1.39]
    """
    return -np.log(np.array(places, np.float64) + 2.0)


def bucket_of(n_deeds: int, *, is_new_query: bool = False) -> int:
    """Return the bucket of evidence of a user who did so much, from 0 to 5.

    Examples
    --------
    >>> [bucket_of(1), bucket_of(1, is_new_query=True), bucket_of(0, is_new_query=True)]
    [1, 5, 4]
    """
    if is_new_query:
        return NEW_QUERY if n_deeds else NOBODYS_NEW_QUERY
    return sum(n_deeds > bound for bound in _BOUNDS)


class Guard:
    """Weights of what is mixed, learnt online: common ones and what each bucket adds to them.

    A bucket begins with nothing of its own, so that where evidence is thin everybody's weights
    hold; and everybody's begin with the host's order alone where there are no trees. Queries that
    nobody asked before have weights apart: what others teach must not lead them away from the
    host, nor they others towards it.

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
        self.weights = np.zeros((_N_BUCKETS + 1, len(INPUTS)))
        levels = _FIRST_BESIDE_TREES if has_trees else _FIRST_RESIDUAL
        self.weights[0] = (_FIRST_HOST if has_trees else 1.0, *trees, *levels)
        self.weights[1 + NOBODYS_NEW_QUERY :] = self.weights[0]
        self.of_trees = np.array(_OF_TREES)
        self.squares = np.full_like(self.weights, _FIRST_SQUARE)
        self._rate = settings.guard_rate
        # What was never heard must not be learnt to be doubted.
        self.is_free = np.array([True, has_trees, has_trees and share > 0, True, True, True])

    def mix(self, bucket: int) -> NDArray[np.float64]:
        """Return the weight of each input for a user with so much evidence, none below 0."""
        mixed: NDArray[np.float64] = np.maximum(self.weights[_rows(bucket)].sum(axis=0), 0.0)
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
        for row in _rows(bucket):
            self.squares[row] += gradient**2
            self.weights[row] += self._rate * gradient / np.sqrt(self.squares[row])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that was learnt."""
        return {"guard weights": self.weights, "guard squares": self.squares}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave; a version from before new queries has two buckets less."""
        weights, squares = arrays["guard weights"], arrays["guard squares"]
        n = len(weights)
        self.weights[:n], self.weights[n:] = weights, 0.0
        self.squares[:n], self.squares[n:] = squares, _FIRST_SQUARE
        if n <= 1 + NOBODYS_NEW_QUERY:
            self.weights[1 + NOBODYS_NEW_QUERY] = weights[0] + weights[1 + STRANGER]
            self.weights[1 + NEW_QUERY] = weights[0]


def _rows(bucket: int) -> list[int]:
    """Return the rows of weights that add up to those of a bucket."""
    return [1 + bucket] if bucket >= NOBODYS_NEW_QUERY else [0, 1 + bucket]
