"""Verdicts as lines of a table that is printed while it grows."""

from collections.abc import Iterable, Sequence
from typing import TextIO

import click

from mtspam.commands.rows import Cell, RowWriter

__all__ = ["COLOURS", "VerdictLines", "plain_text"]

COLOURS = {"ham": "green", "unsure": "yellow", "spam": "red"}
_HEAD = f"{'verdict':<8}{'spam %':>7}{'score':>8}{'shared':>8}{'group':>7}{'personal':>9}  message"


class VerdictLines(RowWriter):
    """One line a message, for people; its columns are those of `mtspam.commands.scoring`."""

    def __init__(self, stream: TextIO, columns: Sequence[str]) -> None:
        super().__init__(stream, columns)
        self._at = {name: i for i, name in enumerate(columns)}

    def begin(self) -> None:
        """Write the names of the columns."""
        click.echo(click.style(_HEAD, bold=True), file=self.stream)

    def write(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows."""
        for row in rows:
            click.echo(self._line(row), file=self.stream)

    def _line(self, row: Sequence[Cell]) -> str:
        verdict, name, user = (
            str(row[self._at[key]] or "") for key in ("verdict", "name", "user")
        )
        score, shared, group, personal, probability = (
            float(row[self._at[key]] or 0.0)
            for key in ("score", "shared", "group", "personal", "probability")
        )
        whose = f" → {plain_text(user)}" if user else ""
        told = click.style(f"{verdict:<8}", fg=COLOURS[verdict])
        levels = f"{shared:>+8.2f}{group:>+7.2f}{personal:>+9.2f}"
        return f"{told}{100 * probability:>7.2f}{score:>+8.2f}{levels}  {plain_text(name)}{whose}"


def plain_text(text: str) -> str:
    r"""Return text without control characters that a terminal would obey.

    Examples
    --------
    >>> plain_text("a\x1b[2Jb")
    'a�[2Jb'
    """
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
