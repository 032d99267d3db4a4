"""Examples as bytes and back: what the journal stores of a message. Nothing here does I/O."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError, JournalError
from mtspam.kernels import packing as kernels
from mtspam.types import Example, Features

__all__ = ["block_of", "pack_example", "pack_many", "unpack_example", "unpack_many"]

_MAX_VIEWS = 255
_HASH = np.dtype(np.uint32)


def pack_example(example: Example) -> bytes:
    """Pack an example into about three bytes a hash.

    Parameters
    ----------
    example
        At most 255 views, each distinct and in rising order.

    Returns
    -------
    bytes
        The same for the same example, on every machine.

    Raises
    ------
    DataError
        If a view is of another type or shape, or not distinct and rising.

    Examples
    --------
    >>> import numpy as np
    >>> example = Example((np.array([3, 70_000], dtype=np.uint32),))
    >>> unpack_example(pack_example(example)).views[0].tolist()
    [3, 70000]
    """
    return pack_many(block_of([example]))[0]


def block_of(examples: Sequence[Example]) -> Features:
    """Join examples into one block for `pack_many`, each view checked.

    Raises
    ------
    DataError
        If they are not of equally many views, or a view is of another type or shape.
    """
    n_views = len(examples[0].views) if examples else 0
    if n_views > _MAX_VIEWS:
        raise DataError(f"an example has {n_views} views; at most {_MAX_VIEWS} can be stored")
    for example in examples:
        if len(example.views) != n_views:
            raise DataError(
                f"an example has {len(example.views)} views where the first has {n_views}"
            )
        for place, view in enumerate(example.views):
            if view.dtype != _HASH or view.ndim != 1:
                raise DataError(
                    f"view {place} of an example is {view.dtype} of shape {view.shape}; "
                    "it must be uint32 of one dimension"
                )
    return Features.from_examples(examples)


def pack_many(block: Features) -> list[bytes]:
    """Pack each example of a block that `block_of` made, as `pack_example` does.

    Raises
    ------
    DataError
        If a view is not distinct and rising.
    """
    hashes, offsets = block.values, block.offsets
    n, width = offsets.shape
    # A hash takes at most four bytes and its part of a control byte; a view may begin one more.
    room = n * (kernels.HEAD_BYTES + 5 * (width - 1)) + 5 * hashes.size
    out = np.empty(room, dtype=np.uint8)
    ends = np.zeros(n, dtype=np.int64)
    bad = kernels.pack_many(hashes, offsets, out, ends)
    if bad >= 0:
        example = int(np.searchsorted(offsets[:, -1], bad, side="right"))
        view = int(np.searchsorted(offsets[example], bad, side="right")) - 1
        raise DataError(
            f"view {view} of an example is not distinct and rising at its hash number "
            f"{bad - offsets[example, view]}"
        )
    return [out[start:end].tobytes() for start, end in pairwise([0, *ends.tolist()])]


def unpack_example(packed: bytes) -> Example:
    """Unpack what `pack_example` made.

    Parameters
    ----------
    packed
        Any bytes.

    Raises
    ------
    JournalError
        If `packed` is torn, changed, or of a newer format.
    """
    features, offsets = unpack_many([packed])
    return Example(tuple(features[start:end] for start, end in pairwise(offsets[0].tolist())))


def unpack_many(
    packed: Sequence[bytes], seqs: Sequence[int] | NDArray[np.int64] | None = None
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Unpack many examples of equally many views into two arrays.

    Parameters
    ----------
    packed
        What `pack_example` made, or any bytes.
    seqs
        The numbers of their events, for the error to name.

    Returns
    -------
    features
        All hashes, example after example and view after view, shape ``(n_features,)``.
    offsets
        Where each view begins and ends in `features`, shape ``(n, n_views + 1)``: view *v* of
        example *i* is ``features[offsets[i, v]:offsets[i, v + 1]]``. Of no examples at all the
        number of views is unknown and the shape is ``(0, 1)``.

    Raises
    ------
    JournalError
        If one is torn, changed, of a newer format, or has another number of views than the first.
    """
    n_views = packed[0][1] if packed and len(packed[0]) > 1 else 0
    offsets = np.zeros((len(packed), n_views + 1), dtype=np.int64)
    bounds = np.zeros(len(packed) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in packed], out=bounds[1:])
    data = np.frombuffer(b"".join([*packed, bytes(kernels.PAD_BYTES)]), dtype=np.uint8)
    state, place = kernels.count_features(data, bounds, n_views, offsets)
    if state != kernels.GOOD:
        raise JournalError(_complaint(state, place, packed, seqs))
    features = np.empty(offsets[-1, -1] if packed else 0, dtype=np.uint32)
    state, place = kernels.unpack_views(data, bounds, offsets, features)
    if state != kernels.GOOD:
        raise JournalError(_complaint(state, place, packed, seqs))
    return features, offsets


def _complaint(
    state: int,
    place: int,
    packed: Sequence[bytes],
    seqs: Sequence[int] | NDArray[np.int64] | None,
) -> str:
    one = packed[place]
    name = f"{place + 1} of {len(packed)}" if seqs is None else f"of event {seqs[place]}"
    if state == kernels.NEWER:
        return (
            f"the example {name} has format {one[0]}, this program knows {kernels.VERSION}: it is "
            "damaged or from a newer mtspam"
        )
    if state == kernels.MIXED:
        return f"the example {name} has {one[1]} views where the first has {packed[0][1]}"
    return f"the example {name} is torn or damaged ({len(one)} bytes)"
