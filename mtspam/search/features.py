"""The table that ranking models learn from and score: a row for each candidate of each query."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError

__all__ = ["FeatureTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """Candidates of queries: features, what is known of the query, what became of them.

    Rows of one query stand together. Arrays are checked once, here, so that kernels may trust
    them.

    Parameters
    ----------
    columns
        Names of the features; no name twice.
    values
        Shape ``(n_rows, n_columns)``, C order; NaN: missing. A categorical column holds whole
        numbers of 0 or more.
    offsets
        Where each query's rows begin, then the number of rows; shape ``(n_queries + 1,)``.
    items
        Keys of the documents (`mtspam.search.keys.key`), shape ``(n_rows,)``.
    position
        Place at which it was shown, the first is 0; -1 where not known. Shape ``(n_rows,)``.
    click
        Grade of the main task, 0 or more: clicked or not, or a judgement; NaN: not known, as in
        a table that is only to be scored. Shape ``(n_rows,)``.
    conversion
        Grade of the second task; NaN: not known. Shape ``(n_rows,)``.
    user
        Key of the user of each query, 0 for nobody; shape ``(n_queries,)``.
    market
        Index into `markets` of each query, -1 where not known; shape ``(n_queries,)``.
    time
        Milliseconds since 1970 of each query; shape ``(n_queries,)``.
    markets
        Names of the markets.
    categorical
        Names of the columns that hold numbers of categories.
    weight
        How much each query counts in training; shape ``(n_queries,)``, empty: all alike.

    Raises
    ------
    DataError
        If a shape or a type does not fit, or a name stands twice.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float32]
    offsets: NDArray[np.int64]
    items: NDArray[np.uint64]
    position: NDArray[np.int32]
    click: NDArray[np.float32]
    conversion: NDArray[np.float32]
    user: NDArray[np.uint64]
    market: NDArray[np.int32]
    time: NDArray[np.int64]
    markets: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    weight: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if len(set(self.columns)) != len(self.columns):
            raise DataError(f"a column's name stands twice in {self.columns}")
        if missing := set(self.categorical) - set(self.columns):
            raise DataError(f"categorical columns {sorted(missing)} are not among {self.columns}")
        offsets = self.offsets
        if (
            offsets.ndim != 1
            or offsets.size == 0
            or offsets[0] != 0
            or np.any(np.diff(offsets) < 0)
        ):
            raise DataError("offsets must rise from 0 and end with the number of rows")
        for name, (dtype, shape) in self._expected().items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
                raise DataError(
                    f"{name} must be contiguous, of type {dtype.__name__} and shape {shape}, got "
                    f"{array.dtype} and {array.shape}"
                )
        if self.market.size and not (
            -1 <= self.market.min() <= self.market.max() < len(self.markets)
        ):
            raise DataError(f"a market's index must be from -1 to {len(self.markets) - 1}")

    def _expected(self) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
        rows, queries = (int(self.offsets[-1]),), (self.offsets.size - 1,)
        expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "values": (np.float32, (rows[0], len(self.columns))),
            "offsets": (np.int64, (queries[0] + 1,)),
            "items": (np.uint64, rows),
            "position": (np.int32, rows),
            "click": (np.float32, rows),
            "conversion": (np.float32, rows),
            "user": (np.uint64, queries),
            "market": (np.int32, queries),
            "time": (np.int64, queries),
        }
        if self.weight.size:
            expected["weight"] = (np.float32, queries)
        return expected

    @property
    def n_rows(self) -> int:
        """Number of candidates."""
        return int(self.offsets[-1])

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return self.offsets.size - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of candidates of each query, shape ``(n_queries,)``."""
        return np.diff(self.offsets)

    @property
    def query_of_row(self) -> NDArray[np.int64]:
        """Index of each row's query, shape ``(n_rows,)``."""
        return np.repeat(np.arange(self.n_queries), self.sizes)

    def column(self, name: str) -> NDArray[np.float32]:
        """Return one feature of all rows.

        Raises
        ------
        DataError
            If there is no such column.
        """
        if name not in self.columns:
            raise DataError(f"no column {name!r} among {self.columns}")
        return self.values[:, self.columns.index(name)]

    def with_columns(
        self,
        columns: Sequence[str],
        values: NDArray[np.float32],
        *,
        categorical: Sequence[str] = (),
    ) -> "FeatureTable":
        """Return the table with further features to the right.

        Parameters
        ----------
        columns
            Their names.
        values
            Shape ``(n_rows, len(columns))``.
        categorical
            Which of them hold numbers of categories.
        """
        wider = np.concatenate([self.values, values.astype(np.float32, copy=False)], axis=1)
        return replace(
            self,
            columns=(*self.columns, *columns),
            values=np.ascontiguousarray(wider),
            categorical=(*self.categorical, *categorical),
        )

    def only_columns(self, columns: Sequence[str]) -> "FeatureTable":
        """Return the table with these features only, in this order.

        Raises
        ------
        DataError
            If one of them is not there.
        """
        chosen = [self.column(name) for name in columns]
        values = np.stack(chosen, axis=1) if chosen else np.zeros((self.n_rows, 0), np.float32)
        return replace(
            self,
            columns=tuple(columns),
            values=np.ascontiguousarray(values),
            categorical=tuple(name for name in self.categorical if name in columns),
        )

    def take(self, queries: NDArray[np.int64]) -> "FeatureTable":
        """Return some queries with all their rows.

        Parameters
        ----------
        queries
            Indices of queries, in the order wanted.
        """
        sizes = self.sizes[queries]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        rows = np.repeat(self.offsets[queries] - offsets[:-1], sizes) + np.arange(offsets[-1])
        chosen: dict[str, object] = {"offsets": offsets}
        for entry in fields(self):
            array = getattr(self, entry.name)
            if not isinstance(array, np.ndarray) or entry.name == "offsets":
                continue
            if entry.name == "weight" and not array.size:
                continue
            is_of_rows = entry.name in {"values", "items", "position", "click", "conversion"}
            chosen[entry.name] = np.ascontiguousarray(array[rows if is_of_rows else queries])
        return replace(self, **chosen)  # type: ignore[arg-type]  # arrays by field name

    def split_by_time(self, fraction: float) -> tuple["FeatureTable", "FeatureTable"]:
        """Part the queries by time: the earlier ones, and the last `fraction` of them.

        Queries of one moment keep the order of the table.

        Parameters
        ----------
        fraction
            From 0 to 1.

        Raises
        ------
        DataError
            If it is not.
        """
        if not 0.0 <= fraction <= 1.0:
            raise DataError(f"a fraction must be from 0 to 1, got {fraction}")
        order = np.argsort(self.time, kind="stable")
        cut = self.n_queries - round(fraction * self.n_queries)
        return self.take(order[:cut]), self.take(order[cut:])
