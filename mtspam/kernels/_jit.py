"""The one decorator of all kernels. No kernel lives here."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

__all__ = ["kernel"]

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with the settings that every kernel shares.

    `fastmath` stays off, so that a fold gives the same bits on every run; `cache` keeps the
    machine code between processes, where there is a folder for it; `nogil` lets threads score side
    by side. Indices are not checked (the faces validate sizes) unless ``NUMBA_BOUNDSCHECK=1`` is
    set.

    Parameters
    ----------
    function
        Arrays and scalars in, arrays and scalars out: no strings, dicts or objects. It must not
        call a kernel of another file, since a cached kernel keeps the other file's old code
        (numba issue 1833).
    """
    compiled: Callable[P, R]
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return compiled
