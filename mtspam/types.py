"""Words that every room shares: labels, verdicts, keys and the hashed example."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOBODY", "Example", "Features", "GroupKey", "Label", "LabelKind", "UserKey", "Verdict"]

UserKey = NewType("UserKey", bytes)
GroupKey = NewType("GroupKey", bytes)

NOBODY = b""
"""The key of no user and of no group: its labels move the shared level alone."""


class Label(StrEnum):
    """What somebody says about a message."""

    HAM = "ham"
    SPAM = "spam"
    PHISHING = "phishing"
    BULK = "bulk"


class LabelKind(StrEnum):
    """A question about a message that has a yes or no answer; spam is the main one.

    *ham* and *spam* answer `SPAM` with no and yes, *phishing* answers both `SPAM` and `PHISHING`
    with yes, *bulk* answers `BULK` alone: whether a newsletter is spam is its reader's business.
    """

    SPAM = "spam"
    PHISHING = "phishing"
    BULK = "bulk"


class Verdict(StrEnum):
    """What the filter says about a message."""

    HAM = "ham"
    UNSURE = "unsure"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Example:
    """A message as the learner sees it: one set of feature hashes for each view.

    Parameters
    ----------
    views
        For each view, in the order of the extractor that made them, the distinct 32-bit hashes in
        rising order, shape ``(n_features,)``, C-contiguous. A view may be empty.
    """

    views: tuple[NDArray[np.uint32], ...]


@dataclass(frozen=True, slots=True)
class Features:
    """Many messages as the learner takes them: one block of hashes.

    Parameters
    ----------
    values
        The hashes of all views of all messages, shape ``(n_features,)``. Within a view they are
        distinct; their order does not matter.
    offsets
        Where each view of each message begins in `values` and, last, where the message ends,
        shape ``(n_messages, n_views + 1)``.
    """

    values: NDArray[np.uint32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)

    @classmethod
    def from_examples(cls, examples: Sequence[Example]) -> "Features":
        """Join examples of equally many views into one block."""
        sizes = [[len(view) for view in example.views] for example in examples]
        n_views = len(sizes[0]) if sizes else 0
        bounds = np.concatenate([[0], np.cumsum(np.array(sizes, np.int64).reshape(-1))])
        starts = np.arange(len(examples))[:, None] * n_views + np.arange(n_views + 1)
        views = [view for example in examples for view in example.views]
        values = np.concatenate(views) if views else np.empty(0, np.uint32)
        return cls(values.astype(np.uint32, copy=False), bounds[starts].astype(np.int64))
