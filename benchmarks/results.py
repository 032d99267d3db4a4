"""Results as small JSON files, one a task and size, with what is needed to repeat them."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["RESULTS", "cpu_name", "read_results", "versions", "write_result"]

RESULTS = Path(__file__).resolve().parent / "results"

_PACKAGES = (
    "mtspam",
    "numpy",
    "numba",
    "polars",
    "lightgbm",
    "scikit-learn",
    "vowpalwabbit",
    "xgboost",
    "catboost",
)


def _first_line(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.partition("\n")[0].strip() or None


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Return the versions of the interpreter, of every package that matters and of bogofilter."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    found.update({name: _package_version(name) for name in _PACKAGES})
    bogofilter = _first_line(["bogofilter", "-V"])
    found["bogofilter"] = bogofilter.rpartition(" ")[2] if bogofilter else None
    return found


def _commit() -> str | None:
    commit = _first_line(["git", "rev-parse", "HEAD"])
    dirty = _first_line(["git", "status", "--porcelain", "--untracked-files=no", "../mtspam"])
    return f"{commit}+changes" if commit and dirty else commit


def cpu_name() -> str:
    """Return kind and number of the processors."""
    path = Path("/proc/cpuinfo")
    text = path.read_text("utf-8") if path.exists() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} threads"


def write_result(benchmark: str, name: str, record: Mapping[str, object]) -> Path:
    """Write one task's record, with versions and commit, and return where it is.

    Sizes are kept apart, so that a quick run never mixes with the figures of a full one.
    """
    folder = RESULTS / benchmark / str(record["size"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    full = {**record, "commit": _commit(), "versions": versions(), "cpu": cpu_name()}
    path.write_text(json.dumps(full, indent=1) + "\n", "utf-8")
    return path


def read_results(benchmark: str, size: str) -> list[dict[str, object]]:
    """Read all records of a benchmark at a size, in the order in which they are measured."""
    paths = sorted((RESULTS / benchmark / size).glob("*.json"))
    records: list[dict[str, object]] = [json.loads(path.read_text("utf-8")) for path in paths]
    return sorted(records, key=lambda record: (int(str(record.get("place", 0))), str(record)))
