"""What the learner's kernel trusts in, checked at its face."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import ModelError
from mtspam.kernels.offsets import are_offsets_sound
from mtspam.model.batch import KINDS, NO_LABEL, Batch
from mtspam.types import Features

__all__ = ["check_arrays", "check_batch", "check_features"]

_HASH, _OFFSET = np.dtype(np.uint32), np.dtype(np.int64)


def check_batch(batch: Batch, n_views: int) -> None:
    """Hold types, shapes and sizes of a batch to what the kernel trusts in.

    Raises
    ------
    ModelError
        Where one does not fit.
    """
    n = len(batch)
    if n:
        check_features(batch.features, n_views)
    for name in ("users", "groups", "values", "kinds", "times", "priors", "weights"):
        column = getattr(batch, name)
        if column is not None and len(column) != n:
            raise ModelError(f"{name} has {len(column)} rows for {n} messages")
    if batch.values is not None and not np.isin(batch.values, (NO_LABEL, 0, 1)).all():
        raise ModelError("a label's value must be 1, 0 or -1 (not told)")
    if batch.kinds is not None and not np.isin(batch.kinds, range(len(KINDS))).all():
        raise ModelError(f"a label's kind must be a number from 0 to {len(KINDS) - 1}")
    # Quicker than an array for one message, and for many still nothing beside what follows.
    if batch.priors is not None and not all(map(isfinite, batch.priors.tolist())):
        raise ModelError("a margin of the starter model must be finite")
    if batch.weights is not None and not (batch.weights > 0).all():
        raise ModelError("a label's weight must be above 0")


def check_features(features: Features, n_views: int) -> None:
    """Hold a block of at least one hashed message to what the kernels trust in.

    Raises
    ------
    ModelError
        Where it has another number of views, another type, or offsets that leave it.
    """
    values, offsets = features.values, features.offsets
    if offsets.ndim != 2 or offsets.shape[1] != n_views + 1:  # noqa: PLR2004 - messages by views
        raise ModelError(f"examples have {offsets.shape[-1] - 1} views; this model has {n_views}")
    for name, array, kind in (("features", values, _HASH), ("offsets", offsets, _OFFSET)):
        if array.dtype != kind or not array.flags.c_contiguous:
            raise ModelError(f"{name} are {array.dtype}; they must be one block of {kind.name}")
    if not are_offsets_sound(offsets, len(values)):
        raise ModelError(f"offsets fall or leave the {len(values)} features")


def check_arrays(
    tables: Mapping[str, tuple[NDArray[Any], int]],
    others: Mapping[str, tuple[NDArray[Any], tuple[int, ...]]],
) -> None:
    """Hold a learner's arrays to what the kernel trusts in.

    Parameters
    ----------
    tables
        Tables by name, each with how many rows it must have.
    others
        Other arrays by name, each with its shape.

    Raises
    ------
    ModelError
        Where one does not fit.
    """
    for name, (table, n_rows) in tables.items():
        size = table.shape[1] if table.ndim == 2 else 0  # noqa: PLR2004 - views by buckets
        if table.dtype != np.float32 or len(table) != n_rows or size < 1 or size & (size - 1):
            raise ModelError(
                f"table {name} has shape {table.shape} of {table.dtype}; it must have {n_rows} "
                "rows of a power of two float32 weights"
            )
    for name, (array, shape) in others.items():
        if array.shape != shape or array.dtype != np.float64:
            raise ModelError(f"{name} has shape {array.shape} of {array.dtype}, not {shape}")
    for name, (array, _) in [*tables.items(), *others.items()]:
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ModelError(f"{name} must be one block that may be written to")
