"""The program `mtspam`: its options and commands; each command is imported when it is called."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from mtspam import __version__
from mtspam.commands.exits import EXIT_TEXTS, Exit
from mtspam.commands.group import LazyGroup
from mtspam.commands.options import PLACE, Common

__all__ = ["cli", "main"]

_COLLECTED_AT = (50_000, 20, 20)
"""Imports make hundreds of thousands of objects that stay: to look through them for garbage, again
at every 700 more, costs each start some .03 s, and learning a twentieth of its time."""

_SECTIONS = {
    "See it": {
        "demo": (
            "mtspam.commands.demo",
            "Watch it learn the mail of six people, in half a minute.",
        ),
    },
    "Filter mail": {
        "learn": ("mtspam.commands.learn", "Learn messages as ham, spam, phishing or bulk."),
        "score": ("mtspam.commands.score", "Say how likely messages are spam."),
        "explain": ("mtspam.commands.explain", "Say why, level by level and word by word."),
        "unlearn": ("mtspam.commands.unlearn", "Take labels back."),
        "forget": ("mtspam.commands.forget", "Erase all that a user ever said."),
    },
    "Rank results": {
        "rank": ("mtspam.commands.rank", "Put search results in order, and learn from clicks."),
    },
    "Serve it": {
        "serve": ("mtspam.commands.serve", "Serve mail servers, over the protocols they speak."),
        "ask": ("mtspam.commands.ask", "Score, learn and see why by a running service."),
        "filter": ("mtspam.commands.filter", "Pass a message on with the verdict in its header."),
        "opensmtpd": ("mtspam.commands.opensmtpd", "Filter mail for OpenSMTPD, which starts it."),
        "watch": ("mtspam.commands.watch", "Learn from mail moved into Junk and out of it."),
    },
    "Keep it": {
        "users": ("mtspam.commands.users", "List who has taught it, and how much."),
        "status": ("mtspam.commands.status", "Show what the state holds."),
        "fold": ("mtspam.commands.fold", "Build the model again from the journal, or check it."),
    },
    "Measure it": {
        "evaluate": (
            "mtspam.commands.evaluate",
            "Test, then train: how good it is on labelled mail.",
        ),
    },
    "Help": {
        "help": ("mtspam.commands.help", "Show the help of a command, or the exit codes."),
        "completion": ("mtspam.commands.completion", "Print the completion script of a shell."),
    },
}

_ENVIRONMENT = {
    # Nothing here multiplies matrices; a pool of idle threads costs start-up time and memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Polars' allocator otherwise keeps about 40 MB of what tables needed a moment ago.
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0",
}
"""How the libraries below are to behave; what the user has set stands."""


@click.group(
    cls=LazyGroup,
    lazy=_SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: "
    + "; ".join(f"{code.value} {EXIT_TEXTS[code]}" for code in list(Exit) if code < Exit.BUG)
    + ". `mtspam help exit-codes` has them all.",
)
@click.option(
    "--state",
    metavar="DIR",
    envvar="MTSPAM_STATE",
    show_envvar=True,
    type=PLACE,
    help="Where the journal and the model are.  [default: the user's state directory]",
)
@click.option(
    "--config",
    metavar="FILE",
    envvar="MTSPAM_CONFIG",
    show_envvar=True,
    type=PLACE,
    help="Settings in TOML that differ from the defaults.",
)
@click.option("--debug", is_flag=True, help="Show the whole traceback of an unexpected error.")
@click.version_option(__version__, prog_name="mtspam", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, state: str | None, config: str | None, debug: bool) -> None:
    """Filter spam, learning for everybody and for each user at once.

    Try `mtspam demo` first.
    """
    ctx.obj = Common(state=state, config=config)


def main() -> None:
    """Run the command line."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _fill_streams()
    for stream in (sys.stdout, sys.stderr):
        # Names of files need not be text; a report must not fail on them.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # numba asks for SciPy's BLAS, which no kernel uses: finding it costs a fifth of a second.
    sys.modules.setdefault("scipy.linalg.cython_blas", None)  # type: ignore[arg-type]  # None: import fails
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(*_COLLECTED_AT)
    try:
        cli.main(prog_name="mtspam")
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def _fill_streams() -> None:
    """Put something in the place of standard streams that the caller has closed.

    Otherwise the next file to be opened would have their numbers, and be written to by mistake.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest free number is taken
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)  # noqa: PLR2004 - stderr
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")  # whatever is written there is told as an error
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that locks and files half written are tidied up."""
    sys.exit(Exit.TERMINATED)


if __name__ == "__main__":
    main()
