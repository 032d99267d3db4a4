"""A batch in the form that the learner's kernel takes."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels import learning
from mtspam.model.batch import NO_LABEL, SECONDS_PER_DAY, Batch, Keys
from mtspam.types import NOBODY

__all__ = ["columns_of"]

_LARGEST_WEIGHT = 1e6  # a gradient's square must stay a number; the step is bounded anyway


def columns_of(batch: Batch, keys: Keys, *, is_learning: bool) -> learning.Batch:
    """Return hashes, offsets, facts and real numbers of a batch that was checked.

    Where the register of users is full, a label of somebody without a row teaches nothing: there
    is no place to keep account of what it moves.
    """
    n = len(batch)
    facts: NDArray[np.int64] = np.zeros((n, 7), np.int64)
    facts[:, learning.B_VALUE] = NO_LABEL
    facts[:, learning.B_USER] = keys.users
    facts[:, learning.B_GROUP] = keys.groups
    reals: NDArray[np.float64] = np.zeros((n, 2))
    if batch.priors is not None:
        reals[:, 0] = batch.priors
    reals[:, 1] = 1.0
    if is_learning and batch.values is not None:
        facts[:, learning.B_VALUE] = batch.values
        _tell(batch, keys, facts, reals)
    return batch.features.values, batch.features.offsets, facts, reals


def _tell(batch: Batch, keys: Keys, facts: NDArray[np.int64], reals: NDArray[np.float64]) -> None:
    """Enter what goes with labels, which the kernel looks at where there is one."""
    if batch.users is not None:
        is_named = np.array([key != NOBODY for key in batch.users], np.bool_)
        facts[is_named & (keys.users < 0), learning.B_VALUE] = NO_LABEL
    facts[:, learning.B_PAYER] = keys.users
    if batch.kinds is not None:
        facts[:, learning.B_KIND] = batch.kinds
    if batch.times is not None:
        facts[:, learning.B_DAY] = batch.times // SECONDS_PER_DAY
    if batch.weights is not None:
        reals[:, 1] = np.minimum(batch.weights, _LARGEST_WEIGHT)
