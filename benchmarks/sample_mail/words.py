"""The words of the templates, read from the TOML files beside this one."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

__all__ = ["Words"]


class Words:
    """A table of a TOML file: texts, lists of texts, rows of texts and further tables."""

    def __init__(self, table: Mapping[str, object]) -> None:
        self._table = table

    @classmethod
    def load(cls, name: str) -> "Words":
        """Read a file by its name without folder and ending."""
        return cls(tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text("utf-8")))

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def text(self, key: str) -> str:
        """Give a single text."""
        return cast("str", self._table[key])

    def texts(self, key: str) -> Sequence[str]:
        """Give a list of texts."""
        return cast("Sequence[str]", self._table[key])

    def rows(self, key: str) -> Sequence[Sequence[str]]:
        """Give a list of rows of texts."""
        return cast("Sequence[Sequence[str]]", self._table[key])

    def part(self, key: str) -> "Words":
        """Give a table within this one."""
        return Words(cast("Mapping[str, object]", self._table[key]))

    def slots(self) -> dict[str, str | Sequence[str]]:
        """Give all lists of this table, as fillings of the slots of their names."""
        return {key: self.texts(key) for key in self}
