"""How much each feature of a message says, level by level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels.crossing import crossed_weights
from mtspam.kernels.learning import LARGEST_MARGIN
from mtspam.model.batch import NO_GROUP, NO_USER
from mtspam.model.learner import Learner
from mtspam.types import Example, GroupKey, UserKey

__all__ = ["Contribution", "contributions", "explain_one"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What the features of one view add to the score, level by level; each of shape ``(n,)``.

    Where they say more than a view may say in all, each is shrunk alike.
    """

    shared: NDArray[np.float64]
    group: NDArray[np.float64]
    personal: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """All levels together."""
        return self.shared + self.group + self.personal


def explain_one(
    learner: Learner, example: Example, user: UserKey = NO_USER, group: GroupKey = NO_GROUP
) -> tuple[Contribution, ...]:
    """Return what each feature of an example adds to the log-odds of spam, view by view.

    Parameters
    ----------
    learner
        The model.
    example
        The hashed message; its views need not be sorted, each hash once.
    user, group
        For whom.

    Examples
    --------
    >>> from mtspam.config import ModelSettings
    >>> learner = Learner(ModelSettings(shared_bits=10, personal_bits=10), n_views=1)
    >>> spam = Example((np.array([1, 2, 3], np.uint32),))
    >>> learner.learn_one(spam, 1)
    >>> [bool(said > 0) for said in explain_one(learner, spam)[0].total]
    [True, True, True]
    """
    return tuple(
        contributions(learner, view, features, user=user, group=group)
        for view, features in enumerate(example.views)
    )


def contributions(
    learner: Learner,
    view: int,
    features: NDArray[np.uint32],
    *,
    user: UserKey = NO_USER,
    group: GroupKey = NO_GROUP,
) -> Contribution:
    """Return what each feature of a view adds to the log-odds of spam.

    Parameters
    ----------
    learner
        The model.
    view
        Which view it is.
    features
        All hashes of that view, shape ``(n,)``.
    user, group
        For whom.
    """
    arrays = learner.weights()
    n = len(features)
    nothing = np.zeros(n)
    if not n:
        return Contribution(nothing, nothing, nothing)
    mix = learner.mixing_weights[view]
    share = mix / np.sqrt(n)
    table = arrays["shared_weights"][view]
    shared = table[features & np.uint32(len(table) - 1)].astype(np.float64) * share
    row = view - (learner.n_views - len(arrays["personal_weights"]))
    of_group = of_user = nothing
    if row >= 0 and learner.groups.n_labels(group):
        of_group = share * _crossed(arrays["group_weights"][row], features, group)
    if row >= 0 and user in learner.users:
        evidence = learner.evidence(user)
        of_user = evidence * share * _crossed(arrays["personal_weights"][row], features, user)
    most = mix * LARGEST_MARGIN
    return Contribution(*(_limited(level, most) for level in (shared, of_group, of_user)))


def _limited(said: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Shrink what features say to what their view may say in all."""
    total = abs(float(said.sum()))
    return said * (most / total) if total > most else said


def _crossed(
    table: NDArray[np.float32], features: NDArray[np.uint32], key: bytes
) -> NDArray[np.float64]:
    """Weights of features crossed with a key."""
    weights = np.empty(len(features))
    salt = np.uint64(int.from_bytes(key[:8], "little"))
    crossed_weights(features, salt, table, weights)
    return weights
