"""Kernels of a forest of decision trees: from rows to leaves, from leaves to sums.

Nodes of all trees stand in one table, splits first, leaves behind them. A leaf leads to itself, so
that eight walks can go on side by side until the last of them has arrived: the walks do not wait
for each other's memory, which is what makes them quick.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["fill_columns", "find_leaves", "find_leaves_with_sets", "sum_leaves"]

MISSING_LEFT, MISSING_RIGHT, ZERO_LEFT, ZERO_RIGHT, CATEGORY = range(5)
"""What a column holds in place of a missing value, or of a missing value and of nought."""

LEAST = float(np.float32(1e-35))
"""LightGBM takes what is no further from nought than this for nought."""

Columns = tuple[NDArray[np.int32], NDArray[np.uint8]]
Nodes = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]
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


@kernel
def find_leaves(
    x: NDArray[np.float64],
    roots: NDArray[np.int32],
    n_splits: int,
    nodes: Nodes,
    out: NDArray[np.int32],
) -> None:
    """Find the leaf of every tree at which each row ends; no split is on a category.

    Parameters
    ----------
    x
        Columns as `fill_columns` wrote them, shape ``(n, n_columns)``, at least one column.
    roots
        The first node of each tree.
    n_splits
        Nodes below this number are splits, the others are leaves.
    nodes
        For each node its column, its threshold (left is what is at most that) and its two
        children, the right one first; a leaf has column 0 and itself for both.
    out
        Nodes, shape ``(n, n_trees)``.
    """
    c, t, ch = nodes
    n_rows = x.shape[0]
    n_trees = roots.shape[0]
    block = n_rows - n_rows % 8
    for tree in range(n_trees):
        root = roots[tree]
        for i in range(0, block, 8):
            n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = root
            while (
                n0 < n_splits
                or n1 < n_splits
                or n2 < n_splits
                or n3 < n_splits
                or n4 < n_splits
                or n5 < n_splits
                or n6 < n_splits
                or n7 < n_splits
            ):
                n0 = ch[2 * n0 + (x[i, c[n0]] <= t[n0])]
                n1 = ch[2 * n1 + (x[i + 1, c[n1]] <= t[n1])]
                n2 = ch[2 * n2 + (x[i + 2, c[n2]] <= t[n2])]
                n3 = ch[2 * n3 + (x[i + 3, c[n3]] <= t[n3])]
                n4 = ch[2 * n4 + (x[i + 4, c[n4]] <= t[n4])]
                n5 = ch[2 * n5 + (x[i + 5, c[n5]] <= t[n5])]
                n6 = ch[2 * n6 + (x[i + 6, c[n6]] <= t[n6])]
                n7 = ch[2 * n7 + (x[i + 7, c[n7]] <= t[n7])]
            out[i, tree] = n0
            out[i + 1, tree] = n1
            out[i + 2, tree] = n2
            out[i + 3, tree] = n3
            out[i + 4, tree] = n4
            out[i + 5, tree] = n5
            out[i + 6, tree] = n6
            out[i + 7, tree] = n7
    for i in range(block, n_rows):  # the last rows: eight trees side by side
        for tree in range(0, n_trees, 8):
            last = n_trees - 1  # the eight of the end are filled up with the last tree again
            n0 = roots[tree]
            n1 = roots[min(tree + 1, last)]
            n2 = roots[min(tree + 2, last)]
            n3 = roots[min(tree + 3, last)]
            n4 = roots[min(tree + 4, last)]
            n5 = roots[min(tree + 5, last)]
            n6 = roots[min(tree + 6, last)]
            n7 = roots[min(tree + 7, last)]
            while (
                n0 < n_splits
                or n1 < n_splits
                or n2 < n_splits
                or n3 < n_splits
                or n4 < n_splits
                or n5 < n_splits
                or n6 < n_splits
                or n7 < n_splits
            ):
                n0 = ch[2 * n0 + (x[i, c[n0]] <= t[n0])]
                n1 = ch[2 * n1 + (x[i, c[n1]] <= t[n1])]
                n2 = ch[2 * n2 + (x[i, c[n2]] <= t[n2])]
                n3 = ch[2 * n3 + (x[i, c[n3]] <= t[n3])]
                n4 = ch[2 * n4 + (x[i, c[n4]] <= t[n4])]
                n5 = ch[2 * n5 + (x[i, c[n5]] <= t[n5])]
                n6 = ch[2 * n6 + (x[i, c[n6]] <= t[n6])]
                n7 = ch[2 * n7 + (x[i, c[n7]] <= t[n7])]
            out[i, tree] = n0
            out[i, min(tree + 1, last)] = n1
            out[i, min(tree + 2, last)] = n2
            out[i, min(tree + 3, last)] = n3
            out[i, min(tree + 4, last)] = n4
            out[i, min(tree + 5, last)] = n5
            out[i, min(tree + 6, last)] = n6
            out[i, min(tree + 7, last)] = n7


@kernel
def find_leaves_with_sets(
    x: NDArray[np.float64],
    cats: NDArray[np.int32],
    roots: NDArray[np.int32],
    n_splits: int,
    nodes: Nodes,
    sets: Sets,
    out: NDArray[np.int32],
) -> None:
    """Find the leaves where some splits are on categories; the rest is as in `find_leaves`.

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
    start, size, words = sets
    n_trees = roots.shape[0]
    last = n_trees - 1  # the last eight are filled up with the last tree again
    for i in range(x.shape[0]):
        for tree in range(0, n_trees, 8):
            n0 = roots[tree]
            n1 = roots[min(tree + 1, last)]
            n2 = roots[min(tree + 2, last)]
            n3 = roots[min(tree + 3, last)]
            n4 = roots[min(tree + 4, last)]
            n5 = roots[min(tree + 5, last)]
            n6 = roots[min(tree + 6, last)]
            n7 = roots[min(tree + 7, last)]
            while (
                n0 < n_splits
                or n1 < n_splits
                or n2 < n_splits
                or n3 < n_splits
                or n4 < n_splits
                or n5 < n_splits
                or n6 < n_splits
                or n7 < n_splits
            ):
                n0 = ch[
                    2 * n0
                    + (x[i, c[n0]] <= t[n0])
                    + _holds(cats[i, c[n0]], start[n0], size[n0], words)
                ]
                n1 = ch[
                    2 * n1
                    + (x[i, c[n1]] <= t[n1])
                    + _holds(cats[i, c[n1]], start[n1], size[n1], words)
                ]
                n2 = ch[
                    2 * n2
                    + (x[i, c[n2]] <= t[n2])
                    + _holds(cats[i, c[n2]], start[n2], size[n2], words)
                ]
                n3 = ch[
                    2 * n3
                    + (x[i, c[n3]] <= t[n3])
                    + _holds(cats[i, c[n3]], start[n3], size[n3], words)
                ]
                n4 = ch[
                    2 * n4
                    + (x[i, c[n4]] <= t[n4])
                    + _holds(cats[i, c[n4]], start[n4], size[n4], words)
                ]
                n5 = ch[
                    2 * n5
                    + (x[i, c[n5]] <= t[n5])
                    + _holds(cats[i, c[n5]], start[n5], size[n5], words)
                ]
                n6 = ch[
                    2 * n6
                    + (x[i, c[n6]] <= t[n6])
                    + _holds(cats[i, c[n6]], start[n6], size[n6], words)
                ]
                n7 = ch[
                    2 * n7
                    + (x[i, c[n7]] <= t[n7])
                    + _holds(cats[i, c[n7]], start[n7], size[n7], words)
                ]
            out[i, tree] = n0
            out[i, min(tree + 1, last)] = n1
            out[i, min(tree + 2, last)] = n2
            out[i, min(tree + 3, last)] = n3
            out[i, min(tree + 4, last)] = n4
            out[i, min(tree + 5, last)] = n5
            out[i, min(tree + 6, last)] = n6
            out[i, min(tree + 7, last)] = n7


@kernel
def sum_leaves(
    found: NDArray[np.int32], values: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Add up what the leaves say, tree after tree: the order that LightGBM has, so the same bits.

    Parameters
    ----------
    found
        What `find_leaves` found, shape ``(n, n_trees)``.
    values
        What each node says.
    out
        Overwritten, shape ``(n, n_outputs)``; the trees take turns at the outputs.
    """
    n_outputs = out.shape[1]
    out[:] = 0.0
    for i in range(found.shape[0]):
        for tree in range(found.shape[1]):
            out[i, tree % n_outputs] += values[found[i, tree]]
