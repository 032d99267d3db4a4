import dataclasses
import math
import subprocess
import sys

import pytest

from mtspam.errors import DataError


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": b"short"}, "user key has 5 bytes"),
        ({"group": b"x" * 17}, "group key has 17 bytes"),
        ({"digest": b""}, "digest has 0 bytes"),
        ({"value": 2}, "value is 2"),
        ({"weight": 0.0}, "weight is 0.0"),
        ({"weight": math.nan}, "weight is nan"),
        ({"weight": math.inf}, "weight is inf"),
        ({"time": 2**63}, "time is 9223372036854775808"),
        ({"source": "x" * 256}, "at most 255 printable"),
        ({"source": "a\nb"}, "at most 255 printable"),
    ],
)
def test_a_label_out_of_range_is_refused(make_label, change, words):
    with pytest.raises(DataError) as caught:
        dataclasses.replace(make_label(1), **change)
    assert words in str(caught.value)


@pytest.mark.parametrize("module", ["mtspam.journal", "mtspam.journal.events"])
def test_naming_an_event_loads_no_database_and_no_compiler(module):
    code = (
        f"import sys, {module}\n"
        "print(*sorted({'sqlalchemy', 'sqlite3', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_the_room_knows_its_names():
    import mtspam.journal

    for name in mtspam.journal.__all__:
        assert getattr(mtspam.journal, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = mtspam.journal.Nothing
