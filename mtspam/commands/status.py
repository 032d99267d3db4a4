"""`mtspam status`: what the state holds."""

from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import Common, format_options, state_options

if TYPE_CHECKING:
    from mtspam.ranking.report import RankingStatus
    from mtspam.spam import Status

__all__ = ["command"]

_EVENTS = {"item": "document"}


@click.command("status")
@format_options("table", "json")
@state_options
@click.pass_obj
def command(common: Common, form: str | None) -> None:
    """Show what the state holds and whether the model is up to date."""
    from mtspam.ranking.report import sum_up

    with common.open_filter(read_only=True) as spam_filter:
        status = spam_filter.status()
    ranking = sum_up(common.state_path)
    if form == "json":
        import json
        from dataclasses import asdict

        click.echo(json.dumps(asdict(status) | {"ranking": asdict(ranking)}, indent=2))
        return
    for name, text in (*_lines(status), ("ranking", _ranking_line(ranking))):
        click.echo(f"{click.style(f'{name:<10}', bold=True)}{text}")


def _lines(status: "Status") -> list[tuple[str, str]]:
    labels = ", ".join(f"{n:,} {name}" for name, n in sorted(status.labels.items()))
    if status.position > status.head:  # any other journal is folded anew
        folded, exact = "the journal is missing", "restore it from a backup"
    else:
        folded = "up to date" if status.is_current else "behind: `mtspam fold` catches up"
        is_exact = status.is_exact
        exact = "equal to the journal" if is_exact else "corrected by steps since the last fold"
    return [
        ("state", status.state),
        ("labels", labels or "none yet"),
        ("users", f"{status.n_users:,}"),
        ("journal", f"{counted(status.n_events, 'event')}, head at {status.head:,}"),
        ("model", f"at {status.position:,}, {folded}, {exact}"),
        ("noise", f"{100 * status.noise:.2f} % of labels are taken for mistakes"),
        ("starter", "there" if status.has_starter else "none"),
        ("disk", f"{status.bytes_on_disk / 1e6:,.1f} MB"),
        ("settings", status.settings_digest[:16]),
    ]


def _ranking_line(ranking: "RankingStatus") -> str:
    if not (ranking.events or ranking.versions):
        return "nothing taken in yet"
    parts = [counted(n, _EVENTS.get(kind, kind)) for kind, n in ranking.events.items()]
    said = ", ".join((*parts, counted(ranking.n_users, "user")))
    if not ranking.version:
        return f"{said}; no trees: `mtspam rank train` grows them"
    return f"{said}; version {ranking.version} of {len(ranking.versions)} is asked"
