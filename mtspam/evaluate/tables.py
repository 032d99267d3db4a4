"""Reports as tables for people; the figures are those of the JSON."""

import math
from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mtspam.evaluate.figures import Figures
from mtspam.evaluate.report import MailReport
from mtspam.evaluate.vectors import STAGES, VectorsReport

__all__ = ["mail_tables", "vectors_tables"]

_MOST_USERS = 20
_N_CURVE_ROWS = 10
_UNDEFINED = "–"


def mail_tables(report: MailReport) -> list[RenderableType]:
    """Lay out the report of a pass over mail.

    Parameters
    ----------
    report
        From `mtspam.evaluate.report.mail_report`.

    Returns
    -------
    list
        Figures, learning curve, speed, and users if there are any; for `rich.print`.
    """
    tables: list[RenderableType] = [_figures_table(report), _curve_table(report)]
    if any(user.user is not None for user in report.per_user):
        tables.append(_users_table(report))
    tables.append(_speed_table(report))
    return tables


def vectors_tables(report: VectorsReport) -> list[RenderableType]:
    """Lay out the report of a pass over word-count inboxes.

    Parameters
    ----------
    report
        From `mtspam.evaluate.vectors.run_vectors`.

    Returns
    -------
    list
        One table, for `rich.print`.
    """
    title = f"Mean AUC of {report.n_inboxes} inboxes, {report.n:,} messages, seed {report.seed}"
    table = _table(title, ["level", *(stage.replace("_", " ") for stage in STAGES)])
    for name in ("shared", "personal", "blend"):
        level = getattr(report, name)
        table.add_row(name, *(_number(getattr(level, stage), 4) for stage in STAGES))
    return [table]


def _figures_table(report: MailReport) -> Table:
    columns = {
        "blend": report.overall,
        "shared only": report.levels.shared,
        "personal only": report.levels.personal,
    }
    if report.no_feedback is not None:
        columns["blend, no feedback"] = report.no_feedback
    table = _table(f"{report.overall.n:,} messages", ["", *columns])
    for name, cells in _figure_rows(list(columns.values())):
        table.add_row(name, *cells)
    return table


def _figure_rows(columns: Sequence[Figures]) -> Iterable[tuple[str, list[str]]]:
    yield "messages", [f"{figures.n:,}" for figures in columns]
    yield "ham", [f"{figures.n_ham:,}" for figures in columns]
    yield "spam", [f"{figures.n_spam:,}" for figures in columns]
    yield "(1−ROCA) %", [_number(figures.one_minus_roca_percent, 4) for figures in columns]
    yield "  95 % from", [_number(f.one_minus_roca_percent_interval.low, 4) for f in columns]
    yield "  to", [_number(f.one_minus_roca_percent_interval.high, 4) for f in columns]
    yield "error %", [_number(figures.error_percent, 3) for figures in columns]
    yield "hm %", [_number(figures.hm_percent, 3) for figures in columns]
    yield "sm %", [_number(figures.sm_percent, 3) for figures in columns]
    yield "lam %", [_number(figures.lam_percent, 3) for figures in columns]
    yield "sm % at hm % .01", [_number(figures.sm_at_hm_0_01_percent, 2) for figures in columns]
    yield "sm % at hm % .1", [_number(figures.sm_at_hm_0_1_percent, 2) for figures in columns]
    yield "sm % at hm % 1", [_number(figures.sm_at_hm_1_percent, 2) for figures in columns]
    yield "logloss", [_number(figures.logloss, 4) for figures in columns]
    yield "calibration error", [_number(figures.calibration_error, 4) for figures in columns]


def _curve_table(report: MailReport) -> Table:
    table = _table("Learning curve", ["messages", "error %", "hm %", "sm %", "(1−ROCA) % so far"])
    points = report.learning_curve
    step = max(1, len(points) // _N_CURVE_ROWS)
    table.caption = "errors since the row before"
    for start in range(0, len(points), step):
        part = points[start : start + step]
        table.add_row(
            f"{part[-1].position:,}",
            _number(_mean((p.error_percent, p.n_ham + p.n_spam) for p in part), 2),
            _number(_mean((p.hm_percent, p.n_ham) for p in part), 2),
            _number(_mean((p.sm_percent, p.n_spam) for p in part), 2),
            _number(part[-1].one_minus_roca_percent, 4),
        )
    return table


def _mean(parts: Iterable[tuple[float, int]]) -> float:
    """Join percentages, each of so many messages; not a number where there is none."""
    counted = [(percent * n, n) for percent, n in parts if n]
    n_all = sum(n for _, n in counted)
    return sum(weighed for weighed, _ in counted) / n_all if n_all else math.nan


def _users_table(report: MailReport) -> Table:
    table = _table("Users", ["user", "messages", "(1−ROCA) %", "error %", "hm %", "sm %"])
    for user in report.per_user[:_MOST_USERS]:
        table.add_row(
            "(nobody)" if user.user is None else _plain(user.user),
            f"{user.n:,}",
            _number(user.one_minus_roca_percent, 4),
            _number(user.error_percent, 2),
            _number(user.hm_percent, 2),
            _number(user.sm_percent, 2),
        )
    n_more = len(report.per_user) - _MOST_USERS
    if n_more > 0:
        table.caption = f"and {n_more:,} more"
    return table


def _speed_table(report: MailReport) -> Table:
    table = _table("Messages a second", ["scored", "scored and learnt"])
    table.add_row(_number(report.score_per_second, 0), _number(report.learn_per_second, 0))
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _plain(name: str) -> Text:
    """Return a name as it is: no markup, no control characters that a terminal would obey."""
    return Text(
        "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    )


def _number(value: float, n_digits: int) -> str:
    return f"{value:,.{n_digits}f}" if math.isfinite(value) else _UNDEFINED
