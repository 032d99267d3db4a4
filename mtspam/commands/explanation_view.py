"""An explanation as people read it: the verdict, its levels, its strongest words."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mtspam.commands.verdict_lines import COLOURS, plain_text
from mtspam.spam import Explanation, Judgement

__all__ = ["explanation_view", "verdict_text"]

_WIDEST = 48
_BAR = 12
_LEVELS = dict.fromkeys(("everybody", "group", "you", "together"), 0.0)
_STRONGEST = 4.0
"""Log-odds that fill the bar of a level."""


def verdict_text(judgement: Judgement) -> Text:
    """Return a verdict with its probability, in its colour."""
    colour = COLOURS[judgement.verdict.value]
    return Text.assemble(
        (judgement.verdict.value.upper(), f"bold {colour}"),
        f"  {100 * judgement.probability:.1f} % spam, score {judgement.score:+.2f}",
    )


def explanation_view(name: str, user: str | None, found: Explanation) -> RenderableType:
    """Lay out an explanation.

    Parameters
    ----------
    name
        The message's.
    user
        For whom, None for nobody.
    found
        What to show.
    """
    title = Text.assemble((plain_text(name), "bold"), f" → {plain_text(user)}" if user else "")
    has_group = any((found.judgement.group, *(reason.group for reason in found.reasons)))
    parts: list[RenderableType] = [title, verdict_text(found.judgement)]
    parts.append(_levels(found.judgement, has_group=has_group))
    if found.judgement.defects:
        parts.append(Text(f"defects: {', '.join(found.judgement.defects)}", "yellow"))
    if found.reasons:
        parts.append(_reasons(found, has_group=has_group))
    return Group(*parts, Text())


def _levels(judgement: Judgement, *, has_group: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    rows = {"everybody": judgement.shared, "group": judgement.group, "you": judgement.personal}
    for name, value in _without_group(rows, has_group=has_group).items():
        table.add_row(name, f"{value:+.2f}", _bar(value))
    return table


def _bar(value: float) -> Text:
    """Draw a level: to the left for ham, to the right for spam."""
    length = min(_BAR, round(abs(value) / _STRONGEST * _BAR))
    left = "█" * length if value < 0 else ""
    right = "█" * length if value > 0 else ""
    return Text.assemble((f"{left:>{_BAR}}", "green"), ("│", "dim"), (f"{right:<{_BAR}}", "red"))


def _without_group(levels: dict[str, float], *, has_group: bool) -> dict[str, float]:
    return {name: value for name, value in levels.items() if has_group or name != "group"}


def _reasons(found: Explanation, *, has_group: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("what", style="dim", no_wrap=True)
    # The one column that gives way on a narrow terminal: its cells do not wrap, but it may.
    table.add_column("in the message", max_width=_WIDEST)
    for level in _without_group(_LEVELS, has_group=has_group):
        table.add_column(level, justify="right", no_wrap=True)
    for reason in found.reasons:
        parts = (reason.shared, reason.group, reason.personal, reason.total)
        shown = _without_group(dict(zip(_LEVELS, parts, strict=True)), has_group=has_group)
        table.add_row(
            reason.kind,
            Text(plain_text(reason.text), no_wrap=True, overflow="ellipsis"),
            *(_signed(part) for part in shown.values()),
        )
    return table


def _signed(value: float) -> Text:
    style = "dim" if abs(value) < 0.005 else "red" if value > 0 else "green"  # noqa: PLR2004 - shown as 0.00
    return Text(f"{value:+.2f}", style)
