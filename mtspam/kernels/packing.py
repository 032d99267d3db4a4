"""Delta coding of sorted 32-bit hashes with one to four bytes each, and its checked inverse.

An example of *v* views is, all numbers little-endian::

    1 byte   version of the format
    1 byte   v
    4 bytes  check number over the counts and all gaps
    4v bytes number of hashes of each view
    then for each view: one control byte for every four hashes, then the gaps

A gap is the difference to the hash before, less one (the first hash stands as it is); it takes as
many bytes as it needs, one to four, and two bits of the control bytes say how many, the lowest
two bits for the first of the four. Hence every decoded view is distinct and sorted by its form.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = [
    "BAD_COUNTS",
    "DAMAGED",
    "GOOD",
    "HEAD_BYTES",
    "MIXED",
    "NEWER",
    "PAD_BYTES",
    "TOO_SHORT",
    "VERSION",
    "count_features",
    "pack_many",
    "pack_views",
    "unpack_views",
]

VERSION = 1
HEAD_BYTES = 6
PAD_BYTES = 3
"""Bytes that must follow the last example, since a gap is always read as four bytes."""

GOOD = 0
TOO_SHORT = 1
NEWER = 2
MIXED = 3
BAD_COUNTS = 4
DAMAGED = 5

# A polynomial in 61 modulo 2**57: one changed gap always changes it, since 61 is odd, and
# 61 * 2**57 + 2**35 < 2**63, so that 64-bit integers never overflow, compiled or not.
_FACTOR = 61
_MASK = (1 << 57) - 1
_MAX_HASH = (1 << 32) - 1


@kernel
def _stir(check: int, number: int) -> int:
    return (check * _FACTOR + number) & _MASK


@kernel
def _fold(check: int) -> int:
    return (check ^ (check >> 25)) & _MAX_HASH


@kernel
def _read_byte(data: NDArray[np.uint8], at: int) -> int:
    return int(np.int64(data[at]))


@kernel
def _read_u32(data: NDArray[np.uint8], at: int) -> int:
    return (
        _read_byte(data, at)
        | (_read_byte(data, at + 1) << 8)
        | (_read_byte(data, at + 2) << 16)
        | (_read_byte(data, at + 3) << 24)
    )


@kernel
def _write_u32(data: NDArray[np.uint8], at: int, number: int) -> None:
    for k in range(4):
        data[at + k] = (number >> (8 * k)) & 255


@kernel
def pack_views(
    hashes: NDArray[np.uint32], bounds: NDArray[np.int64], out: NDArray[np.uint8]
) -> int:
    """Write one example into `out` and return its length, or ``-1 - i`` at the first bad hash.

    Parameters
    ----------
    hashes
        The views one after another, each distinct and rising, shape ``(n_features,)``.
    bounds
        Where each view begins and the last one ends, shape ``(n_views + 1,)``, at most 255 views.
    out
        Room for the worst case: ``HEAD_BYTES + 4 n_views`` and for each view
        ``(n + 3) // 4 + 4 n`` bytes. Every byte up to the returned length is written.
    """
    n_views = bounds.shape[0] - 1
    out[0] = VERSION
    out[1] = n_views
    check = n_views
    for v in range(n_views):
        n = int(bounds[v + 1] - bounds[v])
        _write_u32(out, HEAD_BYTES + 4 * v, n)
        check = _stir(check, n)
    at = HEAD_BYTES + 4 * n_views
    for v in range(n_views):
        start = int(bounds[v])
        n = int(bounds[v + 1]) - start
        control = at
        at += (n + 3) >> 2
        before = -1
        held = 0
        for i in range(n):
            number = int(np.int64(hashes[start + i]))
            gap = number - before - 1
            if gap < 0:
                return -1 - (start + i)
            before = number
            code = int(gap > 0xFF) + int(gap > 0xFFFF) + int(gap > 0xFFFFFF)
            check = _stir(check, gap | (code << 32))
            # Four bytes always, of which the next gap overwrites the idle ones: no branch to miss.
            out[at] = gap & 255
            out[at + 1] = (gap >> 8) & 255
            out[at + 2] = (gap >> 16) & 255
            out[at + 3] = gap >> 24
            at += code + 1
            held |= code << (2 * (i & 3))
            if (i & 3) == 3 or i == n - 1:
                out[control + (i >> 2)] = held
                held = 0
    _write_u32(out, 2, _fold(check))
    return int(at)


@kernel
def pack_many(
    hashes: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Write many examples one after another; return ``-1``, or the first bad hash.

    Parameters
    ----------
    hashes
        The views of all examples, each distinct and rising, shape ``(n_features,)``.
    offsets
        Where each view of each example begins and the last one ends, at most 255 views, shape
        ``(n, n_views + 1)``.
    out
        Room for the worst case of each, as `pack_views` asks for, together.
    ends
        Filled with where each example ends in `out`, shape ``(n,)``.
    """
    at = 0
    for e in range(offsets.shape[0]):
        size = pack_views(hashes, offsets[e], out[at:])
        if size < 0:
            return -1 - size
        at += size
        ends[e] = at
    return -1


@kernel
def count_features(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    n_views: int,
    offsets: NDArray[np.int64],
) -> tuple[int, int]:
    """Check the heads of many examples, fill `offsets`, and return what is wrong and where.

    No count is believed that the length of its example could not hold, so that
    ``offsets[-1, -1]`` is at most the size of `data`.

    Parameters
    ----------
    data
        The packed examples one after another, any bytes.
    bounds
        Where each example begins and the last one ends, shape ``(n + 1,)``.
    n_views
        The number of views that every example must have.
    offsets
        Filled with where each view's hashes begin and end among all, shape ``(n, n_views + 1)``.

    Returns
    -------
    tuple
        `GOOD` and ``n``, or `TOO_SHORT`, `NEWER`, `MIXED` or `BAD_COUNTS` and the first example
        that is so.
    """
    total = 0
    head = HEAD_BYTES + 4 * n_views
    n_examples = bounds.shape[0] - 1
    for e in range(n_examples):
        start = int(bounds[e])
        size = int(bounds[e + 1]) - start
        if size < HEAD_BYTES:
            return TOO_SHORT, e
        if data[start] != VERSION:
            return NEWER, e
        if data[start + 1] != n_views:
            return MIXED, e
        if size < head:
            return TOO_SHORT, e
        least = head
        offsets[e, 0] = total
        for v in range(n_views):
            n = _read_u32(data, start + HEAD_BYTES + 4 * v)
            least += n + ((n + 3) >> 2)
            total += n
            offsets[e, v + 1] = total
        if least > size:
            return BAD_COUNTS, e
    return GOOD, n_examples


@kernel
def _gap_bytes(data: NDArray[np.uint8], control: int, n: int) -> int:
    """Return the length of the `n` gaps behind `control`, or -1 if unused control bits are set."""
    n_bytes = n
    for c in range(control, control + (n >> 2)):
        byte = _read_byte(data, c)
        byte = (byte & 0x33) + ((byte >> 2) & 0x33)
        n_bytes += (byte & 15) + (byte >> 4)
    rest = n & 3
    if rest:
        byte = _read_byte(data, control + (n >> 2))
        if byte >> (2 * rest):
            return -1
        byte = (byte & 0x33) + ((byte >> 2) & 0x33)
        n_bytes += (byte & 15) + (byte >> 4)
    return n_bytes


@kernel
def unpack_views(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    features: NDArray[np.uint32],
) -> tuple[int, int]:
    """Decode many examples into `features` and return `GOOD` and ``n``, or `DAMAGED` and where.

    Parameters
    ----------
    data
        The packed examples one after another, then at least `PAD_BYTES` more bytes.
    bounds, offsets
        As `count_features` took and filled them; it must have returned `GOOD`.
    features
        Filled with the hashes, shape ``(offsets[-1, -1],)``.
    """
    n_examples, width = offsets.shape
    n_views = width - 1
    for e in range(n_examples):
        end = int(bounds[e + 1])
        check = n_views
        for v in range(n_views):
            check = _stir(check, int(offsets[e, v + 1] - offsets[e, v]))
        at = int(bounds[e]) + HEAD_BYTES + 4 * n_views
        for v in range(n_views):
            start = int(offsets[e, v])
            n = int(offsets[e, v + 1]) - start
            control = at
            codes = 0
            at += (n + 3) >> 2
            if at > end:
                return DAMAGED, e
            n_bytes = _gap_bytes(data, control, n)
            if n_bytes < 0 or at + n_bytes > end:
                return DAMAGED, e
            number = -1
            for i in range(n):
                if not i & 3:
                    codes = _read_byte(data, control)
                    control += 1
                code = codes & 3
                codes >>= 2
                gap = _read_u32(data, at) & (_MAX_HASH >> (24 - 8 * code))
                at += code + 1
                check = _stir(check, gap | (code << 32))
                number += gap + 1
                features[start + i] = number & _MAX_HASH
            if number > _MAX_HASH:
                return DAMAGED, e
        if at != end or _fold(check) != _read_u32(data, bounds[e] + 2):
            return DAMAGED, e
    return GOOD, n_examples
