"""What a learner has learnt as one text of bytes and large arrays, and back: equal for equal."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtspam.errors import SnapshotError

__all__ = ["freeze", "thaw"]

_OBJECTS = "objects"
_LARGE_BYTES = 1 << 16
"""Smaller arrays stand among the objects: each array of a snapshot begins on a page of its own."""
_PARTS = 64
"""What an array has not come to use is left away by so many parts of it."""
_SCALARS = (bool, int, float, str, type(None))
_MAPPINGS: Mapping[type, str] = {dict: "dict", OrderedDict: "ordered"}
_SEQUENCES: Mapping[type, str] = {list: "list", tuple: "tuple", set: "set"}
_MAKERS: Mapping[str, type] = {
    tag: kind for kind, tag in (*_MAPPINGS.items(), *_SEQUENCES.items())
}
_ARRAYS = frozenset({"array", "large", "begun"})


def freeze(state: Mapping[str, Any], records: Mapping[str, type]) -> dict[str, NDArray[Any]]:
    """Return a state as arrays, which `mtspam.snapshot.write_snapshot` takes.

    Parameters
    ----------
    state
        Numbers, texts, arrays, mappings, sequences and records, in any depth.
    records
        The dataclasses that occur, by name.

    Raises
    ------
    TypeError
        If something else is in it.
    """
    freezer = _Freezer(records)
    said = msgspec.msgpack.encode(freezer.plain(dict(state)))
    return {**freezer.arrays, _OBJECTS: np.frombuffer(said, np.uint8)}


def thaw(arrays: Mapping[str, NDArray[Any]], records: Mapping[str, type]) -> dict[str, Any]:
    """Return the state that `freeze` was given; its large arrays are those that are given here.

    Raises
    ------
    SnapshotError
        If it was frozen by another program.
    """
    try:
        said = msgspec.msgpack.decode(arrays[_OBJECTS].tobytes())
        found = _thawed(said, arrays, records)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SnapshotError(f"what was learnt cannot be read ({error!r})") from error
    if not isinstance(found, dict):
        raise SnapshotError("what was learnt cannot be read (it is no state)")
    return found


class _Freezer:
    """Makes scalars and tagged lists of everything, and puts large arrays aside."""

    def __init__(self, records: Mapping[str, type]) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._records = {kind: name for name, kind in records.items()}

    def plain(self, value: Any) -> Any:  # noqa: ANN401 - of any type, as are the parts of a state
        kind = type(value)
        if kind in _SCALARS:
            return value
        if kind in _MAPPINGS:
            if all(type(one) is str for one in value) and _are_scalars(value.values()):
                return ["plain", _MAPPINGS[kind], dict(value)]
            flat = [self.plain(one) for pair in value.items() for one in pair]
            return [_MAPPINGS[kind], *flat]
        if kind in _SEQUENCES:
            # A set's order is another one in each process.
            parts = sorted(value) if kind is set else list(value)
            if _are_scalars(parts):
                return ["plain", _SEQUENCES[kind], parts]
            return [_SEQUENCES[kind], *map(self.plain, parts)]
        if isinstance(value, np.ndarray | np.generic):
            return self._array(np.asarray(value))
        if kind in self._records:
            return [
                self._records[kind],
                *(self.plain(getattr(value, one)) for one in _names(kind)),
            ]
        raise TypeError(f"{kind.__name__} cannot be frozen")

    def _array(self, array: NDArray[Any]) -> list[Any]:
        if array.nbytes >= _LARGE_BYTES:
            name = f"array {len(self.arrays)}"
            n_used = _used(array)
            if n_used > len(array) // 2:
                self.arrays[name] = array
                return ["large", name]
            self.arrays[name] = array[:n_used]
            return ["begun", name, len(array)]
        return ["array", array.dtype.str, list(array.shape), array.tobytes()]


def _are_scalars(values: Iterable[Any]) -> bool:
    return all(type(one) in _SCALARS for one in values)


def _used(array: NDArray[Any]) -> int:
    """Return how many rows there are up to the last ones that are not all zero, about."""
    step = max(1, len(array) // _PARTS)
    for start in reversed(range(0, len(array), step)):
        if array[start : start + step].any():
            return min(len(array), start + step)
    return 0


def _names(kind: type) -> list[str]:
    return [one.name for one in fields(kind)]


def _thawed(
    value: Any,  # noqa: ANN401 - as it was decoded
    arrays: Mapping[str, NDArray[Any]],
    records: Mapping[str, type],
) -> Any:  # noqa: ANN401 - whatever was frozen
    if not isinstance(value, list):
        return value
    tag, *rest = value
    if tag in _ARRAYS:
        return _array(tag, rest, arrays)
    if tag == "plain":  # as it is, and quicker: nothing below is to be thawed
        return _MAKERS[rest[0]](rest[1])
    parts = [_thawed(one, arrays, records) for one in rest]
    if tag in _MAPPINGS.values():
        return _MAKERS[tag](zip(parts[::2], parts[1::2], strict=True))
    if tag in _MAKERS:
        return _MAKERS[tag](parts)
    kind = records[tag]
    return kind(**dict(zip(_names(kind), parts, strict=True)))


def _array(tag: str, rest: list[Any], arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    if tag == "large":
        return arrays[rest[0]]
    if tag == "begun":
        begun = arrays[rest[0]]
        whole = np.zeros((rest[1], *begun.shape[1:]), begun.dtype)
        whole[: len(begun)] = begun
        return whole
    dtype, shape, data = rest
    return np.frombuffer(data, dtype).reshape(shape).copy()
