"""`mtspam status`: what the state holds."""

from typing import TYPE_CHECKING

import click

from mtspam.commands.counting import counted
from mtspam.commands.options import Common, format_options, state_options

if TYPE_CHECKING:
    from mtspam.spam import Status

__all__ = ["command"]


@click.command("status")
@format_options("table", "json")
@state_options
@click.pass_obj
def command(common: Common, form: str | None) -> None:
    """Show what the state holds and whether the model is up to date."""
    with common.open_filter(read_only=True) as spam_filter:
        status = spam_filter.status()
    if form == "json":
        import json
        from dataclasses import asdict

        click.echo(json.dumps(asdict(status), indent=2))
        return
    for name, text in _lines(status):
        click.echo(f"{click.style(f'{name:<10}', bold=True)}{text}")


def _lines(status: "Status") -> list[tuple[str, str]]:
    labels = ", ".join(f"{n:,} {name}" for name, n in sorted(status.labels.items()))
    folded = "up to date" if status.is_current else "behind: `mtspam fold` catches up"
    exact = "equal to the journal" if status.is_exact else "corrected by steps since the last fold"
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
