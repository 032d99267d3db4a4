"""What a learner must offer to be evaluated, and the batches that it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtspam.evaluate.corpus import IndexedMessage
from mtspam.types import NOBODY, Features, Label, UserKey

__all__ = ["LabelledBatch", "MailPreparer", "Progressive", "ScoreColumns", "Scores"]


class ScoreColumns(Protocol):
    """What a learner says about a batch, one entry a message, log-odds but for the last."""

    @property
    def shared(self) -> NDArray[np.float64]:
        """What everybody's labels say."""
        ...

    @property
    def personal(self) -> NDArray[np.float64]:
        """What the user's own labels say; 0 for who has none."""
        ...

    @property
    def blend(self) -> NDArray[np.float64]:
        """The score of the verdict; spam above 0."""
        ...

    @property
    def probability(self) -> NDArray[np.float64]:
        """The calibrated probability of spam."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """`ScoreColumns` as a record, each of shape ``(n,)``."""

    shared: NDArray[np.float64]
    personal: NDArray[np.float64]
    blend: NDArray[np.float64]
    probability: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBatch:
    """Messages in order of arrival, with what is said about them.

    Parameters
    ----------
    features
        The hashed messages, one block.
    users
        Whose they are, `mtspam.types.NOBODY` if nobody's.
    labels
        What they are.
    has_feedback
        Whether the learner is told, shape ``(n,)``. Where it is not, `labels` must not be read.
    times
        Unix seconds, 0 if unknown, shape ``(n,)``.
    priors
        What a starter model says, in log-odds, shape ``(n,)``; None without one.
    """

    features: Features
    users: Sequence[UserKey]
    labels: Sequence[Label]
    has_feedback: NDArray[np.bool_]
    times: NDArray[np.int64]
    priors: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.features)


class Progressive(Protocol):
    """A learner that can be tested while it learns."""

    def predict(self, batch: LabelledBatch) -> ScoreColumns:
        """Score all messages by what is learnt so far; learn nothing."""
        ...

    def progress(self, batch: LabelledBatch) -> ScoreColumns:
        """Score each message by what is learnt before it, then learn it if it has feedback."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MailPreparer:
    """Turns messages into a batch; the first half of what scoring costs.

    Parameters
    ----------
    extract
        Raw messages to one block of features, in order, and a starter's margins if there is one.
    user_key
        A user as the index names them to their key.
    """

    extract: Callable[[Sequence[bytes]], tuple[Features, NDArray[np.float64] | None]]
    user_key: Callable[[str], UserKey]

    def __call__(self, messages: Sequence[IndexedMessage]) -> LabelledBatch:
        """Hash the messages and key their users.

        Parameters
        ----------
        messages
            In order of arrival.

        Returns
        -------
        LabelledBatch
            In the same order.
        """
        entries = [message.entry for message in messages]
        features, priors = self.extract([message.raw for message in messages])
        return LabelledBatch(
            features=features,
            users=[
                UserKey(NOBODY) if entry.user is None else self.user_key(entry.user)
                for entry in entries
            ],
            labels=[entry.label for entry in entries],
            has_feedback=np.array([entry.has_feedback for entry in entries], np.bool_),
            times=np.array([entry.time or 0 for entry in entries], np.int64),
            priors=priors,
        )
