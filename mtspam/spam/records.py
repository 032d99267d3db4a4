"""What the filter takes and what it says: records without behaviour."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.types import Label, Verdict

__all__ = [
    "Explanation",
    "FoldCheck",
    "FoldReport",
    "Judgement",
    "Judgements",
    "LabelledMessage",
    "LearnSummary",
    "Reason",
    "Status",
    "UserInfo",
]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the filter says about one message.

    Parameters
    ----------
    verdict
        Ham, unsure or spam.
    score
        Log-odds of spam, all levels together.
    probability
        Calibrated probability of spam.
    shared, group, personal
        Log-odds by what everybody's labels say; what the levels of group and user add to that.
    starter
        What the starter model adds, part of `shared`.
    phishing, bulk
        Probability by the auxiliary heads; None where nothing was ever labelled so, or the
        message has nothing that they know.
    defects
        What is wrong with the message's form.
    id
        Stands for the message in the journal, in hexadecimal.
    """

    verdict: Verdict
    score: float
    probability: float
    shared: float
    group: float
    personal: float
    starter: float
    phishing: float | None
    bulk: float | None
    defects: tuple[str, ...]
    id: str


@dataclass(frozen=True, slots=True)
class Judgements:
    """What the filter says about many messages, column by column; see `Judgement`.

    `phishing` and `bulk` are not a number where that has None.
    """

    verdicts: list[Verdict]
    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    shared: NDArray[np.float64]
    group: NDArray[np.float64]
    personal: NDArray[np.float64]
    starter: NDArray[np.float64]
    phishing: NDArray[np.float64]
    bulk: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.verdicts)


@dataclass(frozen=True, slots=True)
class LabelledMessage:
    """A message and what somebody says about it.

    Parameters
    ----------
    raw
        As received.
    label
        What it is.
    user, group
        Who says so, and their group; None: the administrator, for everybody.
    time
        Unix seconds; None: now.
    source
        Where the label came from.
    """

    raw: bytes
    label: Label
    user: str | None = None
    group: str | None = None
    time: int | None = None
    source: str = "api"


@dataclass(frozen=True, slots=True)
class LearnSummary:
    """What became of labels: new ones, ones that stood already, changed minds."""

    n_messages: int
    n_new: int
    n_same: int
    n_changed: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature and what it adds to the log-odds of spam, level by level."""

    view: str
    kind: str
    text: str
    shared: float
    group: float
    personal: float

    @property
    def total(self) -> float:
        """All levels together."""
        return self.shared + self.group + self.personal


@dataclass(frozen=True, slots=True)
class Explanation:
    """A judgement and what it rests on.

    Parameters
    ----------
    judgement
        The verdict.
    reasons
        The features that say most, strongest first.
    views
        What each view says in all: name, shared, group, personal.
    """

    judgement: Judgement
    reasons: tuple[Reason, ...]
    views: tuple[tuple[str, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class FoldReport:
    """A fold: labels learnt, position in the journal, how long it took."""

    n_events: int
    position: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FoldCheck:
    """Whether the snapshot equals the journal's fold up to the place that it names.

    Parameters
    ----------
    is_equal
        Whether it does, bit for bit.
    n_events
        Events in the journal, all of them sound.
    differences
        What does not equal the fold: fields of its header and arrays.
    position, head
        The snapshot's place in the journal, and the journal's last: a snapshot that is behind is
        no fault, its readers learn the rest from the journal.
    n_corrections
        Labels taken back or changed that the snapshot learnt as steps to the contrary; with any
        it is no fold of the journal.
    """

    is_equal: bool
    n_events: int
    differences: tuple[str, ...]
    position: int
    head: int
    n_corrections: int = 0


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user with labels.

    Parameters
    ----------
    key
        In hexadecimal; names are not stored.
    n_labels, n_spam
        Answers to the main question, and how many of them were spam.
    first_time, last_time
        Unix seconds of the first and the last label.
    moved
        How far the user's labels moved the shared level in all, in log-odds at most.
    """

    key: str
    n_labels: int
    n_spam: int
    first_time: int
    last_time: int
    moved: float


@dataclass(frozen=True, slots=True)
class Status:
    """What the state holds; `position` and `head` are places in the journal."""

    state: str
    n_events: int
    labels: dict[str, int]
    n_users: int
    position: int
    head: int
    is_current: bool
    is_exact: bool
    noise: float
    bytes_on_disk: int
    has_starter: bool
    settings_digest: str
