"""The starter model: a small frozen level with a public seed, for before the first label."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import ModelError
from mtspam.kernels.starter import starter_margin, starter_margins
from mtspam.model.checks import check_features
from mtspam.model.learner import Learner
from mtspam.types import Features

__all__ = ["PUBLIC_SEED", "Starter"]

PUBLIC_SEED = 0x6D747370616D2D31
"""Seed of the starter's features, the same everywhere ("mtspam-1")."""

_LIMIT = 8.0
_SEED = np.uint64(PUBLIC_SEED)
_INT8 = 127


class Starter:
    """Weights of one byte that never change.

    Parameters
    ----------
    weights
        Shape ``(n_views, power of two)``.
    scales
        What a weight of one is worth in each view, shape ``(n_views,)``.
    bias
        Log-odds of a message that no weight knows.

    Raises
    ------
    ModelError
        Where the arrays do not fit each other.
    """

    def __init__(
        self, weights: NDArray[np.int8], scales: NDArray[np.float64], bias: float
    ) -> None:
        size = weights.shape[-1]
        if weights.ndim != 2 or weights.dtype != np.int8 or size & (size - 1):  # noqa: PLR2004 - views by buckets
            raise ModelError(f"starter weights have shape {weights.shape} of {weights.dtype}")
        if scales.shape != weights.shape[:1]:
            raise ModelError(f"starter scales have shape {scales.shape}, not {weights.shape[:1]}")
        self._weights = weights
        self._scales = scales
        self._bias = bias

    def margins(self, features: Features) -> NDArray[np.float64]:
        """Return the log-odds of spam of messages hashed with `PUBLIC_SEED`, shape ``(n,)``.

        Raises
        ------
        ModelError
            Where the block does not fit, as by another number of views.
        """
        out = np.full(len(features), self._bias)
        if not len(features):
            return out
        check_features(features, len(self._scales))
        starter_margins(
            features.values, features.offsets, self._weights, self._scales, _LIMIT, out
        )
        return out

    def margin_of(self, bases: NDArray[np.uint64], counts: NDArray[np.int64]) -> float:
        """Return the log-odds of one message by its base hashes, as :meth:`margins` does.

        Parameters
        ----------
        bases
            Base hashes of each view, shape ``(n_views, room)``.
        counts
            How many of them count, shape ``(n_views,)``.

        Raises
        ------
        ModelError
            Where there is another number of views, or more counted than there are.
        """
        n_views = len(self._scales)
        for n in (len(bases), len(counts)):
            if n != n_views:
                raise ModelError(f"the message has {n} views; the starter has {n_views}")
        if max(counts.tolist()) > bases.shape[1]:
            raise ModelError(f"more hashes are counted than the {bases.shape[1]} of a view")
        return starter_margin(
            bases, counts, _SEED, self._weights, self._scales, _LIMIT, self._bias
        )

    def contributions(self, view: int, features: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return what each feature of a view adds to the margin, before its limit; shape ``(n,)``.

        Parameters
        ----------
        view
            Which view it is.
        features
            All hashes of that view by `PUBLIC_SEED`, shape ``(n,)``.
        """
        table = self._weights[view]
        weights = table[features & np.uint32(len(table) - 1)].astype(np.float64)
        return np.asarray(weights * self._scales[view] / np.sqrt(max(1, len(features))))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state by name, for a snapshot."""
        return {
            "weights": self._weights,
            "scales": self._scales,
            "bias": np.array([self._bias]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Bring back a starter from what :meth:`arrays` gave.

        Raises
        ------
        ModelError
            Where an array is missing or does not fit.
        """
        try:
            return cls(arrays["weights"], arrays["scales"], float(arrays["bias"][0]))
        except KeyError as error:
            raise ModelError(f"the starter model lacks its array {error}") from None

    @classmethod
    def distil(
        cls, learner: Learner, *, bits: int, shares: NDArray[np.float64], bias: float
    ) -> Self:
        """Cut a learner's shared level down to a starter.

        Parameters
        ----------
        learner
            Trained on messages hashed with `PUBLIC_SEED`.
        bits
            The table has two to this power weights a view, at most as many as the learner's.
        shares
            Weight of each view in the sum, shape ``(n_views,)``; 0 leaves it out.
        bias
            Log-odds added to the sum.

        Raises
        ------
        ModelError
            Where the learner's tables are smaller.
        """
        whole = learner.arrays()["shared_weights"]
        if not 0 <= bits <= learner.settings.shared_bits:
            raise ModelError(f"bits are {bits}; they must be 0 to {learner.settings.shared_bits}")
        folded = whole.reshape(len(whole), -1, 1 << bits).sum(axis=1) * (shares != 0)[:, None]
        # The few largest weights are cut off: they would leave too few steps to all others.
        top = np.quantile(np.abs(folded), 0.9999, axis=1)
        top = np.where(top > 0, top, 1.0)
        weights = np.rint(np.clip(folded / top[:, None], -1, 1) * _INT8).astype(np.int8)
        return cls(weights, np.asarray(top / _INT8 * shares), bias)
