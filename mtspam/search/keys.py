"""Names of users, documents and field values as 64-bit keys."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOBODY", "key", "keys"]

NOBODY = 0
"""The key of the empty name: no user, no market."""


def key(name: str, seed: bytes = b"") -> int:
    """Return the key of a name: the same on every machine, 0 only for the empty name.

    Parameters
    ----------
    name
        Any text.
    seed
        An installation's secret, up to 64 bytes, so that nobody outside can aim at a bucket.

    Examples
    --------
    >>> key("")
    0
    >>> key("ana") == key("ana") != key("ana", b"secret")
    True
    """
    if not name:
        return NOBODY
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8, key=seed).digest(), "little") or 1


def keys(names: Iterable[str], seed: bytes = b"") -> NDArray[np.uint64]:
    """Return the keys of several names, shape ``(n,)``."""
    return np.array([key(name, seed) for name in names], dtype=np.uint64)
