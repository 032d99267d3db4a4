"""What a process took: the peak of whoever started it is not its own."""

import sys

import numpy as np
import pytest
from timing import ProcessError, peak_of_process, run_process


def test_the_peak_of_a_process_is_its_own():
    held = np.ones(16 << 20)
    nothing, some = ([sys.executable, "-c", f"x = b'x' * {n}"] for n in (1, 48 << 20))
    peak_mb = peak_of_process(nothing, {})
    assert peak_mb < held.nbytes / (1 << 20) < run_process(nothing).peak_mb
    assert peak_of_process(some, {}) > peak_mb + 40


def test_a_process_that_fails_is_told():
    with pytest.raises(ProcessError, match="exit 3: enough"):
        peak_of_process(
            [sys.executable, "-c", "import sys; print('enough', file=sys.stderr); sys.exit(3)"], {}
        )
