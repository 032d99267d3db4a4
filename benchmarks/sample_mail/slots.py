"""Chance that repeats itself, and templates with slots and alternatives."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

__all__ = ["Dice", "Slots"]

T = TypeVar("T")
Slots = Mapping[str, str | Sequence[str]]

_INNERMOST = re.compile(r"\{([^{}]*)\}")


class Dice:
    """Random choices that depend on a name alone.

    Only `random.Random.random` is used: Python promises its numbers from version to version.
    """

    def __init__(self, name: str) -> None:
        self._random = random.Random(name)

    def below(self, n: int) -> int:
        """Give a whole number from 0 to ``n - 1``."""
        return int(self._random.random() * n)

    def between(self, low: int, high: int) -> int:
        """Give a whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, share: float) -> bool:
        """Say yes in this share of cases."""
        return self._random.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        """Give one of several things."""
        return choices[self.below(len(choices))]

    def some(self, choices: Sequence[T], n: int) -> list[T]:
        """Give `n` different things in random order."""
        rest = list(choices)
        return [rest.pop(self.below(len(rest))) for _ in range(n)]

    def token(self, n: int, alphabet: str = "abcdefghjkmnpqrstuvwxyz23456789") -> str:
        """Give `n` random characters."""
        return "".join(self.pick(alphabet) for _ in range(n))

    def fill(self, template: str, slots: Slots) -> str:
        """Fill a template: ``{one|other}`` is one of these, ``{name}`` a filling of that slot."""

        def choose(match: re.Match[str]) -> str:
            inner = str(match[1])
            if "|" in inner:
                return self.pick(inner.split("|"))
            if inner == "n":
                return str(self.between(2, 98))
            filling = slots[inner]
            return filling if isinstance(filling, str) else self.pick(filling)

        while _INNERMOST.search(template):
            template = _INNERMOST.sub(choose, template)
        return template
