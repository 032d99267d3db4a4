"""The trunk: shared trees, trees of each market on top; conversions rest on clicks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError, ModelError
from mtspam.model.forest import Forest

__all__ = [
    "CLICK",
    "CONVERSION",
    "CONVERSION_ALONE",
    "SHARED",
    "TASKS",
    "Codes",
    "Trunk",
    "TrunkScores",
    "encoded",
    "monotone_directions",
    "with_margin",
]

CLICK, CONVERSION = "click", "conversion"
CONVERSION_ALONE = "conversion alone"
"""Trees of conversions that do not know the click margin."""
TASKS = (CLICK, CONVERSION)
SHARED = -1
"""Stands for all markets together where a forest is named."""

F = TypeVar("F", bound=np.floating)

_MAX_PLAIN = 1 << 16
_MAX_CODES = 1 << 12


@dataclass(frozen=True, slots=True)
class Codes:
    """Small numbers for the categories of one column: a set of huge ones would take gigabytes.

    Parameters
    ----------
    values
        The categories known, rising; the place is the number. Empty: they are small as they are.
    """

    values: NDArray[np.float64]

    @classmethod
    def of(cls, column: NDArray[np.floating]) -> Self:
        """Give numbers to the categories that occur, to the most frequent if they are many."""
        known = column[np.isfinite(column) & (column >= 0)]
        if known.size == 0 or known.max() < _MAX_PLAIN:
            return cls(np.empty(0))
        values, counts = np.unique(known.astype(np.float64), return_counts=True)
        most = np.argsort(-counts, kind="stable")[:_MAX_CODES]
        return cls(np.sort(values[most]))

    def apply(self, column: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the numbers of categories, NaN for those that are not known."""
        if self.values.size == 0:
            return column.astype(np.float64)
        given = column.astype(np.float64)
        places = np.minimum(np.searchsorted(self.values, given), len(self.values) - 1)
        return np.where(self.values[places] == given, places.astype(np.float64), np.nan)


@dataclass(frozen=True, slots=True)
class TrunkScores:
    """What the trees say about candidates.

    Parameters
    ----------
    click, conversion
        Margins, shape ``(n,)``; `conversion` is None where no conversion was ever learnt.
    shared
        The part of `click` that is the shared trees'.
    leaves
        Leaves of shared trees of the click task, ``(n, n_trees)``; None if not asked for.
    """

    click: NDArray[np.float64]
    conversion: NDArray[np.float64] | None
    shared: NDArray[np.float64]
    leaves: NDArray[np.int32] | None = None

    def blend(self, conversion_share: float) -> NDArray[np.float64]:
        """Return click and conversion mixed."""
        if self.conversion is None or conversion_share == 0.0:
            return self.click
        return (1.0 - conversion_share) * self.click + conversion_share * self.conversion


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """Forests by task and market, and what their columns are called.

    Parameters
    ----------
    columns
        Names of the features, in the order in which `scores` wants them.
    markets
        Names of the markets; a forest is named by the place in here.
    forests
        By task and market, `SHARED` for all markets together.
    codes
        For each categorical column its numbers.
    texts
        LightGBM's model text of each forest, kept beside for other programs.
    gain
        How much each column gained in the shared trees of the click task.
    """

    columns: tuple[str, ...]
    markets: tuple[str, ...] = ()
    forests: Mapping[tuple[str, int], Forest]
    codes: Mapping[int, Codes] = field(default_factory=dict)
    texts: Mapping[tuple[str, int], str] = field(default_factory=dict)
    gain: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if (CLICK, SHARED) not in self.forests:
            raise ModelError("a trunk must have shared trees of the click task")

    @property
    def has_conversion(self) -> bool:
        """Whether conversions were learnt."""
        return (CONVERSION, SHARED) in self.forests

    def market_of(self, name: str) -> int:
        """Return the place of a market, -1 if it is not known."""
        return self.markets.index(name) if name in self.markets else SHARED

    def encoded(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return features with small numbers for categories; the same array if none is large.

        Raises
        ------
        DataError
            If the number of columns is another.
        """
        if values.ndim != 2 or values.shape[1] != len(self.columns):  # noqa: PLR2004 - rows and columns
            raise DataError(
                f"features have shape {values.shape}; the trunk knows {len(self.columns)} columns"
            )
        return encoded(values, self.codes)

    def scores(
        self,
        values: NDArray[np.floating],
        market: NDArray[np.int32] | int = SHARED,
        *,
        n_leaf_trees: int = 0,
    ) -> TrunkScores:
        """Score candidates.

        Parameters
        ----------
        values
            Features by `columns`, NaN where missing, shape ``(n, n_columns)``.
        market
            Of all candidates or of each one, shape ``(n,)``; -1 where not known.
        n_leaf_trees
            Of how many trees, the first ones, to tell the leaves, too.

        Raises
        ------
        DataError
            If the number of columns is another.
        """
        values = np.ascontiguousarray(self.encoded(values), np.float64)
        first = self.forests[CLICK, SHARED]
        leaves: NDArray[np.int32] | None = None
        if n_leaf_trees:
            shared, leaves = first.predict_with_leaves(values, n_leaf_trees)
        else:
            shared = first.predict(values)
        click = self._on_top(CLICK, values, market, shared)
        conversion = None
        if self.has_conversion:
            wider = with_margin(values, click)
            base = self.forests[CONVERSION, SHARED].predict(wider)
            conversion = self._on_top(CONVERSION, wider, market, base)
            alone = self.forests.get((CONVERSION_ALONE, SHARED))
            if alone is not None:
                # The two err differently: their mean is nearer than either.
                base = alone.predict(values)
                conversion += self._on_top(CONVERSION_ALONE, values, market, base)
                conversion *= 0.5
        return TrunkScores(click, conversion, shared, leaves)

    def _on_top(
        self,
        task: str,
        values: NDArray[np.floating],
        market: NDArray[np.int32] | int,
        base: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        if isinstance(market, int):
            forest = None if market < 0 else self.forests.get((task, market))
            return base if forest is None else base + forest.predict(values)
        out = base
        for place in np.unique(market[market >= 0]).tolist():
            forest = self.forests.get((task, place))
            if forest is not None:
                rows = market == place
                out = out.copy() if out is base else out
                out[rows] += forest.predict(values[rows])
        return out

    def header(self) -> dict[str, Any]:
        """Return all that is not an array, to be kept in a file beside `arrays`."""
        return {
            "columns": list(self.columns),
            "markets": list(self.markets),
            "forests": [[task, market] for task, market in self.forests],
            "categorical": list(self.codes),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays, to be kept in a file."""
        found: dict[str, NDArray[Any]] = {"gain": self.gain}
        for (task, market), forest in self.forests.items():
            for name, array in forest.arrays().items():
                found[f"{task} {market} {name}"] = array
        for place, codes in self.codes.items():
            found[f"codes {place}"] = codes.values
        return found

    @classmethod
    def from_arrays(cls, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Make the trunk again that `header` and `arrays` told of.

        Raises
        ------
        ModelError
            Where something is missing.
        """
        try:
            names = [(str(task), int(market)) for task, market in header["forests"]]
            parts: dict[tuple[str, int], Forest] = {}
            for task, market in names:
                start = f"{task} {market} "
                parts[task, market] = Forest(
                    {
                        name.removeprefix(start): array
                        for name, array in arrays.items()
                        if name.startswith(start)
                    }
                )
            return cls(
                columns=tuple(header["columns"]),
                markets=tuple(header["markets"]),
                forests=parts,
                codes={
                    place: Codes(np.asarray(arrays[f"codes {place}"]))
                    for place in header["categorical"]
                },
                gain=np.asarray(arrays["gain"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the trunk's file lacks {error}") from error


def encoded(values: NDArray[np.floating], codes: Mapping[int, Codes]) -> NDArray[np.floating]:
    """Return features with small numbers for categories; the same array if none is large."""
    large = {place: code for place, code in codes.items() if code.values.size}
    if not large:
        return values
    out = values.copy()
    for place, code in large.items():
        out[:, place] = code.apply(values[:, place])
    return out


def with_margin(values: NDArray[F], margin: NDArray[np.float64]) -> NDArray[F]:
    """Return features with the click margin to the right: what conversions are learnt from."""
    # Narrow on both sides: the same number is met in training and in serving.
    narrow = margin.astype(np.float32).astype(values.dtype)
    return np.concatenate([values, narrow[:, None]], axis=1)


def monotone_directions(
    columns: Sequence[str], increasing: Sequence[str], decreasing: Sequence[str]
) -> tuple[int, ...]:
    """Return 1, -1 or 0 for each column.

    Raises
    ------
    DataError
        If a name is in both.
    """
    if both := set(increasing) & set(decreasing):
        raise DataError(f"features {sorted(both)} cannot both rise and fall")
    return tuple(1 if name in increasing else -1 if name in decreasing else 0 for name in columns)
