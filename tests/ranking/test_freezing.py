"""What is frozen thaws to the same, and equal states to equal bytes."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest

from mtspam.errors import SnapshotError
from mtspam.ranking.freezing import freeze, thaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    left: int
    right: set


STATE = {
    "numbers": (1, -2.5, True, None, 2**63),
    "order": OrderedDict([("b", 1), ("a", [])]),
    "texts": ["x", "ü"],
    "mixed": ["x", 1, [["list"], "large"]],
    "pairs": [Pair(left=1, right={("b", "c"), ("a", "z")})],
    "small": np.array([[1.5, np.nan]], np.float32),
    "large": np.arange(20_000, dtype=np.uint64).reshape(2, -1),
    "begun": np.pad(np.arange(70.0), (0, 20_000)).reshape(-1, 10),
    "blank": np.zeros(20_000),
    "none": np.zeros((0, 3), np.int32),
}


def test_there_and_back():
    found = thaw(freeze(STATE, {"pair": Pair}), {"pair": Pair})
    assert list(found) == list(STATE)
    for name, value in STATE.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value)
        else:
            assert found[name] == value
            assert type(found[name]) is type(value)
    found["small"][0, 0] = 2.0  # what was thawed can be changed


def test_equal_states_are_equal_bytes():
    other = {**STATE, "pairs": [Pair(left=1, right={("a", "z"), ("b", "c")})]}
    first, second = freeze(STATE, {"pair": Pair}), freeze(other, {"pair": Pair})
    assert {name: one.tobytes() for name, one in first.items()} == {
        name: one.tobytes() for name, one in second.items()
    }


def test_what_is_unknown_is_refused():
    with pytest.raises(TypeError, match="Pair cannot be frozen"):
        freeze(STATE, {})
    with pytest.raises(SnapshotError, match="cannot be read"):
        thaw(freeze(STATE, {"pair": Pair}), {})
    with pytest.raises(SnapshotError, match="cannot be read"):
        thaw({}, {})
