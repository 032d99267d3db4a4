"""A matrix that grows in both directions while it is filled, and never stands in memory twice."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowStore"]

_MORE_BYTES = 1 << 24
"""Growth at a time: the system moves pages to make room, and does not copy them."""
_SPARE_SHARE = 0.25
_BLOCK_ROWS = 4_096


class RowStore:
    """Rows of float32, added below; columns added in the middle.

    Parameters
    ----------
    n_behind
        Columns at the right end, which stay there.

    Examples
    --------
    >>> store = RowStore(n_behind=1)
    >>> store.widen(1)
    >>> front, behind = store.add(1)
    >>> front[:], behind[:] = 1.0, 9.0
    >>> store.widen(2)
    >>> store.matrix().tolist()
    [[1.0, nan, 9.0]]
    """

    def __init__(self, n_behind: int) -> None:
        self._flat = np.empty(0, np.float32)
        self._n_rows = 0
        self._n_behind = n_behind
        self._n_front = 0
        self._room = 0

    def widen(self, n_front: int) -> None:
        """Have so many columns in front of those behind, if there are fewer."""
        if n_front > self._room:
            self._move(n_front + (int(_SPARE_SHARE * n_front) if self._n_rows else 0))
        self._n_front = max(self._n_front, n_front)

    def add(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `n` further rows to be written, by columns in front and columns behind.

        Both are views, which are not to be used after the next call of any method.
        """
        width = self._room + self._n_behind
        start, end = self._n_rows * width, (self._n_rows + n) * width
        if end > self._flat.size:
            # In place: who had a view of it does not use it any more.
            self._flat.resize(end + _MORE_BYTES // self._flat.itemsize, refcheck=False)
        self._n_rows += n
        rows = self._flat[start:end].reshape(n, width)
        rows[:, self._n_front : self._room] = np.nan
        return rows[:, : self._n_front], rows[:, self._room :]

    def matrix(self) -> NDArray[np.float32]:
        """Return all rows, in C order; nothing can be added any more."""
        if self._room > self._n_front:
            self._move(self._n_front)
        width = self._room + self._n_behind
        return self._flat[: self._n_rows * width].reshape(self._n_rows, width)

    def _move(self, room: int) -> None:
        """Change the room in front, block by block: no row is overwritten before it has moved."""
        n, old, new = self._n_rows, self._room + self._n_behind, room + self._n_behind
        if n * new > self._flat.size:
            self._flat.resize(n * new, refcheck=False)
        blocks = range(0, n, _BLOCK_ROWS)
        kept = min(room, self._room)
        for start in blocks if new < old else reversed(blocks):
            end = min(start + _BLOCK_ROWS, n)
            rows = self._flat[start * old : end * old].reshape(-1, old).copy()
            moved = self._flat[start * new : end * new].reshape(-1, new)
            moved[:, :kept] = rows[:, :kept]
            moved[:, kept:room] = np.nan
            moved[:, room:] = rows[:, self._room :]
        self._room = room
