"""Kernels that make sets of what was found in a message, and seal them for one installation."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["distinct_tokens", "distinct_windows", "seal"]

N_WINDOW_VIEWS = 2  # the views of windows come before those of tokens

# Odd numbers that spread bits: the golden ratio's, and that of degski's 64-bit mixer.
MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
LOW_32 = np.uint64(0xFFFFFFFF)
SLOT_SHIFT = np.uint64(40)

# How kernels/texttokens.py and kernels/fieldtokens.py pack what they find.
VIEW_SHIFT, KIND_SHIFT, START_SHIFT = np.uint64(62), np.uint64(54), np.uint64(27)
KIND_MASK, PLACE_MASK = np.uint64(0xFF), np.uint64((1 << 27) - 1)


@kernel
def distinct_windows(
    data: NDArray[np.uint8],
    sizes: NDArray[np.int64],
    scratch: tuple[NDArray[np.uint64], int, np.uint64],
    bases: NDArray[np.uint64],
    counts: NDArray[np.int64],
) -> None:
    """Gather each four-byte window of each row of `data` once, in the order of first occurrence.

    A window *is* its base hash (four bytes, first byte lowest), so that different windows never
    collide before they are sealed.

    Parameters
    ----------
    data
        One row for each view, shape ``(n_views, room)``.
    sizes
        How many bytes of each row count, shape ``(n_views,)``.
    scratch
        A table of shape ``(power of two,)``, at least twice as long as any size; the first of
        ``n_views`` numbers (all from 1 to 2^31 - 1) not used before on this table, which make its
        old entries void; a secret, so that nobody can aim at one place of the table.
    bases
        Output, shape ``(>= n_views, >= room)``.
    counts
        Output, how many distinct windows each row has, shape ``(>= n_views,)``.
    """
    seen, turn, salt = scratch
    mask = np.uint64(seen.shape[0] - 1)
    for row in range(sizes.shape[0]):
        mark = np.uint64(turn + row) << HALF
        n = 0
        word = np.uint64(0)
        line = data[row]
        out = bases[row]
        for i in range(sizes[row]):
            word = (word >> np.uint64(8)) | (np.uint64(line[i]) << np.uint64(24))
            if i < 3:
                continue
            slot = (((word ^ salt) * MIX_1) >> SLOT_SHIFT) & mask
            entry = mark | word
            there = seen[slot]
            while there != entry and (there & ~LOW_32) == mark:
                slot = (slot + np.uint64(1)) & mask
                there = seen[slot]
            if there != entry:
                seen[slot] = entry
                out[n] = word
                n += 1
        counts[row] = n


@kernel
def distinct_tokens(
    found: NDArray[np.uint64],
    n_found: int,
    scratch: tuple[NDArray[np.uint64], int, np.uint64],
    bases: NDArray[np.uint64],
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> bool:
    """Keep the first of each token of each view, as many as there is room for.

    Parameters
    ----------
    found
        Tokens in the order of the message, shape ``(>= n_found, 2)``: base hash, packed place.
    n_found
        How many of them count.
    scratch
        A table of shape ``(power of two, 2)``, at least twice as many rows as `places` has for all
        views; a number from 1 to 2^30 not used before on this table; a secret.
    bases
        Output, shape ``(N_WINDOW_VIEWS + n_views, >= max_tokens)``.
    places
        Output: kind, start and end of each token kept, shape ``(n_views, max_tokens, 3)``.
    counts
        Output: tokens kept of each view, shape ``(N_WINDOW_VIEWS + n_views,)``.

    Returns
    -------
    bool
        Whether a view was full before the end.
    """
    seen, turn, salt = scratch
    # A short message needs few slots: those stay in the cache.
    n_slots = 64
    while n_slots < 2 * n_found and n_slots < seen.shape[0]:
        n_slots *= 2
    mask = np.uint64(n_slots - 1)
    oldest = np.uint64(turn * 4)
    counts[N_WINDOW_VIEWS:] = 0
    full = False
    for i in range(n_found):
        base, packed = found[i, 0], found[i, 1]
        view = np.int64(packed >> VIEW_SHIFT)
        n = counts[N_WINDOW_VIEWS + view]
        mark = oldest + np.uint64(view)
        slot = (((base ^ salt) * MIX_2) >> SLOT_SHIFT) & mask
        while seen[slot, 1] >= oldest and (seen[slot, 0] != base or seen[slot, 1] != mark):
            slot = (slot + np.uint64(1)) & mask
        if seen[slot, 1] >= oldest:
            continue
        if n >= places.shape[1]:
            full = True
            continue
        seen[slot, 0] = base
        seen[slot, 1] = mark
        bases[N_WINDOW_VIEWS + view, n] = base
        places[view, n, 0] = np.int32((packed >> KIND_SHIFT) & KIND_MASK)
        places[view, n, 1] = np.int32((packed >> START_SHIFT) & PLACE_MASK)
        places[view, n, 2] = np.int32(packed & PLACE_MASK)
        counts[N_WINDOW_VIEWS + view] = n + 1
    return full


@kernel
def seal(
    bases: NDArray[np.uint64],
    counts: NDArray[np.int64],
    seed: np.uint64,
    out: NDArray[np.uint32],
    offsets: NDArray[np.int64],
) -> int:
    """Turn base hashes into the 32-bit feature hashes of one installation.

    A base hash is public: anybody can compute it. The seed makes the place of a token in the
    tables the installation's own secret.

    Parameters
    ----------
    bases
        Base hashes of each view, shape ``(n_views, room)``.
    counts
        How many of them count, shape ``(n_views,)``.
    seed
        The installation's secret (or the starter model's public constant).
    out
        Output, with room for all of them from ``offsets[0]`` on.
    offsets
        Where each view begins in `out`; all but the first are output, shape ``(n_views + 1,)``.

    Returns
    -------
    int
        Where the last view ends.
    """
    at = offsets[0]
    for view in range(counts.shape[0]):
        for i in range(counts[view]):
            h = (bases[view, i] ^ seed) * MIX_1
            h = (h ^ (h >> HALF)) * MIX_2
            out[at] = np.uint32((h ^ (h >> HALF)) & LOW_32)
            at += 1
        offsets[view + 1] = at
    return int(at)
