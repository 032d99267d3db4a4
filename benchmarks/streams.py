"""What is judged: messages in order with what is true and what is said of them, and vectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EVERYTHING",
    "MailTask",
    "Message",
    "VectorTask",
    "flip_feedback",
    "parts_of",
    "thin",
    "truth_of",
    "withhold_users",
]

EVERYTHING = "all"
"""The part of a task that holds every message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a stream.

    Parameters
    ----------
    path
        Its name, unique within the stream.
    raw
        The message as it came.
    is_spam
        The truth, which figures are computed against.
    said_spam
        What the feedback says; differs from the truth under label noise alone.
    has_feedback
        Whether anybody ever says anything about it.
    user
        Whose mail it is, if that is known.
    time
        Unix seconds, if known.
    part
        The part of the task whose figures it counts in, besides those over everything.
    list_name
        The list that the users disagree about, if they do.
    """

    path: str
    raw: bytes
    is_spam: bool
    said_spam: bool
    has_feedback: bool = True
    user: str | None = None
    time: int | None = None
    part: str = ""
    list_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTask:
    """A stream to be judged one message after the other, each before its own label is learnt.

    Parameters
    ----------
    name
        Short and fit for a file name; a dot separates corpus and variant.
    title
        What it is, for a table.
    rule
        Order, feedback and preparation, in a sentence or two.
    stream
        The messages in order.
    warm
        Messages learnt beforehand, in order, without being judged.
    has_peers
        False when only mtspam can do it (a filter that was trained before it is installed).
    """

    name: str
    title: str
    rule: str
    stream: tuple[Message, ...]
    warm: tuple[Message, ...] = ()
    has_peers: bool = True

    @property
    def has_users(self) -> bool:
        """Whether any message of the stream belongs to a known user."""
        return any(message.user is not None for message in self.stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorTask:
    """Word counts: public mail to begin with, then one inbox for each user.

    Parameters
    ----------
    name, title, rule
        As in `MailTask`.
    train
        Lines ``label word:count word:count …`` with label 1 for spam and -1 for ham.
    inboxes
        For each user the lines of the inbox.
    """

    name: str
    title: str
    rule: str
    train: tuple[str, ...]
    inboxes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def truth_of(stream: Sequence[Message]) -> NDArray[np.bool_]:
    """Return which messages are spam, shape ``(n,)``."""
    return np.array([message.is_spam for message in stream], dtype=np.bool_)


def parts_of(stream: Sequence[Message]) -> dict[str, NDArray[np.bool_]]:
    """Return a mask for each part of the stream, the whole first."""
    parts = {EVERYTHING: np.ones(len(stream), dtype=np.bool_)}
    for name in sorted({message.part for message in stream} - {""}):
        parts[name] = np.array([message.part == name for message in stream], dtype=np.bool_)
    return parts


def withhold_users(task: MailTask) -> MailTask:
    """Return the same task for one pooled filter, which is not told whose mail it sees."""
    stream, warm = (
        tuple(replace(message, user=None) for message in part) for part in (task.stream, task.warm)
    )
    return replace(task, stream=stream, warm=warm)


def thin(stream: Sequence[Message], at_most: int | None) -> tuple[Message, ...]:
    """Keep evenly spaced messages in order, so that the mix over time stays as it is."""
    if at_most is None or len(stream) <= at_most:
        return tuple(stream)
    kept = np.linspace(0, len(stream) - 1, at_most).astype(np.int64)
    return tuple(stream[int(i)] for i in kept)


def flip_feedback(stream: Sequence[Message], share: float, seed: int) -> tuple[Message, ...]:
    """Flip the label of a uniformly drawn share of the feedback; the truth stays.

    One draw a message is compared with the share, so that at one seed the flips of a smaller
    share are among those of a larger one.
    """
    draws = np.random.default_rng(seed).random(len(stream))
    return tuple(
        replace(message, said_spam=message.said_spam != bool(draw < share))
        for message, draw in zip(stream, draws, strict=True)
    )
