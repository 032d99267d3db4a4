"""An explanation as people read it: the verdict, its levels, its strongest words."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mtspam.commands.verdict_lines import COLOURS, plain_text
from mtspam.spam import Explanation, Judgement

__all__ = ["explanation_view", "verdict_text"]

_WIDEST = 48
_BAR = 12
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
    parts: list[RenderableType] = [title, verdict_text(found.judgement), _levels(found.judgement)]
    if found.judgement.defects:
        parts.append(Text(f"defects: {', '.join(found.judgement.defects)}", "yellow"))
    if found.reasons:
        parts.append(_reasons(found))
    return Group(*parts, Text())


def _levels(judgement: Judgement) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    rows = [("everybody", judgement.shared), ("group", judgement.group), ("you", judgement.personal)]
    for name, value in rows:
        table.add_row(name, f"{value:+.2f}", _bar(value))
    return table


def _bar(value: float) -> Text:
    """Draw a level: to the left for ham, to the right for spam."""
    length = min(_BAR, round(abs(value) / _STRONGEST * _BAR))
    left = "█" * length if value < 0 else ""
    right = "█" * length if value > 0 else ""
    return Text.assemble((f"{left:>{_BAR}}", "green"), ("│", "dim"), (f"{right:<{_BAR}}", "red"))


def _reasons(found: Explanation) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("what", style="dim", no_wrap=True)
    table.add_column("in the message", max_width=_WIDEST, overflow="ellipsis", no_wrap=True)
    for level in ("everybody", "group", "you", "together"):
        table.add_column(level, justify="right", no_wrap=True)
    for reason in found.reasons:
        table.add_row(
            reason.kind,
            Text(plain_text(reason.text)),
            *(_signed(value) for value in (reason.shared, reason.group, reason.personal)),
            _signed(reason.total),
        )
    return table


def _signed(value: float) -> Text:
    style = "dim" if abs(value) < 0.005 else "red" if value > 0 else "green"  # noqa: PLR2004 - shown as 0.00
    return Text(f"{value:+.2f}", style)
