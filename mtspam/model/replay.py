"""A memory of past messages, for when labels come in one kind at a time.

Who teaches a folder of spam and then a folder of ham teaches, in the end, that all mail is ham: an
online learner moves the weights that the two share towards whatever it saw last. So when one
answer has become rare among the latest labels, a remembered message with that answer is learnt
again beside the new ones. Mail that comes mixed never needs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels import learning
from mtspam.model.batch import Batch
from mtspam.types import NOBODY, UserKey

__all__ = ["REPLAY_ARRAYS", "Remembered", "Replay", "Rows", "interleaved"]

REPLAY_ARRAYS = (
    "replay_values",
    "replay_bounds",
    "replay_priors",
    "replay_users",
    "replay_state",
    "replay_counts",
    "replay_chance",
)
"""Names of the arrays in which a memory is kept."""

_KEY_BYTES = 16
_FIRST_BALANCE = 0.5
_LEAST = 16  # messages with an answer before it is brought back: one may be a mistake
# Multiplier of a full-period generator modulo 2^64 (Knuth's MMIX): which memory makes room is
# neither the oldest nor one that a sender could predict, and the same in every fold.
_FACTOR = 6364136223846793005
_STEP = 1442695040888963407
_WORD = (1 << 64) - 1


@dataclass(slots=True)  # frozen ones take three times as long to make
class Remembered:
    """A message that was learnt: hashes, bounds of its views, who labelled it, the prior."""

    values: NDArray[np.uint32]
    bounds: NDArray[np.int64]
    user: UserKey
    prior: float


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a batch in the order of learning, remembered messages put between.

    Parameters
    ----------
    sources
        For each row, which message of the batch it is, or which it was put behind, shape ``(m,)``.
    again
        For each row, the remembered message, or None for a message of the batch itself.
    callers
        For each row, the user of its source.
    """

    sources: NDArray[np.int64]
    again: list[Remembered | None]
    callers: list[UserKey]

    @property
    def is_own(self) -> NDArray[np.bool_]:
        """Which rows are messages of the batch itself, shape ``(m,)``."""
        return np.array([one is None for one in self.again], np.bool_)


class Replay:
    """Remembers up to so many messages of each answer and says when to learn one again.

    Parameters
    ----------
    room
        Messages remembered of each answer; 0: none.
    share
        Below this share among the latest labels an answer is brought back.
    memory
        How many labels "the latest" are, about.
    """

    def __init__(self, room: int, share: float, memory: float) -> None:
        self._room = room
        self._share = share
        self._rate = 1.0 / memory
        self._kept: tuple[list[Remembered], list[Remembered]] = ([], [])
        self._next = [0, 0]
        self._balance = _FIRST_BALANCE
        self._chance = 1

    def plan(self, batch: Batch, told: NDArray[np.int64]) -> Rows | None:
        """Remember the labels of a batch and say which to learn again, and where.

        Parameters
        ----------
        batch
            The messages.
        told
            Rows with an answer to the main question, rising.

        Returns
        -------
        Rows or None
            None where nothing is to be learnt again.
        """
        if not self._room or batch.values is None:
            return None
        sources: list[int] = []
        again: list[Remembered | None] = []
        done = 0
        for row in told.tolist():
            sources += range(done, row + 1)
            again += [None] * (row + 1 - done)
            done = row + 1
            answer = int(batch.values[row])
            self._count(answer)
            self._remember(batch, row, answer)
            rare = 1 - answer
            share = self._balance if rare else 1.0 - self._balance
            if share < self._share and len(self._kept[rare]) >= _LEAST:
                sources.append(row)
                again.append(self._recall(rare))
                self._count(rare)
        if len(sources) == done:
            return None
        sources += range(done, len(batch))
        again += [None] * (len(batch) - done)
        users = batch.users or [UserKey(NOBODY)] * len(batch)
        return Rows(np.array(sources, np.int64), again, [users[source] for source in sources])

    def _count(self, answer: int) -> None:
        self._balance += self._rate * (answer - self._balance)

    def _recall(self, answer: int) -> Remembered:
        kept = self._kept[answer]
        self._next[answer] = (self._next[answer] + 1) % len(kept)
        return kept[self._next[answer]]

    def _remember(self, batch: Batch, row: int, answer: int) -> None:
        bounds = batch.features.offsets[row]
        first = int(bounds[0])
        remembered = Remembered(
            batch.features.values[first : int(bounds[-1])].copy(),
            bounds - first,
            UserKey(NOBODY) if batch.users is None else batch.users[row],
            0.0 if batch.priors is None else float(batch.priors[row]),
        )
        kept = self._kept[answer]
        if len(kept) < self._room:
            kept.append(remembered)
            return
        self._chance = (self._chance * _FACTOR + _STEP) & _WORD
        kept[(self._chance >> 33) % self._room] = remembered

    # What is kept and brought back.

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the memory by name, for a snapshot."""
        every = [*self._kept[0], *self._kept[1]]
        values = [one.values for one in every]
        keys = b"".join(one.user.ljust(_KEY_BYTES, b"\0") for one in every)
        width = len(every[0].bounds) if every else 1
        bounds = np.array([one.bounds for one in every], np.int64).reshape(len(every), width)
        return {
            "replay_values": np.concatenate(values) if values else np.empty(0, np.uint32),
            "replay_bounds": bounds,
            "replay_priors": np.array([one.prior for one in every], np.float64),
            "replay_users": np.frombuffer(keys, np.uint8).reshape(len(every), _KEY_BYTES),
            "replay_state": np.array([self._balance]),
            "replay_counts": np.array([len(self._kept[0]), *self._next], np.int64),
            "replay_chance": np.array([self._chance], np.uint64),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the memory back from what :meth:`arrays` gave.

        Raises
        ------
        KeyError
            Where an array is missing.
        """
        values, bounds = arrays["replay_values"], arrays["replay_bounds"]
        starts = np.concatenate([[0], np.cumsum(bounds[:, -1])]).astype(np.int64)
        n_ham, self._next[0], self._next[1] = arrays["replay_counts"].tolist()
        self._balance = float(arrays["replay_state"][0])
        self._chance = int(arrays["replay_chance"][0])
        every = [
            Remembered(
                values=values[starts[row] : starts[row + 1]],
                bounds=bounds[row],
                user=UserKey(_unpadded(arrays["replay_users"][row])),
                prior=float(arrays["replay_priors"][row]),
            )
            for row in range(len(bounds))
        ]
        self._kept = (every[:n_ham], every[n_ham:])


def _unpadded(key: NDArray[np.uint8]) -> bytes:
    return key.tobytes() if key.any() else NOBODY


def interleaved(columns: learning.Batch, rows: Rows) -> learning.Batch:
    """Return the columns of all rows: the batch's own, remembered messages put between.

    A remembered message is learnt again for its user only if that user's label called it back;
    whoever called it back pays for what it moves.
    """
    values, offsets, facts, reals = columns
    blocks = [values]
    offsets = offsets[rows.sources]
    facts = facts[rows.sources]
    reals = reals[rows.sources]
    end = len(values)
    for row, one in enumerate(rows.again):
        if one is None:
            continue
        blocks.append(one.values)
        offsets[row] = one.bounds + end
        end += len(one.values)
        facts[row, learning.B_VALUE] = 1 - facts[row, learning.B_VALUE]
        facts[row, learning.B_GROUP] = -1
        facts[row, learning.B_AGAIN] = 1
        if one.user != rows.callers[row]:
            facts[row, learning.B_USER] = -1
        reals[row] = one.prior, 1.0
    return np.concatenate(blocks), offsets, facts, reals
