"""What goes into the learner and what comes out of it: columns, one row a message."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.types import NOBODY, Features, GroupKey, LabelKind, UserKey

__all__ = ["KINDS", "Batch", "Keys", "Scores"]

KINDS = (LabelKind.SPAM, LabelKind.PHISHING, LabelKind.BULK)
"""Label kinds in the order of their numbers in the kernels."""

NO_LABEL = -1
NO_USER = UserKey(NOBODY)
NO_GROUP = GroupKey(NOBODY)
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages in order of arrival, with what is said about them.

    Parameters
    ----------
    features
        The hashed messages.
    users, groups
        Whose they are; ``b""`` for nobody. None: nobody's, all of them.
    values
        The answer to the question `kinds`: 1 yes, 0 no, -1 not told; shape ``(n,)``.
        None: nothing is told.
    kinds
        Index in `KINDS`, shape ``(n,)``. None: the main kind, all of them.
    times
        Unix seconds, shape ``(n,)``. None: all at the same time.
    priors
        Margins of the starter model, shape ``(n,)``. None: there is no starter.
    weights
        How much a label counts, above 0, shape ``(n,)``. None: 1.
    """

    features: Features
    users: Sequence[UserKey] | None = None
    groups: Sequence[GroupKey] | None = None
    values: NDArray[np.int8] | None = None
    kinds: NDArray[np.int8] | None = None
    times: NDArray[np.int64] | None = None
    priors: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, slots=True)
class Keys:
    """Rows of users and groups in the tables of a learner, -1 for who has none; shape ``(n,)``."""

    users: NDArray[np.int64]
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the learner says, before it learns; each entry of shape ``(n,)``.

    Parameters
    ----------
    blend
        Log-odds of spam, all levels together.
    shared
        Log-odds by what everybody's labels (and the starter) say.
    group, personal
        What the levels of group and user add to that.
    phishing, bulk
        Log-odds of the auxiliary heads, 0 where nothing was ever labelled so.
    starter
        What the starter model adds, part of `shared`.
    mistake
        Probability that the label given is a mistake; 0 where none was given.
    """

    blend: NDArray[np.float64]
    shared: NDArray[np.float64]
    group: NDArray[np.float64]
    personal: NDArray[np.float64]
    phishing: NDArray[np.float64]
    bulk: NDArray[np.float64]
    starter: NDArray[np.float64]
    mistake: NDArray[np.float64]

    @property
    def probability(self) -> NDArray[np.float64]:
        """Calibrated probability of spam, all levels together."""
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(self.blend, -40.0, 40.0))))
