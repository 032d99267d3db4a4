"""Who has labels of their own: a fixed number of rows, given out in order of first label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import ModelError
from mtspam.types import NOBODY

__all__ = ["KEY_BYTES", "N_FIGURES", "Register"]

KEY_BYTES = 16
N_FIGURES = 6
LABELS, BIAS, DAY, VOICE, SPAM, MOVED = range(N_FIGURES)


class Register:
    """Rows of users (or of groups) by key.

    Parameters
    ----------
    keys
        Keys given out so far, first ones first, shape ``(max_rows, KEY_BYTES)``.
    figures
        Labels, bias, day, voice used that day, spam labels, voice used in all, shape
        ``(max_rows, N_FIGURES)``.
    n_rows
        How many rows are given out.
    salts
        The keys as numbers, shape ``(max_rows,)``, where they lie elsewhere already.
    """

    def __init__(
        self,
        keys: NDArray[np.uint8],
        figures: NDArray[np.float64],
        n_rows: int,
        salts: NDArray[np.uint64] | None = None,
    ) -> None:
        self.keys = keys
        self.figures = figures
        # The first eight bytes of a keyed hash cross with a feature as well as all sixteen.
        if salts is None:
            salts = np.ascontiguousarray(keys[:, :8]).view("<u8").reshape(-1)
        self.salts = salts
        self._rows = {keys[row].tobytes(): row for row in range(n_rows)}

    @classmethod
    def empty(cls, max_rows: int) -> "Register":
        """Return a register that knows nobody."""
        keys = np.zeros((max_rows, KEY_BYTES), np.uint8)
        return cls(keys, np.zeros((max_rows, N_FIGURES)), 0)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def row(self, key: bytes) -> int:
        """Return the row of `key`, -1 for who has none."""
        return self._rows.get(key, -1)

    def n_labels(self, key: bytes) -> int:
        """Return how many labels of the main kind `key` has given."""
        row = self.row(key)
        return int(self.figures[row, LABELS]) if row >= 0 else 0

    def rows(self, keys: Sequence[bytes] | None, n: int) -> NDArray[np.int64]:
        """Return the row of each of `n` keys, -1 for who has none; None: nobody's, all."""
        if keys is None:
            return np.full(n, -1, np.int64)
        return np.array([self._rows.get(key, -1) for key in keys], np.int64)

    def admit(self, keys: Sequence[bytes]) -> None:
        """Give each new key a row, as long as there are any; nobody has none.

        Raises
        ------
        ModelError
            Where a key is of another length than `KEY_BYTES`.
        """
        for key in keys:
            if key == NOBODY or key in self._rows or len(self._rows) >= len(self.keys):
                continue
            if len(key) != KEY_BYTES:
                raise ModelError(f"a key has {len(key)} bytes; it must have {KEY_BYTES}")
            row = len(self._rows)
            self.keys[row] = np.frombuffer(key, np.uint8)
            self.salts[row] = int.from_bytes(key[:8], "little")
            self._rows[key] = row

    def follow(self, n_rows: int) -> None:
        """Take note of the rows that another process has given out in these arrays since."""
        for row in range(len(self._rows), n_rows):
            key = self.keys[row].tobytes()
            if not any(key):  # the count is seen before the key where memory is slow to tell
                return
            self._rows[key] = row

    def items(self) -> list[tuple[bytes, NDArray[np.float64]]]:
        """List keys and figures in order of first label."""
        return [(key, self.figures[row]) for key, row in self._rows.items()]
