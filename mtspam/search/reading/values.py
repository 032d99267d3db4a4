"""Values of foreign records, checked: fields, names, numbers, moments."""

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from mtspam.errors import DataError
from mtspam.search.events import FieldValue

__all__ = ["MOST", "bounded", "field_value", "grade_of", "milliseconds", "name_of", "number_of"]

MOST = 1e30
"""The largest number of a field, either way: trees take numbers of 32 bits."""

_MOST_GRADE = 30
_FIRST_MILLISECOND = 100_000_000_000  # as seconds it is the year 5138, as milliseconds 1973
_MOST_MILLISECONDS = 1 << 53
"""What a double tells apart; nanoseconds given for milliseconds are beyond it."""


def name_of(record: Mapping[str, Any], key: str, place: str, *, default: str | None = None) -> str:
    """Return a name; a number is one, too.

    Raises
    ------
    DataError
        If it is missing or empty without a default, or no name.
    """
    value = record.get(key)
    if value is None and default is not None:
        return default
    # Whatever has no name would be one and the same, and all but the first be passed over.
    is_name = isinstance(value, str) and (value or default is not None)
    if is_name or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise DataError(f"{place}: {key!r} is {value!r}, but must be a name")


def number_of(record: Mapping[str, Any], key: str, place: str, *, default: float) -> float:
    """Return a finite number; the default where there is none, or what is not a number.

    Raises
    ------
    DataError
        If it is there and none.
    """
    value = record.get(key)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{place}: {key!r} is {value!r}, but must be a number")
    return number


def grade_of(value: float, place: str) -> float:
    """Return a grade: a whole number that training bears, so that no event can be in its way.

    Raises
    ------
    DataError
        If it is none.
    """
    if not (0 <= value <= _MOST_GRADE and value == int(value)):
        raise DataError(
            f"{place} is {value:g}, but a grade must be a whole number from 0 to {_MOST_GRADE}"
        )
    return float(value)


def milliseconds(value: object, place: str, *, knows_seconds: bool = True) -> int:
    """Return a moment in milliseconds since 1970.

    Parameters
    ----------
    value
        Milliseconds or seconds as a number or a text of digits, a date, with or without a time
        of day, by ISO 8601 (without a zone: UTC), or a `datetime` or `date`.
    place
        What an error names.
    knows_seconds
        Whether a number that would be a moment before 1973 is one of seconds.

    Raises
    ------
    DataError
        If it is none of them.

    Examples
    --------
    >>> milliseconds("1636993838000", ""), milliseconds(1636993838, "")
    (1636993838000, 1636993838000)
    >>> milliseconds("2021-11-15T16:30:38Z", "")
    1636993838000
    """
    if isinstance(value, str):
        value = _moment(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min, UTC)
    if isinstance(value, datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(zoned.timestamp() * 1000)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        is_seconds = knows_seconds and abs(value) < _FIRST_MILLISECOND
        if abs(value) <= _MOST_MILLISECONDS:
            return round(value * 1000 if is_seconds else value)
    raise DataError(f"{place}: {value!r} is no moment: milliseconds since 1970, or ISO 8601")


def _moment(text: str) -> float | datetime | str:
    for read in (int, float, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def field_value(value: object, place: str) -> FieldValue | None:
    """Return the value of a field; None where there is none.

    Raises
    ------
    DataError
        If it is no boolean, string, number or list of strings or of numbers.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return bounded(value, place)
    if isinstance(value, list | tuple):
        if all(isinstance(one, str) for one in value):
            return tuple(value)
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
            return tuple(bounded(one, place) for one in value)
    raise DataError(f"{place} must be a boolean, text, a number or a list of texts or numbers")


def bounded(value: float, place: str) -> float:
    """Return a number that trees can take.

    Raises
    ------
    DataError
        If it is too large, or not a number.
    """
    if not -MOST <= value <= MOST:
        raise DataError(f"{place} must be a number from {-MOST:g} to {MOST:g}, got {value!r}")
    return float(value)
