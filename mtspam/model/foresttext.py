"""LightGBM's model text read into tables; nothing of LightGBM is imported for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import ModelError

__all__ = ["ForestText", "TreeText", "read_forest"]

_VERSIONS = ("v3", "v4")
_CATEGORICAL = 1


@dataclass(frozen=True, slots=True)
class TreeText:
    """One tree as the text has it: split n is n, leaf n is -1 - n.

    Parameters
    ----------
    feature, threshold, decision, left, right
        Of each split. Bit 0 of `decision` says category, bit 1 that missing values go left, bits 2
        and 3 what is missing: 0 nothing, 1 nought, 2 NaN.
    values
        Of each leaf.
    sets
        The words of each set of categories; the threshold of such a split is the set's number.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    decision: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    values: NDArray[np.float64]
    sets: tuple[NDArray[np.uint32], ...] = ()


@dataclass(frozen=True, slots=True)
class ForestText:
    """A whole model as the text has it."""

    trees: tuple[TreeText, ...]
    n_outputs: int
    names: tuple[str, ...]


def read_forest(text: str) -> ForestText:
    """Read a model text, as `Booster.model_to_string` gives it.

    Raises
    ------
    ModelError
        Where it is no such text, torn, of a version unknown, or has what is not served: linear
        trees.
    """
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    if "\nend of trees" not in text or not head.startswith("tree\n"):
        raise ModelError("this is no whole model text of LightGBM")
    known = dict(_pairs(head))
    if known.get("version") not in _VERSIONS:
        raise ModelError(
            f"the model text is of version {known.get('version')!r}; "
            f"known are {' and '.join(_VERSIONS)}"
        )
    try:
        n_outputs = int(known["num_tree_per_iteration"])
        names = tuple(known["feature_names"].split())
        trees = tuple(_tree(number, dict(_pairs(block))) for number, block in enumerate(blocks))
    except (KeyError, ValueError) as error:
        raise ModelError(f"the model text is damaged ({error})") from error
    _insist(trees, n_outputs, len(names))
    return ForestText(trees, n_outputs, names)


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            yield name, value


def _tree(number: int, known: Mapping[str, str]) -> TreeText:
    if int(known.get("is_linear", "0")):
        raise ModelError(
            f"tree {number} is linear (linear_tree=true); only trees with constant leaves are "
            "served: train without linear_tree"
        )
    n_leaves = int(known["num_leaves"])
    values = _numbers(known, "leaf_value", n_leaves)
    n_splits = n_leaves - 1
    sets: list[NDArray[np.uint32]] = []
    n_sets = int(known.get("num_cat", "0"))
    if n_sets:
        bounds = [int(bound) for bound in known["cat_boundaries"].split()]
        words = np.array([int(word) for word in known["cat_threshold"].split()], np.uint32)
        sets = [words[start:end] for start, end in pairwise(bounds)]
        if len(sets) != n_sets or bounds[-1] != len(words):
            raise ValueError(f"the sets of tree {number} are torn")
    whole = {
        name: _numbers(known, name, n_splits).astype(np.int64)
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    }
    return TreeText(
        feature=whole["split_feature"],
        threshold=_numbers(known, "threshold", n_splits),
        decision=whole["decision_type"],
        left=whole["left_child"],
        right=whole["right_child"],
        values=values,
        sets=tuple(sets),
    )


def _numbers(known: Mapping[str, str], name: str, n: int) -> NDArray[np.float64]:
    if n == 0:
        return np.empty(0)
    numbers = np.array([float(number) for number in known[name].split()])
    if len(numbers) != n:
        raise ValueError(f"{name} has {len(numbers)} values where {n} are due")
    return numbers


def _insist(trees: tuple[TreeText, ...], n_outputs: int, n_features: int) -> None:
    """Refuse what would lead a walk outside of its tree: kernels trust what they are given."""
    if n_outputs < 1 or len(trees) % n_outputs:
        raise ModelError(f"the model text has {len(trees)} trees for {n_outputs} outputs")
    for number, tree in enumerate(trees):
        n_splits = len(tree.feature)
        children = np.concatenate([tree.left, tree.right])
        seen = np.sort(children)
        # Every split but the first and every leaf is the child of one split: a tree, no cycle
        # reachable from its root.
        due = np.concatenate([np.arange(-n_splits - 1, 0), np.arange(1, n_splits)])
        is_tree = n_splits == 0 or np.array_equal(seen, due)
        is_known = bool(np.all((tree.feature >= 0) & (tree.feature < n_features)))
        categorical = (tree.decision & _CATEGORICAL).astype(bool)
        places = tree.threshold[categorical]
        has_sets = bool(np.all((places >= 0) & (places < len(tree.sets))))
        if not (is_tree and is_known and has_sets):
            raise ModelError(f"the model text is damaged (tree {number} is no tree)")
