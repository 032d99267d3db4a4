"""Kernels of a forest of decision trees: from rows to leaves, and to sums of what leaves say.

Nodes of all trees stand in one table, splits first, leaves behind them. A leaf leads to itself, so
that many walks can go on side by side, each as many steps as the tree is deep: none waits for
another's memory, and nothing is to be foreseen, which is what makes them quick. Many rows at once
do not walk small trees at all: each split strikes out the leaves that it leaves behind, and the
first one left is where a row ends (Lucchese et al., "QuickScorer: a Fast Algorithm to Rank
Documents with Additive Ensembles of Regression Trees", 2015; here split by split over all rows, so
that the processor's wide registers are used).
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["fill_columns", "lay_out_sieve", "sift_forest", "walk_forest", "walk_forest_with_sets"]

MISSING_LEFT, MISSING_RIGHT, ZERO_LEFT, ZERO_RIGHT, CATEGORY = range(5)
"""What a column holds in place of a missing value, or of a missing value and of nought."""

LEAST = float(np.float32(1e-35))
"""LightGBM takes what is no further from nought than this for nought."""

Columns = tuple[NDArray[np.int32], NDArray[np.uint8]]
Nodes = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]
Trees = tuple[NDArray[np.int32], NDArray[np.int32]]
Sets = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint32]]


@kernel
def fill_columns(
    rows: NDArray[np.float64],
    columns: Columns,
    out: NDArray[np.float64],
    cats: NDArray[np.int32],
) -> None:
    """Write the columns that splits look at, in which what is missing goes where it belongs.

    Parameters
    ----------
    rows
        Features as given, NaN where missing, shape ``(n, n_features)``.
    columns
        The feature of each column, below ``n_features``, and what stands in for a missing value.
    out
        Values of the columns, shape ``(n, n_columns)``.
    cats
        Their categories, -1 for none and for what is no category; of the same shape, or empty
        where no column is one.
    """
    has_cats = cats.shape[0] > 0
    features, modes = columns
    for i in range(rows.shape[0]):
        for j in range(features.shape[0]):
            x = rows[i, features[j]]
            mode = modes[j]
            if has_cats:
                is_cat = mode == CATEGORY and -1.0 < x < 2147483648.0
                cats[i, j] = np.int32(x) if is_cat else np.int32(-1)
            if mode == CATEGORY:
                x = 0.0
            elif np.isnan(x) or (mode >= ZERO_LEFT and abs(x) <= LEAST):
                # NaN is not at most anything, not even an infinite threshold, and so goes right.
                x = -np.inf if mode == MISSING_LEFT or mode == ZERO_LEFT else np.nan
            elif abs(x) <= LEAST:
                x = 0.0
            out[i, j] = x


@kernel
def _holds(category: int, start: int, size: int, words: NDArray[np.uint32]) -> np.int64:
    """Say whether a set of categories holds one: 1 or 0; behind each set stands a word of 0."""
    word = min(np.uint32(category >> 5), np.uint32(size))  # of no category, which is -1, the last
    return np.int64((words[start + np.int64(word)] >> np.uint32(category & 31)) & np.uint32(1))


LANES = 128
"""Walks that go on side by side at most: few enough that all they need is near."""

FEW = 16
"""Walks of a few rows, down several trees at once, each as many steps as the deepest of these."""

Walks = tuple[NDArray[np.int32], NDArray[np.int64]]
Block = tuple[int, int, int, int]
"""First row, rows, first tree, trees."""


@kernel
def _begin(block: Block, n_columns: int, trees: Trees, walks: Walks) -> int:
    """Set walks out from the roots, and return how many steps the longest may take."""
    first_row, n_rows, first_tree, n_trees = block
    roots, depths = trees
    node, start = walks
    longest = 0
    lane = 0
    for k in range(first_tree, first_tree + n_trees):
        longest = max(longest, depths[k])
        for i in range(first_row, first_row + n_rows):
            node[lane] = roots[k]
            start[lane] = i * n_columns
            lane += 1
    return longest


@kernel
def _end(
    block: Block,
    values: NDArray[np.float64],
    node: NDArray[np.int32],
    out: NDArray[np.float64],
    found: NDArray[np.int32],
) -> None:
    """Add what the leaves say; of the first trees keep the leaves."""
    first_row, n_rows, first_tree, n_trees = block
    n_outputs = out.shape[1]
    lane = 0
    for k in range(first_tree, first_tree + n_trees):
        output = k % n_outputs
        for i in range(first_row, first_row + n_rows):
            out[i, output] += values[node[lane]]
            if k < found.shape[1]:
                found[i, k] = node[lane]
            lane += 1


@kernel
def walk_forest(
    x: NDArray[np.float64],
    trees: Trees,
    nodes: Nodes,
    values: NDArray[np.float64],
    out: NDArray[np.float64],
    found: NDArray[np.int32],
) -> None:
    """Add up what the leaves say at which rows end, tree after tree: LightGBM's order and bits.

    Parameters
    ----------
    x
        Columns as `fill_columns` wrote them, shape ``(n, n_columns)``, at least one column.
    trees
        The first node of each tree, and the most steps from there to a leaf.
    nodes
        For each node its column, its threshold (left is what is at most that) and its two
        children, the right one first; a leaf has column 0 and itself for both.
    values
        What each node says.
    out
        Overwritten, shape ``(n, n_outputs)``; the trees take turns at the outputs.
    found
        Overwritten with the nodes of the leaves of the first trees, shape ``(n, n_wanted)``.
    """
    c, t, ch = nodes
    n_rows, n_columns = x.shape
    flat = x.reshape(-1)
    node = np.empty(LANES, np.int32)
    start = np.empty(LANES, np.int64)
    n_all = trees[0].shape[0]
    out[:] = 0.0
    for first_row in range(0, n_rows, LANES):
        rows = min(LANES, n_rows - first_row)
        at_once = max(1, FEW // rows)
        for first_tree in range(0, n_all, at_once):
            block = (first_row, rows, first_tree, min(at_once, n_all - first_tree))
            longest = _begin(block, n_columns, trees, (node, start))
            n_walks = rows * block[3]
            for _ in range(longest):
                for lane in range(n_walks):
                    k = node[lane]
                    node[lane] = ch[2 * k + (flat[start[lane] + c[k]] <= t[k])]
            _end(block, values, node, out, found)


@kernel
def walk_forest_with_sets(
    x: NDArray[np.float64],
    cats: NDArray[np.int32],
    trees: Trees,
    nodes: Nodes,
    sets: Sets,
    values: NDArray[np.float64],
    out: NDArray[np.float64],
    found: NDArray[np.int32],
) -> None:
    """Do what `walk_forest` does where some splits are on categories.

    No branch tells the two kinds of splits apart: a category's column and a set's threshold are
    such that nothing is at most that, and in the empty set of a threshold is no category.

    Parameters
    ----------
    cats
        Categories as `fill_columns` wrote them.
    sets
        For each node where its set of categories begins in the words and of how many words it is;
        the words, behind each set one of 0.
    """
    c, t, ch = nodes
    begins, sizes, words = sets
    n_rows, n_columns = x.shape
    flat = x.reshape(-1)
    flat_cats = cats.reshape(-1)
    node = np.empty(LANES, np.int32)
    start = np.empty(LANES, np.int64)
    n_all = trees[0].shape[0]
    out[:] = 0.0
    for first_row in range(0, n_rows, LANES):
        rows = min(LANES, n_rows - first_row)
        at_once = max(1, FEW // rows)
        for first_tree in range(0, n_all, at_once):
            block = (first_row, rows, first_tree, min(at_once, n_all - first_tree))
            longest = _begin(block, n_columns, trees, (node, start))
            n_walks = rows * block[3]
            for _ in range(longest):
                for lane in range(n_walks):
                    k = node[lane]
                    place = start[lane] + c[k]
                    is_left = np.int64(flat[place] <= t[k])
                    is_left += _holds(flat_cats[place], begins[k], sizes[k], words)
                    node[lane] = ch[2 * k + is_left]
            _end(block, values, node, out, found)


MOST_LEAVES = 64
"""Of a tree that is sifted: a bit for each."""

ALL_LEAVES = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE = np.uint64(1)
DE_BRUIJN = np.uint64(0x022FDD63CC95386D)
"""Times a power of two, its first six bits are other ones for each power."""
TOP_SIX = np.uint64(58)
PLACE_OF = np.array(
    [
        next(bit for bit in range(64) if ((0x022FDD63CC95386D << bit) >> 58) & 63 == top)
        for top in range(64)
    ],
    np.int64,
)
"""The power of two by those six bits."""

Sieve = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint64]]
Ends = tuple[NDArray[np.int64], NDArray[np.int32]]


@kernel
def lay_out_sieve(roots: NDArray[np.int32], nodes: Nodes, sieve: Sieve, ends: Ends) -> None:
    """Count the leaves of each tree from left to right, and say which ones a split strikes out.

    Parameters
    ----------
    roots, nodes
        As of `walk_forest`; no tree has more than `MOST_LEAVES` leaves.
    sieve
        Overwritten: where each tree's splits begin and, last, end, shape ``(n_trees + 1,)``; of
        each split the column, the threshold, and the leaves that are left to who goes right.
    ends
        Overwritten: where each tree's leaves begin, shape ``(n_trees,)``; the node of each leaf.
    """
    c, t, ch = nodes
    begins, column, threshold, rest = sieve
    first_leaf, leaf_node = ends
    path = np.empty(MOST_LEAVES + 1, np.int64)
    before = np.empty(MOST_LEAVES + 1, np.int64)
    n_splits = 0
    n_leaves = 0
    for tree in range(roots.shape[0]):
        begins[tree] = n_splits
        first_leaf[tree] = n_leaves
        top = 0
        path[0] = roots[tree]
        before[0] = -1
        while top >= 0:
            k = path[top]
            if ch[2 * k] == k:
                leaf_node[n_leaves] = k
                n_leaves += 1
                top -= 1
            elif before[top] < 0:
                before[top] = n_leaves - first_leaf[tree]
                top += 1
                path[top] = ch[2 * k + 1]
                before[top] = -1
            else:
                n_left = n_leaves - first_leaf[tree] - before[top]
                left = ((ONE << np.uint64(n_left)) - ONE) << np.uint64(before[top])
                column[n_splits] = c[k]
                threshold[n_splits] = t[k]
                rest[n_splits] = ~left
                n_splits += 1
                path[top] = ch[2 * k]
                before[top] = -1
    begins[roots.shape[0]] = n_splits


@kernel
def sift_forest(
    x: NDArray[np.float64],
    sieve: Sieve,
    ends: Ends,
    values: NDArray[np.float64],
    out: NDArray[np.float64],
    found: NDArray[np.int32],
) -> None:
    """Do what `walk_forest` does, for many rows at once and small trees.

    Parameters
    ----------
    x
        Columns as `fill_columns` wrote them, a row for each of them: shape ``(n_columns, m)``,
        m at least n; a multiple of 8 leaves no rows that are taken one by one, at ten times the
        cost.
    sieve, ends
        As `lay_out_sieve` wrote them.
    values, out, found
        As of `walk_forest`.
    """
    begins, column, threshold, rest = sieve
    first_leaf, leaf_node = ends
    n_sifted, n_rows = x.shape[1], out.shape[0]
    n_outputs = out.shape[1]
    left = np.empty(n_sifted, np.uint64)
    out[:] = 0.0
    for tree in range(first_leaf.shape[0]):
        left[:] = ALL_LEAVES
        for split in range(begins[tree], begins[tree + 1]):
            row = x[column[split]]
            bound, kept = threshold[split], rest[split]
            for i in range(n_sifted):
                left[i] &= ALL_LEAVES if row[i] <= bound else kept
        output = tree % n_outputs
        for i in range(n_rows):
            first = left[i] & (~left[i] + ONE)
            place = PLACE_OF[(first * DE_BRUIJN) >> TOP_SIX]
            node = leaf_node[first_leaf[tree] + place]
            out[i, output] += values[node]
            if tree < found.shape[1]:
                found[i, tree] = node
