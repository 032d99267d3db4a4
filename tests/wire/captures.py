"""Captured exchanges of real servers, read from the folder beside the project."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Exchange", "named", "read_captures"]

WIRE = Path(__file__).resolve().parents[3] / "shared" / "wire"


@dataclass(frozen=True)
class Exchange:
    """What a client sent and what the server answered, with the comments in between."""

    name: str
    client: tuple[bytes, ...]
    server: tuple[bytes, ...]
    notes: str

    @property
    def request(self):
        return b"".join(self.client)

    @property
    def reply(self):
        return b"".join(self.server)


def read_captures(*names):
    """Read the exchanges of some files in order; none where the folder is not there."""
    return [exchange for name in names for exchange in _read(WIRE / name)]


def named(exchanges):
    """Make one parameter of each exchange, or one that skips where there are none."""
    if exchanges:
        return [pytest.param(one, id=one.name) for one in exchanges]
    skipped = pytest.mark.skip(reason=f"the captures are not in {WIRE}")
    return [pytest.param(None, marks=skipped, id="no captures")]


def _read(path):
    if not path.exists():
        return
    _, *blocks = path.read_text("ascii").split("\n## ")
    for block in blocks:
        name, *lines = block.splitlines()
        sides = {"C": [], "S": [], "#": []}
        for line in filter(None, lines):
            side, _, text = line.partition(" ")
            sides[side].append(text if side == "#" else ast.literal_eval(text))
        yield Exchange(name, tuple(sides["C"]), tuple(sides["S"]), " ".join(sides["#"]))
