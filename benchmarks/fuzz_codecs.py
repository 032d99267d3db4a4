"""Throw bytes at the codecs of the protocols, guided by coverage, and see that they hold.

``python benchmarks/fuzz_codecs.py --codec spamd --seconds 600`` ends with exit code 0 where no
input crashed the codec, took longer than a few seconds, or made the process grow past its limit.
What did is left in ``benchmarks/results/fuzz_codecs/``. Atheris does the work where it is
installed, else hypothesis, which does not look at coverage.
"""

import argparse
import importlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["CODECS", "main"]

# Name of the codec: the module beside this one that has `check(data: bytes) -> None`, which raises
# where something does not hold, and `SEEDS`, inputs to begin with. In `check` the first byte may
# say how to cut the rest.
CODECS = {
    "http": "fuzz_http",
    "lmtp": "fuzz_lmtp",
    "milter": "fuzz_milter",
    "opensmtpd": "fuzz_opensmtpd",
    "spamd": "fuzz_spamd",
}

_RESULTS = Path(__file__).resolve().parent / "results" / "fuzz_codecs"
_MEMORY_MB = 1_024
_INPUT_SECONDS = 5
_MAX_INPUT_BYTES = 65_536

_Check = Callable[[bytes], None]


def _found(module: Any) -> tuple[_Check, Sequence[bytes]]:  # noqa: ANN401 - whichever module it is
    return module.check, module.SEEDS


def _with_atheris(name: str, seconds: int) -> None:
    """Fuzz until the time is over; does not return."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["mtspam.serve", CODECS[name]]):
        check, seeds = _found(importlib.import_module(CODECS[name]))
    _RESULTS.mkdir(parents=True, exist_ok=True)
    corpus = Path(tempfile.mkdtemp(prefix=f"mtspam-fuzz-{name}-"))
    for number, seed in enumerate(seeds):
        for first in (b"\0", b"\x06", b"\xff"):
            (corpus / f"seed-{number}-{first.hex()}").write_bytes(first + seed)
    options = {
        "max_total_time": seconds,
        "timeout": _INPUT_SECONDS,
        "rss_limit_mb": _MEMORY_MB,
        "max_len": _MAX_INPUT_BYTES,
        "artifact_prefix": f"{_RESULTS}/{name}-",
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], check
    )
    atheris.Fuzz()


def _with_hypothesis(name: str, seconds: int) -> None:
    """Fuzz until the time is over with inputs made of the seeds' pieces."""
    from hypothesis import HealthCheck, given, seed, settings
    from hypothesis import strategies as st

    check, seeds = _found(importlib.import_module(CODECS[name]))
    lines = [line + b"\n" for one in seeds for line in one.split(b"\n")]
    piece = st.one_of(st.sampled_from(seeds), st.sampled_from(lines), st.binary(max_size=64))
    inputs = st.lists(piece, max_size=16).map(b"".join)
    end, n_inputs = time.monotonic() + seconds, 0
    while time.monotonic() < end:

        @seed(random.getrandbits(64))
        @settings(
            max_examples=500,
            database=None,
            deadline=_INPUT_SECONDS * 1_000,
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs)
        def run(data: bytes) -> None:
            check(data)

        run()
        n_inputs += 500
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(f"{name}: {n_inputs:,} inputs by hypothesis, peak {peak_mb:.0f} MB")
    if peak_mb > _MEMORY_MB:
        sys.exit(f"{name}: the process grew past {_MEMORY_MB} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz one codec for a while."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", choices=sorted(CODECS), required=True)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--engine", choices=["atheris", "hypothesis"], default=None)
    chosen = parser.parse_args(arguments)
    is_there = find_spec("atheris") is not None
    engine = chosen.engine or ("atheris" if is_there else "hypothesis")
    run = _with_atheris if engine == "atheris" else _with_hypothesis
    run(chosen.codec, chosen.seconds)


if __name__ == "__main__":
    main()
