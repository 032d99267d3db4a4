"""How two learners become one: what all share is averaged, what is somebody's own is added."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import ModelError
from mtspam.kernels import learning
from mtspam.model.register import DAY, VOICE, Register

__all__ = ["merge_registers", "merge_tables"]

_BLOCK = 1 << 16  # weights at a time, so that the merge needs no table of its own


def merge_tables(
    mine: Mapping[str, NDArray[Any]],
    its: Mapping[str, NDArray[Any]],
    first: Mapping[str, NDArray[Any]],
) -> None:
    """Merge tables, combiner and common state of another learner into `mine`.

    Parameters
    ----------
    mine, its
        Arrays by name, as `Learner.arrays` gives them.
    first
        What combiner and state are before the first label.

    Raises
    ------
    ModelError
        Where two arrays differ in shape.
    """
    names = [name for name in mine if name.endswith(("_weights", "_squares"))]
    for name in [*names, "combiner", "state"]:
        if mine[name].shape != its[name].shape:
            raise ModelError(
                f"{name} of shape {mine[name].shape} and {its[name].shape} cannot be merged"
            )
    for level in ("shared", "head"):
        weights, squares = f"{level}_weights", f"{level}_squares"
        _average(
            (mine[weights].reshape(-1), mine[squares].reshape(-1)),
            (its[weights].reshape(-1), its[squares].reshape(-1)),
        )
    for level in ("personal", "group"):
        mine[f"{level}_weights"] += its[f"{level}_weights"]
    counts = slice(learning.S_HAM, learning.S_SPAM + 1)
    n, m = mine["state"][counts].sum(), its["state"][counts].sum()
    share = m / (n + m) if n + m else 0.0
    mine["combiner"][0] += share * (its["combiner"][0] - mine["combiner"][0])
    mine["combiner"][1] += its["combiner"][1] - first["combiner"][1]
    for at in range(len(mine["state"])):
        if at in {learning.S_BIAS, learning.S_NOISE}:
            mine["state"][at] += share * (its["state"][at] - mine["state"][at])
        else:
            mine["state"][at] += its["state"][at] - first["state"][at]


def _average(
    mine: tuple[NDArray[np.float32], NDArray[np.float32]],
    its: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Average weights by the mass of their accumulators, which are added."""
    for begin in range(0, len(mine[0]), _BLOCK):
        part = slice(begin, begin + _BLOCK)
        mass = its[1][part]
        total = mine[1][part] + mass
        share = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
        mine[0][part] += share * (its[0][part] - mine[0][part])
        mine[1][part] += mass


def merge_registers(mine: Register, its: Register) -> None:
    """Add the figures of another register; who finds no row left is served by the levels above."""
    mine.admit([key for key, _ in its.items()])
    for key, figures in its.items():
        row = mine.row(key)
        if row < 0:
            continue
        before = mine.figures[row].copy()
        mine.figures[row] += figures
        mine.figures[row, DAY] = max(before[DAY], figures[DAY])
        if before[DAY] != figures[DAY]:
            newer = before if before[DAY] > figures[DAY] else figures
            mine.figures[row, VOICE] = newer[VOICE]
