"""`mtspam demo`: the filter at work on sample mail, told as a story of half a minute."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from mtspam.commands.demo_mail import SampleMail, Week
    from mtspam.spam import SpamFilter

__all__ = ["command"]

_BAR = 20

_OPENING = """\
Six people, eight weeks, 648 made-up messages. All agree on what is spam, but
for one thing: newsletters. What Ana reads with her coffee, Ben calls spam.

Each day's mail is judged first, by what was learnt before; in the evening its
readers say what it was. Nothing is prepared, and all is done in a temporary
folder that is gone at the end."""

_CLOSING = """\
Next, with mail of your own (nothing leaves this machine):

  mtspam learn ham ~/Maildir                 what you kept
  mtspam learn spam ~/Maildir/.Junk          what you threw away
  mtspam score new.eml                       how likely it is spam
  mtspam explain new.eml                     and why
  mtspam --help                              all else"""


@click.command("demo")
def command() -> None:
    """Watch the filter learn the mail of six people who disagree about newsletters.

    Takes half a minute at most, needs nothing and leaves nothing behind.
    """
    from rich.console import Console

    console = Console(highlight=False)
    console.print("\n[bold]mtspam[/bold]  a filter for everybody and for each at once\n")
    console.print(_OPENING + "\n")
    with tempfile.TemporaryDirectory(prefix="mtspam-demo-") as folder:
        _load(console, Path(folder, "first"))
        _tell(console, Path(folder, "state"))
    console.print(_CLOSING + "\n")


def _load(console: "Console", state: Path) -> None:
    """Use everything once, so that the story itself is told without a halt."""
    from mtspam.commands.first_run import NOTICE, compile_kernels, is_compiled
    from mtspam.config import ModelSettings, Settings
    from mtspam.spam import SpamFilter
    from mtspam.types import Label

    if not is_compiled():
        console.print(NOTICE + "\n")
    compile_kernels()
    message = b"Subject: first\n\nwords"
    # Small tables are as good here and need not be written to the disk and deleted again.
    small = ModelSettings(shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8)
    with SpamFilter.open(state, Settings(model=small)) as spam_filter:
        spam_filter.judge_many([message], ["nobody"])
        spam_filter.learn(message, Label.PHISHING, user="nobody")
        spam_filter.explain(message, user="nobody")


def _tell(console: "Console", state: Path) -> None:
    from mtspam.commands.demo_mail import dispute, read_sample, stream
    from mtspam.spam import SpamFilter

    mail = read_sample()
    weeks = []
    with SpamFilter.open(state) as spam_filter:
        _print_head(console)
        for week in stream(mail, spam_filter):
            weeks.append(week)
            _print_week(console, week)
        console.print()
        _print_users(console, weeks)
        found = dispute(mail, spam_filter)
        if found is not None:
            _print_dispute(console, spam_filter, *found)


def _print_head(console: "Console") -> None:
    console.print(f"[bold]{'':<8}{'newsletters rightly told by':<52}{'all other mail':>16}[/bold]")
    console.print(
        f"[dim]{'':<8}{'one answer for all':<27}{'everybody + yourself':<25}{'':>16}[/dim]"
    )


def _print_week(console: "Console", week: "Week") -> None:
    n, by_shared, by_blend = week.totals()
    other = f"{100 * week.n_other_right / week.n_other:.0f} %" if week.n_other else "–"
    bars = f"{_bar(by_shared, n, 'yellow')}  {_bar(by_blend, n, 'green')}"
    console.print(f"week {week.number:<3}{bars}{other:>16}")


def _bar(n_right: int, n: int, colour: str) -> str:
    if not n:
        return f"{'–':<25}"
    share = n_right / n
    full = round(share * (_BAR - 2))
    track = "█" * full + f"[dim]{'·' * (_BAR - 2 - full)}[/dim]"
    return f"[{colour}]{track}[/{colour}] {100 * share:>3.0f} % "


def _print_users(console: "Console", weeks: list["Week"]) -> None:
    """Show the second half of the weeks, user by user."""
    from rich.table import Table

    late = weeks[len(weeks) // 2 :]
    table = Table(
        title=f"Newsletters rightly told, weeks {late[0].number} to {late[-1].number}",
        title_justify="left",
        box=None,
        padding=(0, 3, 0, 0),
    )
    table.add_column("reader", style="cyan")
    table.add_column("one answer for all", justify="right", style="yellow")
    table.add_column("everybody + yourself", justify="right", style="green")
    for user in sorted({user for week in late for user in week.by_user}):
        tallies = [week.by_user[user] for week in late if user in week.by_user]
        n, by_shared, by_blend = (sum(column) for column in zip(*tallies, strict=True))
        table.add_row(user, f"{by_shared} of {n}", f"{by_blend} of {n}")
    console.print(table)
    console.print()


def _print_dispute(
    console: "Console", spam_filter: "SpamFilter", message: "SampleMail", fan: str, other: str
) -> None:
    from rich.text import Text

    from mtspam.commands.explanation_view import explanation_view

    console.print("[bold]One message, two readers[/bold]")
    console.print(Text(f"{message.sender}\n{message.subject}\n"))
    for user, says in ((fan, "keeps this newsletter"), (other, "calls it spam")):
        found = spam_filter.explain(message.raw, user=user, limit=6)
        console.print(explanation_view(f"{user}, who {says}", None, found))
