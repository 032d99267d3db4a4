"""The live model: arrays in shared memory that the writer changes and the workers read.

There are a few slots of equal layout, anonymous files that every process inherits, and a control
page that says which slot is the model now. A new generation is laid out in a slot that nobody
reads and then named on the page, so that readers never wait and never see half a model.
"""

import mmap
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.config import Settings
from mtspam.mail.views import N_VIEWS
from mtspam.model import Learner, Starter

__all__ = ["LiveArea", "LiveState", "LiveView", "copy_sparsely"]

N_SLOTS = 3
"""One in use, one being laid out, and one for a reader that is late by a generation."""

_PAGE_BYTES = 4096
_WORD_BYTES = 8
_N_WORDS = _PAGE_BYTES // _WORD_BYTES
# Words of the control page; behind them, for each slot, rows of users and rows of groups.
_GENERATION, _POSITION, _CORRECTIONS, _REFOLDS, _SNAPSHOT, _WAITING, _WRITER = range(7)
_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """What there is to say of the model now.

    Parameters
    ----------
    generation
        Models laid out so far; 0: there is none yet.
    position
        Place in the journal up to which it has learnt.
    n_users, n_groups
        Who has labels of their own.
    n_corrections
        Labels taken back or changed since it was last folded; 0: it is exact.
    n_refolds
        How often it was folded anew while serving.
    snapshot_position
        Place in the journal of the last snapshot.
    n_waiting
        Labels that the writer has taken but not yet written, when it last looked.
    writer
        The writer's process, 0 if there is none.
    """

    generation: int
    position: int
    n_users: int
    n_groups: int
    n_corrections: int
    n_refolds: int
    snapshot_position: int
    n_waiting: int
    writer: int


class LiveArea:
    """The slots and the control page; made before the fork, so that all processes have them.

    Parameters
    ----------
    settings
        They set the sizes; for others there must be another area.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.model
        self.digest = settings.digest()
        self._layout: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
        size = 0
        for name, array in Learner(self.settings, N_VIEWS).room().items():
            self._layout[name] = (array.dtype, array.shape, size)
            size += -(-array.nbytes // _PAGE_BYTES) * _PAGE_BYTES
        self._size = size
        self._slots = [os.memfd_create(f"mtspam-live-{n}") for n in range(N_SLOTS)]
        for slot in self._slots:
            os.ftruncate(slot, size)
        self._page = mmap.mmap(-1, _PAGE_BYTES)
        self._words = memoryview(self._page).cast("q")

    def close(self) -> None:
        """Let go of the memory; who has mapped it keeps it."""
        while self._slots:
            os.close(self._slots.pop())

    # Reading.

    @property
    def generation(self) -> int:
        """How many models were laid out so far; 0: there is none yet."""
        return self._words[_GENERATION]

    @property
    def n_rows(self) -> tuple[int, int]:
        """How many users and how many groups are known."""
        at = _ROWS + 2 * (self._words[_GENERATION] % N_SLOTS)
        return self._words[at], self._words[at + 1]

    def state(self) -> LiveState:
        """Sum up what the control page says."""
        n_users, n_groups = self.n_rows
        words = self._words
        return LiveState(
            generation=words[_GENERATION],
            position=words[_POSITION],
            n_users=n_users,
            n_groups=n_groups,
            n_corrections=words[_CORRECTIONS],
            n_refolds=words[_REFOLDS],
            snapshot_position=words[_SNAPSHOT],
            n_waiting=words[_WAITING],
            writer=words[_WRITER],
        )

    def mapped(self, generation: int) -> Learner:
        """Return a learner over a generation's arrays; what it would write, only it would see."""
        # A private mapping shows what others write as long as the page is not written here; the
        # kernels insist on arrays that may be written to, and predicting never does.
        slot = self._slots[generation % N_SLOTS]
        memory = mmap.mmap(slot, self._size, access=mmap.ACCESS_COPY)
        return Learner.over(self.settings, self._arrays(memory), self.n_rows)

    def _arrays(self, memory: mmap.mmap) -> dict[str, NDArray[Any]]:
        data = np.frombuffer(memory, np.uint8)
        arrays = {}
        for name, (dtype, shape, start) in self._layout.items():
            n_bytes = dtype.itemsize * int(np.prod(shape))
            arrays[name] = data[start : start + n_bytes].view(dtype).reshape(shape)
        return arrays

    # Writing: the writer alone.

    def publish(self, learner: Learner) -> Learner:
        """Lay a model out in the next slot and make it the one that all read.

        Returns
        -------
        Learner
            The same model over the shared arrays: what it learns shows in all processes.
        """
        generation = self.generation + 1
        memory = mmap.mmap(self._slots[generation % N_SLOTS], self._size)
        memory.madvise(mmap.MADV_REMOVE)
        arrays = self._arrays(memory)
        for name, array in learner.room().items():
            copy_sparsely(array, arrays[name])
        n_rows = (len(learner.users), len(learner.groups))
        live = Learner.over(self.settings, arrays, n_rows, learner.arrays())
        self._note_rows(generation, n_rows)
        self._words[_GENERATION] = generation
        return live

    def release(self) -> None:
        """Give back the memory of all slots but the one in use."""
        for n in range(N_SLOTS):
            if n != self.generation % N_SLOTS:
                with mmap.mmap(self._slots[n], self._size) as memory:
                    memory.madvise(mmap.MADV_REMOVE)

    def note(self, learner: Learner, *, position: int, n_corrections: int) -> None:
        """Tell the readers of what was learnt."""
        self._note_rows(self.generation, (len(learner.users), len(learner.groups)))
        self._words[_POSITION] = position
        self._words[_CORRECTIONS] = n_corrections

    def note_snapshot(self, position: int) -> None:
        """Tell up to where the snapshot reaches."""
        self._words[_SNAPSHOT] = position

    def note_refold(self) -> None:
        """Count a fold made while serving."""
        self._words[_REFOLDS] += 1

    def note_waiting(self, n_waiting: int) -> None:
        """Tell how many labels wait."""
        self._words[_WAITING] = n_waiting

    def note_writer(self, pid: int) -> None:
        """Tell which process writes."""
        self._words[_WRITER] = pid

    def _note_rows(self, generation: int, n_rows: tuple[int, int]) -> None:
        at = _ROWS + 2 * (generation % N_SLOTS)
        self._words[at], self._words[at + 1] = n_rows


class LiveView:
    """The model as a worker sees it: always the newest, without waiting for anybody.

    Parameters
    ----------
    area
        Where it is; must have a generation already.
    secret
        The installation's secret.
    starter
        The starter model, if there is one.
    """

    def __init__(self, area: LiveArea, secret: bytes, starter: Starter | None) -> None:
        self.area = area
        self._secret = secret
        self._starter = starter
        self._generation = area.generation
        self._learner = area.mapped(self._generation)

    @property
    def learner(self) -> Learner:
        """The newest learner; not to be kept, ask again for each message."""
        area = self.area
        if area.generation != self._generation:
            self._generation = area.generation
            self._learner = area.mapped(self._generation)
        n_users, n_groups = area.n_rows
        learner = self._learner
        if n_users != len(learner.users):
            learner.users.follow(n_users)
        if n_groups != len(learner.groups):
            learner.groups.follow(n_groups)
        return learner

    @property
    def secret(self) -> bytes:
        """The installation's secret."""
        return self._secret

    @property
    def starter(self) -> Starter | None:
        """The starter model, if there is one."""
        return self._starter


def copy_sparsely(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy an array into one of zeros and leave the pages untouched that stay zero.

    Parameters
    ----------
    source, target
        Contiguous, of one type and shape.
    """
    raw, place = (array.reshape(-1).view(np.uint8) for array in (source, target))
    n_whole = len(raw) // _PAGE_BYTES
    whole = n_whole * _PAGE_BYTES
    is_written = raw[:whole].view(np.uint64).reshape(n_whole, _N_WORDS).any(axis=1)
    pages = raw[:whole].reshape(n_whole, _PAGE_BYTES)
    place[:whole].reshape(n_whole, _PAGE_BYTES)[is_written] = pages[is_written]
    place[whole:] = raw[whole:]
