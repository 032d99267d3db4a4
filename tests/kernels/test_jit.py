"""The decorator of all kernels."""

import numba
import pytest

from mtspam.kernels._jit import kernel

SOURCE = "def add(a, b):\n    return a + b\n"


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="compiling is what is tested")
def test_without_a_folder_for_machine_code_a_kernel_works_all_the_same(monkeypatch):
    # As for a service whose user has no home and may not write to the installation.
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", "")
    names = {}
    exec(compile(SOURCE, "/proc/nowhere/adding.py", "exec"), names)
    compiled = kernel(names["add"])
    assert compiled(1, 2) == 3
    assert compiled.stats.cache_path is None
