"""A forest of decision trees, flattened: predicts as LightGBM does, to the last bit."""

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError, ModelError
from mtspam.kernels import forest as kernels
from mtspam.model.foresttext import TreeText, read_forest

__all__ = ["Forest"]

_CATEGORICAL, _LEFT = 1, 2
_ZERO_IS_MISSING, _NAN_IS_MISSING = 1, 2
_LEAST_SIFTED = 8
"""Rows from which on sifting is quicker than walking: below, its registers are half empty."""
_ABREAST = 8
"""Rows that registers of any width hold without a rest."""
_BLOCK = 512
"""Rows at once: their columns stay near, and many rows do not stand in memory twice."""

_TYPES: Mapping[str, type] = {
    "column_feature": np.int32,
    "column_mode": np.uint8,
    "roots": np.int32,
    "depths": np.int32,
    "node_column": np.int32,
    "threshold": np.float64,
    "children": np.int32,
    "values": np.float64,
    "leaf_number": np.int32,
    "set_start": np.int32,
    "set_size": np.int32,
    "words": np.uint32,
    "sizes": np.int64,
}


class Forest:
    """Trees that LightGBM grew, walked by our own kernel; made by `from_text`.

    Safe after a fork, and to be shared between threads: nothing in it changes.

    Parameters
    ----------
    arrays
        As `arrays` gave them.

    Raises
    ------
    ModelError
        Where an array is missing or of a wrong type.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        for name, kind in _TYPES.items():
            if name not in arrays or arrays[name].dtype != kind:
                raise ModelError(f"the forest's array {name!r} is missing or of a wrong type")
        self._arrays = {name: np.ascontiguousarray(arrays[name]) for name in _TYPES}
        own = self._arrays
        self.n_features, self.n_outputs = own["sizes"].tolist()
        self._columns = (own["column_feature"], own["column_mode"])
        self._trees = (own["roots"], own["depths"])
        self._nodes = (own["node_column"], own["threshold"], own["children"])
        self._sets = (own["set_start"], own["set_size"], own["words"])
        self._has_sets = len(own["words"]) > 0
        self._values = own["values"]
        self._n_columns = max(1, len(own["column_feature"]))
        self._sieve = self._laid_out()

    def _laid_out(self) -> tuple[kernels.Sieve, kernels.Ends] | None:
        """Lay the trees out for sifting; None where they are too large, or have sets."""
        own = self._arrays
        is_leaf = own["leaf_number"] >= 0
        if self._has_sets or own["leaf_number"].max(initial=-1) >= kernels.MOST_LEAVES:
            return None
        n_trees, n_leaves = len(own["roots"]), int(is_leaf.sum())
        n_splits = len(is_leaf) - n_leaves
        sieve = (
            np.zeros(n_trees + 1, np.int64), np.zeros(n_splits, np.int32), np.zeros(n_splits),
            np.zeros(n_splits, np.uint64),
        )  # fmt: skip
        ends = np.zeros(n_trees, np.int64), np.zeros(n_leaves, np.int32)
        kernels.lay_out_sieve(own["roots"], self._nodes, sieve, ends)
        return sieve, ends

    @classmethod
    def from_text(cls, text: str, *, start: int = 0, n_iterations: int | None = None) -> Self:
        """Read a model text of LightGBM, as `Booster.model_to_string` gives it.

        Parameters
        ----------
        text
            The model.
        start
            The first iteration to take.
        n_iterations
            How many; all that follow when not given.

        Raises
        ------
        ModelError
            Where it is no such text, damaged, or has linear trees.
        """
        found = read_forest(text)
        first = start * found.n_outputs
        last = None if n_iterations is None else first + n_iterations * found.n_outputs
        builder = _Builder(len(found.names), found.n_outputs)
        for tree in found.trees[first:last]:
            builder.add(tree)
        return cls(builder.arrays())

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all that makes the forest, to be kept in a file."""
        return dict(self._arrays)

    @property
    def n_trees(self) -> int:
        """The number of trees."""
        return len(self._trees[0])

    def predict(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the raw scores of rows of features.

        Parameters
        ----------
        rows
            NaN where missing, shape ``(n, n_features)``; further columns are not looked at.

        Returns
        -------
        ndarray
            Shape ``(n,)``, or ``(n, n_outputs)`` where there are several.

        Raises
        ------
        DataError
            Where the shape is another.
        """
        return self._walked(rows, 0)[0]

    def predict_with_leaves(
        self, rows: NDArray[np.floating], n_trees: int | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Return raw scores and, for each of the first trees, the number of the leaf.

        Parameters
        ----------
        rows
            As for `predict`.
        n_trees
            How many trees' leaves to tell; all when not given.

        Returns
        -------
        scores
            As of `predict`.
        leaves
            Shape ``(n, n_trees)``.

        Raises
        ------
        DataError
            Where the shape is another.
        """
        wanted = self.n_trees if n_trees is None else min(n_trees, self.n_trees)
        scores, found = self._walked(rows, wanted)
        return scores, self._arrays["leaf_number"][found]

    def _walked(
        self, rows: NDArray[np.floating], n_wanted: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        if rows.ndim != 2 or rows.shape[1] < self.n_features:  # noqa: PLR2004 - rows and columns
            raise DataError(
                f"rows have shape {rows.shape}; they must have at least {self.n_features} columns"
            )
        n = len(rows)
        out = np.empty((n, self.n_outputs))
        found = np.empty((n, n_wanted), np.int32)
        for start in range(0, n, _BLOCK):
            block = slice(start, start + _BLOCK)
            self._walk(np.ascontiguousarray(rows[block], np.float64), out[block], found[block])
        return (out[:, 0] if self.n_outputs == 1 else out), found

    def _walk(
        self, given: NDArray[np.float64], out: NDArray[np.float64], found: NDArray[np.int32]
    ) -> None:
        n = len(given)
        none = np.zeros((0, self._n_columns), np.int32)
        if self._sieve is not None and n >= _LEAST_SIFTED:
            columns = np.zeros((self._n_columns, -(-n // _ABREAST) * _ABREAST))
            kernels.fill_columns(given, self._columns, columns[:, :n].T, none)
            kernels.sift_forest(columns, *self._sieve, self._values, out, found)
            return
        x = np.zeros((n, self._n_columns))
        cats = np.zeros((n, self._n_columns), np.int32) if self._has_sets else none
        kernels.fill_columns(given, self._columns, x, cats)
        if self._has_sets:
            kernels.walk_forest_with_sets(
                x, cats, self._trees, self._nodes, self._sets, self._values, out, found
            )
        else:
            kernels.walk_forest(x, self._trees, self._nodes, self._values, out, found)


class _Builder:
    """Flattens tree after tree."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        self._sizes = (n_features, n_outputs)
        self._columns: dict[tuple[int, int], int] = {}
        self._trees: list[tuple[TreeText, NDArray[np.int32], NDArray[np.float64]]] = []

    def add(self, tree: TreeText) -> None:
        """Take a tree and give each of its splits a column."""
        modes, threshold = _modes(tree)
        keys = zip(tree.feature.tolist(), modes.tolist(), strict=True)
        columns = [self._columns.setdefault(key, len(self._columns)) for key in keys]
        self._trees.append((tree, np.array(columns, np.int32), threshold))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Join the trees: all splits, then all leaves."""
        n_splits = sum(len(tree.feature) for tree, _, _ in self._trees)
        n_nodes = n_splits + sum(len(tree.values) for tree, _, _ in self._trees)
        nodes = np.arange(n_nodes, dtype=np.int32)
        columns = np.zeros(n_nodes, np.int32)
        threshold = np.zeros(n_nodes)
        children = np.repeat(nodes, 2).reshape(-1, 2)
        values = np.zeros(n_nodes)
        leaf_number = np.full(n_nodes, -1, np.int32)
        roots = np.zeros(len(self._trees), np.int32)
        depths = np.array([_depth(tree) for tree, _, _ in self._trees], np.int32)
        split, leaf = 0, n_splits
        for place, (tree, tree_columns, tree_threshold) in enumerate(self._trees):
            n = len(tree.feature)
            here = slice(split, split + n)
            columns[here], threshold[here] = tree_columns, tree_threshold
            for side, child in enumerate((tree.right, tree.left)):
                children[here, side] = np.where(child >= 0, split + child, leaf - 1 - child)
            ends = slice(leaf, leaf + len(tree.values))
            values[ends] = tree.values
            leaf_number[ends] = np.arange(len(tree.values))
            roots[place] = split if n else leaf
            split, leaf = split + n, leaf + len(tree.values)
        keys = np.array(list(self._columns), np.int64).reshape(-1, 2)
        return {
            "column_feature": keys[:, 0].astype(np.int32),
            "column_mode": keys[:, 1].astype(np.uint8),
            "roots": roots,
            "depths": depths,
            "node_column": columns,
            "threshold": threshold,
            "children": children.reshape(-1),
            "values": values,
            "leaf_number": leaf_number,
            **self._sets(n_nodes),
            "sizes": np.array(self._sizes, np.int64),
        }

    def _sets(self, n_nodes: int) -> dict[str, NDArray[np.generic]]:
        if not any(tree.sets for tree, _, _ in self._trees):
            none = np.empty(0, np.int32)
            return {"set_start": none, "set_size": none, "words": np.empty(0, np.uint32)}
        # A threshold has the set at 0, which is empty.
        end = np.zeros(1, np.uint32)
        start, size = np.zeros(n_nodes, np.int32), np.zeros(n_nodes, np.int32)
        words: list[NDArray[np.uint32]] = [end]
        split, n_words = 0, 1
        for tree, _, _ in self._trees:
            for place in np.flatnonzero(tree.decision & _CATEGORICAL).tolist():
                found = tree.sets[int(tree.threshold[place])]
                start[split + place], size[split + place] = n_words, len(found)
                words += [found, end]
                n_words += len(found) + 1
            split += len(tree.feature)
        return {"set_start": start, "set_size": size, "words": np.concatenate(words)}


def _depth(tree: TreeText) -> int:
    """Return the most steps from the root to a leaf."""
    depth, level = 0, np.arange(min(1, len(tree.feature)))
    while level.size:
        depth += 1
        below = np.concatenate([tree.left[level], tree.right[level]])
        level = below[below >= 0]
    return depth


def _modes(tree: TreeText) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Say what stands in for a missing value at each split, so that a threshold alone decides."""
    missing = (tree.decision >> 2) & 3
    goes_left = (tree.decision & _LEFT) > 0
    # Where nothing was missing in training NaN is taken for nought: a direction, too.
    goes_left = np.where(missing == 0, tree.threshold >= 0.0, goes_left)
    modes = np.where(goes_left, kernels.MISSING_LEFT, kernels.MISSING_RIGHT)
    zeros = np.where(goes_left, kernels.ZERO_LEFT, kernels.ZERO_RIGHT)
    modes = np.where(missing == _ZERO_IS_MISSING, zeros, modes)
    categorical = (tree.decision & _CATEGORICAL) > 0
    return (
        np.where(categorical, kernels.CATEGORY, modes).astype(np.int64),
        np.where(categorical, -np.inf, tree.threshold),
    )
