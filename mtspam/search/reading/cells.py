"""Columns of a table as what is known of candidates: numbers, texts, lists."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.search.events import FieldValue
from mtspam.search.reading.values import MOST

if TYPE_CHECKING:
    import polars as pl

__all__ = ["as_numbers", "bounded_column", "feature_of", "first_text"]

_NOT_KNOWN = frozenset({"nan", "na", "n/a", "null", "none"})
"""What programs write into a column of numbers where there is none, in small letters."""


def feature_of(column: "pl.Series", path: str) -> NDArray[np.float64] | list[FieldValue | None]:
    """Return a column of features as numbers, or its texts or lists.

    A boolean is 0 or 1, a date milliseconds since 1970, a time of day and a span of time seconds.

    Raises
    ------
    DataError
        If it holds something else, or a number that is too large; the text names the row.
    """
    import polars as pl  # noqa: PLC0415 - it starts threads

    column = as_numbers(column)
    kind = column.dtype
    if isinstance(kind, pl.String | pl.Categorical | pl.Enum):
        return column.to_list()
    if isinstance(kind, pl.Date | pl.Datetime):
        return bounded_column(column.dt.epoch("ms"), path)
    if isinstance(kind, pl.Time | pl.Duration):
        unit = {"ms": 1e3, "us": 1e6, "ns": 1e9}[getattr(kind, "time_unit", "ns")]
        return bounded_column(column.to_physical() / unit, path)
    if isinstance(kind, pl.Boolean) or kind.is_numeric():
        return bounded_column(column, path)
    if isinstance(kind, pl.List | pl.Array):
        return [_several(value, column.name, path, row) for row, value in enumerate(column, 1)]
    raise DataError(
        f"{path}: column {column.name!r} holds {kind}; a feature is a number, a text, a boolean, "
        "a date or a list of texts or numbers"
    )


def as_numbers(column: "pl.Series") -> "pl.Series":
    """Return a column of texts as numbers, where besides these it only says that there is none.

    A table as text tells numbers by how all of a column is written: one ``nan`` among them would
    make names of all the others.
    """
    import polars as pl  # noqa: PLC0415 - it starts threads

    if column.dtype != pl.String:
        return column
    is_known = _is_known(column)
    if is_known.all() or not is_known.any():
        return column
    numbers = column.set(~is_known, None).str.strip_chars().cast(pl.Float64, strict=False)
    is_number = numbers.is_not_null() == (is_known & column.is_not_null())
    return numbers if numbers.is_not_null().any() and is_number.all() else column


def _is_known(texts: "pl.Series") -> "pl.Series":
    return ~texts.str.strip_chars().str.to_lowercase().is_in(_NOT_KNOWN)


def first_text(column: "pl.Series") -> int | None:
    """Return the first row, from 1, that makes a column one of texts; None where none does."""
    import polars as pl  # noqa: PLC0415 - it starts threads

    column = as_numbers(column)
    if column.dtype != pl.String:
        return None
    is_text = (
        _is_known(column) & column.is_not_null() & column.cast(pl.Float64, strict=False).is_null()
    )
    return int(is_text.arg_max() or 0) + 1 if is_text.any() else None


def bounded_column(column: "pl.Series", path: str) -> NDArray[np.float64]:
    """Return a column of numbers, NaN where there is none.

    Raises
    ------
    DataError
        If one is too large for trees; the text names the row.
    """
    import polars as pl  # noqa: PLC0415 - it starts threads

    numbers = column.cast(pl.Float64).fill_null(math.nan).to_numpy()
    wrong = np.flatnonzero(np.abs(numbers) > MOST)
    if wrong.size:
        raise DataError(
            f"{path}: row {wrong[0] + 1}: {column.name!r} is {numbers[wrong[0]]}, but must be a "
            f"number from {-MOST:g} to {MOST:g}; leave empty what is not known"
        )
    return numbers


def _several(value: object, name: str, path: str, row: int) -> FieldValue | None:
    """Return a list of texts or of numbers without what is missing in it."""
    if value is None:
        return None
    given: list[Any] = [one for one in value if one is not None]  # type: ignore[attr-defined]  # a series
    if all(isinstance(one, str) for one in given):
        return tuple(given)
    if all(isinstance(one, int | float) and abs(one) <= MOST for one in given):
        return tuple(float(one) for one in given)
    raise DataError(f"{path}: row {row}: {name!r} must be a list of texts or of numbers")
