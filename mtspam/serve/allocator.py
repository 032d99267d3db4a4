"""How the C library's allocator keeps memory that is free again, in processes that live long."""

import ctypes
from contextlib import suppress
from typing import Final

__all__ = ["give_back_free_memory", "keep_little_memory"]

# Numbers of the parameters in glibc's malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 1 << 20
_SPARE_BYTES: Final = 8 << 20


def keep_little_memory() -> None:
    """Let every large block be a mapping of its own, which is gone when it is freed.

    By default glibc raises the limit for that up to 32 MB with the blocks that are freed; a copy
    of the model for a snapshot, or one large message, then lies in the heap, and what is allocated
    behind it keeps the heap from shrinking ever after. Without glibc nothing happens.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _SPARE_BYTES)


def give_back_free_memory() -> None:
    """Give all that is free back to the system, before it is inherited by every child."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
