"""`mtspam watch`: learn from what people move into Junk and out of it."""

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.ask import client_of
from mtspam.commands.exits import Exit
from mtspam.commands.group import say_error
from mtspam.commands.options import PLACE, Common, named, state_options

if TYPE_CHECKING:
    from mtspam.serve.watch.maildirs import Box
    from mtspam.serve.watch.watcher import Watcher

__all__ = ["command"]

JUNK = ("Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk Mail")
IGNORED = (
    "Trash",
    "Deleted Items",
    "Deleted Messages",
    "Bin",
    "Drafts",
    "Templates",
    "Outbox",
    "Sent",
    "Sent Items",
    "Sent Messages",
    "Sent Mail",
)

_RESCAN_SECONDS = 300.0
_SETTLE_MILLISECONDS = 200
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 1.0, 60.0


@click.command("watch")
@click.argument("maildirs", metavar="MAILDIR...", nargs=-1, required=True, type=PLACE)
@click.option("--user", metavar="NAME", callback=named, help="Whose Maildirs these are.")
@click.option(
    "--users-by-folder",
    is_flag=True,
    help="Below each MAILDIR lie Maildirs, in folders named after users: ana, or example.org/ana.",
)
@click.option("--junk", metavar="NAME", multiple=True, help="Name of a Junk folder; repeatable.")
@click.option(
    "--ignore", metavar="NAME", multiple=True, help="Name of a folder that says nothing."
)
@click.option(
    "--memory",
    metavar="FILE",
    type=PLACE,
    help="What was seen.  [default: watch.sqlite in the state directory]",
)
@click.option(
    "--poll",
    metavar="SECONDS",
    type=click.FloatRange(0.05, 86_400),
    help="Look that often, instead of being told by the system.",
)
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--socket", metavar="PATH", type=PLACE, help="The service's socket.")
@state_options
@click.pass_obj
def command(
    common: Common,
    *,
    maildirs: tuple[str, ...],
    user: str | None,
    users_by_folder: bool,
    junk: tuple[str, ...],
    ignore: tuple[str, ...],
    memory: str | None,
    poll: float | None,
    once: bool,
    socket: str | None,
) -> None:
    """Learn from Maildirs: spam is what comes into Junk, ham is what comes out of it.

    For mail servers without sieve. Ham is only what goes to a folder that is neither Trash nor
    Drafts nor Sent. The running service is told; while it is away nothing is lost. What lies there
    when a Maildir is first looked at is not learnt: `mtspam learn` does that.
    """
    if (user is None) != users_by_folder:
        raise click.UsageError("Give either --user or --users-by-folder.")
    from mtspam.serve.client import DEFAULT_MAX_BYTES, setting_in
    from mtspam.serve.watch.maildirs import FolderNames
    from mtspam.serve.watch.memory import Memory
    from mtspam.serve.watch.watcher import Watcher

    roots = [Path(one) for one in maildirs]
    for root in roots:
        if not root.is_dir():
            raise click.ClickException(f"{root}: there is no such directory")
    if "" in maildirs:
        raise click.ClickException("'' is no path")
    most = setting_in(common.config, "mail", "max_message_bytes")
    if memory is None:
        common.state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = Memory(Path(memory) if memory else common.state_path / "watch.sqlite")
    watcher = Watcher(
        client_of(common, socket),
        kept,
        FolderNames.of(junk or JUNK, ignore or IGNORED),
        max_bytes=most if isinstance(most, int) else DEFAULT_MAX_BYTES,
    )
    try:
        if once:
            sys.exit(Exit.OK if _look(watcher, roots, user) else Exit.SERVICE)
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        _follow(watcher, roots, user, _ticks(roots, stop, poll))
    finally:
        kept.close()
    sys.exit(Exit.TERMINATED)


def _boxes(roots: list[Path], user: str | None) -> "Iterator[Box]":
    from mtspam.serve.watch.maildirs import Box, boxes_by_folder

    for root in roots:
        if user is not None:
            yield Box(user, root)
        else:
            yield from boxes_by_folder(root)


def _look(
    watcher: "Watcher", roots: list[Path], user: str | None, below: set[str] | None = None
) -> bool:
    """Look through the boxes, or those in which something changed; tell whether all was told."""
    is_complete = True
    for box in _boxes(roots, user):
        if below is not None and not any(Path(path).is_relative_to(box.path) for path in below):
            continue
        seen = watcher.look(box)
        is_complete &= seen.is_complete
        if seen.n_spam or seen.n_ham:
            click.echo(f"learnt {seen.n_spam:,} spam, {seen.n_ham:,} ham")
    return is_complete


def _follow(
    watcher: "Watcher", roots: list[Path], user: str | None, ticks: Iterator[set[str] | None]
) -> None:
    """Look whenever something changed, at all of it now and then, and again where it failed."""
    import time

    wait, due = _FIRST_RETRY_SECONDS, 0.0
    for told in ticks:
        now = time.monotonic()
        is_whole = told is None or now >= due
        if not (is_whole or told):
            continue
        if not _look(watcher, roots, user, None if is_whole else told):
            due, wait = now + wait, min(2 * wait, _LAST_RETRY_SECONDS)
        elif is_whole:
            due, wait = now + _RESCAN_SECONDS, _FIRST_RETRY_SECONDS


def _ticks(
    roots: list[Path], stop: threading.Event, poll: float | None
) -> Iterator[set[str] | None]:
    """Yield the files that changed, maybe none, or None to look at all; till it is to stop."""
    if poll is None:
        try:
            yield from _told(roots, stop)
        except (ImportError, OSError) as error:
            poll = 5.0
            say_error(f"the system tells of no changes ({error}); looking every {poll:g} seconds")
    while poll is not None and not stop.is_set():
        yield None
        stop.wait(poll)


def _told(roots: list[Path], stop: threading.Event) -> Iterator[set[str]]:
    """Yield the files of which the system says that they changed, or none after a second."""
    from watchfiles import watch

    for changes in watch(
        *roots,
        watch_filter=None,
        stop_event=stop,
        step=_SETTLE_MILLISECONDS,
        rust_timeout=1000,
        yield_on_timeout=True,
    ):
        yield {path for _, path in changes}
