"""The personal part: what the trees do not know of everybody's, a market's and a user's taste."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings
from mtspam.errors import ModelError
from mtspam.kernels import residual as kernels

__all__ = ["LEVELS", "CandidateHashes", "Residual"]

LEVELS = ("everyone", "market", "you")

_FIRST_SQUARE = 1e-2
"""Where the sums of squares begin: a first step of whole length would be a single click's word."""

CandidateHashes = tuple[NDArray[np.uint64], NDArray[np.int64]]
"""Hashes of all candidates, and where those of each begin and, last, end."""


class Residual:
    """Additive weights of hashed features on three levels, moved by each click.

    Parameters
    ----------
    settings
        Sizes and rates.
    """

    def __init__(self, settings: RankingSettings) -> None:
        size = 1 << settings.residual_bits
        self.weights = np.zeros((len(LEVELS), size), np.float32)
        self.squares = np.full(size, _FIRST_SQUARE, np.float32)
        market, personal = settings.market_rate, settings.personal_rate
        self._rates = np.array([market, market, personal])
        self._decay = settings.residual_decay

    def margins(self, hashes: CandidateHashes, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Return what each level says of each candidate, shape ``(n, 3)``.

        Parameters
        ----------
        hashes
            Of the candidates.
        keys
            Of everybody (0), the market and the user; 0: not known.
        """
        out = np.empty((len(hashes[1]) - 1, len(LEVELS)))
        kernels.level_margins(*hashes, keys, self.weights, out)
        return out

    def step(
        self, hashes: CandidateHashes, keys: NDArray[np.uint64], push: NDArray[np.float64]
    ) -> None:
        """Move the weights of candidates the way they are pushed."""
        kernels.step_levels(
            *hashes, keys, self.weights, self.squares, push, self._rates, self._decay
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that was learnt."""
        return {"residual weights": self.weights, "residual squares": self.squares}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave.

        Raises
        ------
        ModelError
            If it is of another size.
        """
        weights, squares = arrays["residual weights"], arrays["residual squares"]
        if weights.shape != self.weights.shape or squares.shape != self.squares.shape:
            raise ModelError(
                f"the personal part has tables of shape {weights.shape}, the settings ask for "
                f"{self.weights.shape}"
            )
        self.weights, self.squares = np.array(weights), np.array(squares)
