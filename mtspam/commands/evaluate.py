"""`mtspam evaluate`: test, then train, over labelled mail or over word counts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtspam.commands.options import Common, state_options

if TYPE_CHECKING:
    from mtspam.config import Settings
    from mtspam.evaluate.contract import MailPreparer
    from mtspam.evaluate.learner import EvaluatedLearner
    from mtspam.evaluate.progressive import Run

__all__ = ["command", "mail", "vectors"]

_FILE = click.Path(path_type=Path, readable=False)
_PLOTS = (".svg", ".png", ".pdf")


def _ending(*endings: str) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """Make a check of a file's name, so that a long run does not end with a complaint."""

    def check(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
        if value is not None and value.suffix.lower() not in endings:
            raise click.BadParameter(
                f"{str(value)!r} must end in {', '.join(endings)}.", ctx, param
            )
        return value

    return check


@click.group("evaluate")
def command() -> None:
    """Test, then train: each message is scored by what was learnt before it, then teaches.

    The model begins empty, with the settings of --config or the defaults; the state is not
    touched.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One pass over an index."""

    index: Path
    root: Path | None
    users: Path | None
    is_learning: bool
    what: str


@command.command("mail", short_help="Evaluate over labelled mail, in the order of an index.")
@click.option("--index", metavar="FILE", type=_FILE, required=True, help="The index.")
@click.option(
    "--root",
    metavar="DIR|TAR",
    type=_FILE,
    help="Where its messages are.  [default: the folder of the index]",
)
@click.option("--users", metavar="FILE", type=_FILE, help="Lines `path user`.")
@click.option("--warm", metavar="INDEX", type=_FILE, help="Learn this index first.")
@click.option(
    "--warm-root",
    metavar="DIR|TAR",
    type=_FILE,
    help="Where its messages are.  [default: the folder of that index]",
)
@click.option("--no-learn", is_flag=True, help="Score by --warm alone, learn nothing.")
@click.option("--starter", is_flag=True, help="Begin with the starter model.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of hashes and bootstrap.",
)
@click.option("--json", "json_file", metavar="FILE", type=_FILE, help="Write the report there.")
@click.option(
    "--scores",
    metavar="FILE.parquet",
    type=_FILE,
    callback=_ending(".parquet"),
    help="Write each message's score there.",
)
@click.option(
    "--plot",
    metavar="FILE.(svg|png|pdf)",
    type=_FILE,
    callback=_ending(*_PLOTS),
    help="Draw ROC and learning curve there.",
)
@state_options
@click.pass_context
def mail(
    ctx: click.Context,
    *,
    index: Path,
    root: Path | None,
    users: Path | None,
    warm: Path | None,
    warm_root: Path | None,
    no_learn: bool,
    starter: bool,
    seed: int,
    json_file: Path | None,
    scores: Path | None,
    plot: Path | None,
) -> None:
    """Evaluate over an index of lines `label path [user] [time]`, in their order.

    Labels are ham, spam, phishing, bulk; a capitalised one means that the filter is never told,
    as in the delayed and partial indexes of the TREC spam track. Where the index tells no time,
    a user's messages arrive 20 a day (a user's voice in the shared level is bounded per day).
    "personal" is the score by the user's own level alone.
    """
    if warm_root is not None and warm is None:
        raise click.UsageError("--warm-root needs --warm.")
    settings = ctx.ensure_object(Common).settings()
    from mtspam.evaluate.report import mail_report

    learner, prepare = _begin(settings, seed, has_starter=starter)
    if warm is not None:
        first = _Pass(index=warm, root=warm_root, users=None, is_learning=True, what="Warming up")
        _run(first, learner, prepare)
    main = _Pass(
        index=index, root=root, users=users, is_learning=not no_learn, what="Testing, training"
    )
    run = _run(main, learner, prepare)
    report = mail_report(run, seed=seed)
    if plot is not None:
        from mtspam.evaluate.plot import plot_mail

        plot_mail(run, report, plot)
    if scores is not None:
        from mtspam.evaluate.outputs import write_scores

        write_scores(run, scores)
    _write_report(report, settings, json_file, has_starter=starter)
    from mtspam.evaluate.tables import mail_tables

    _print(mail_tables(report))


def _begin(
    settings: "Settings", seed: int, *, has_starter: bool
) -> tuple["EvaluatedLearner", "MailPreparer"]:
    """Make an empty installation whose secret comes from the seed."""
    import hashlib
    from functools import partial

    from mtspam.commands.first_run import compile_kernels
    from mtspam.errors import DataError
    from mtspam.evaluate.contract import MailPreparer
    from mtspam.evaluate.learner import EvaluatedLearner
    from mtspam.mail.views import N_VIEWS
    from mtspam.spam.hashing import MailHasher, load_starter
    from mtspam.spam.keys import user_key

    compile_kernels()
    secret = hashlib.blake2b(b"mtspam evaluate %d" % seed, digest_size=32).digest()
    starter = load_starter() if has_starter else None
    if has_starter and starter is None:
        raise DataError("no starter model travels with this installation")
    prepare = MailPreparer(
        extract=MailHasher(settings, secret, starter).hash,
        user_key=partial(user_key, secret=secret),
    )
    return EvaluatedLearner.fresh(settings.model, N_VIEWS), prepare


def _run(task: _Pass, learner: "EvaluatedLearner", prepare: "MailPreparer") -> "Run":
    from mtspam.commands.progress import progress
    from mtspam.evaluate.clock import with_times
    from mtspam.evaluate.corpus import Corpus
    from mtspam.evaluate.index import read_index, read_users
    from mtspam.evaluate.progressive import run_progressive

    users = None if task.users is None else read_users(task.users)
    entries = with_times(read_index(task.index, users))
    n_done = 0

    def on_batch(n: int) -> None:
        nonlocal n_done
        advance(n - n_done)
        n_done = n

    with (
        Corpus(task.index, entries, task.root) as corpus,
        progress(task.what, len(entries)) as advance,
    ):
        return run_progressive(
            corpus, learner, prepare, is_learning=task.is_learning, on_batch=on_batch
        )


class _ListCommand(click.Command):
    """A command whose options ``--train`` and ``--inbox`` take all the files behind them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further file."""
        repeated: list[str] = []
        option = None
        for arg in args:
            if arg.startswith("-"):
                option = arg if arg in {"--train", "--inbox"} else None
            elif option is not None and repeated[-1] != option:
                repeated.append(option)
            repeated.append(arg)
        return super().parse_args(ctx, repeated)


@command.command(
    "vectors", cls=_ListCommand, short_help="Evaluate over word counts, one file an inbox."
)
@click.option(
    "--train",
    metavar="FILE...",
    type=_FILE,
    multiple=True,
    help="Messages of nobody, learnt first.",
)
@click.option(
    "--inbox",
    metavar="FILE...",
    type=_FILE,
    multiple=True,
    required=True,
    help="Messages of one user each.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the order and the hashes.",
)
@click.option("--json", "json_file", metavar="FILE", type=_FILE, help="Write the report there.")
@state_options
@click.pass_context
def vectors(
    ctx: click.Context,
    *,
    train: tuple[Path, ...],
    inbox: tuple[Path, ...],
    seed: int,
    json_file: Path | None,
) -> None:
    """Evaluate over lines `label word-id:count …`, one file an inbox.

    Inboxes are shuffled by the seed and take turns; each is a user who gets 20 messages a day.
    """
    settings = ctx.ensure_object(Common).settings()
    from mtspam.evaluate.learner import EvaluatedLearner
    from mtspam.evaluate.tables import vectors_tables
    from mtspam.evaluate.vectors import run_vectors
    from mtspam.evaluate.wordcounts import read_word_counts

    report = run_vectors(
        [read_word_counts(path, seed=seed) for path in train],
        [read_word_counts(path, seed=seed) for path in inbox],
        EvaluatedLearner.fresh(settings.model, 1),
        seed=seed,
    )
    _write_report(report, settings, json_file, has_starter=False)
    _print(vectors_tables(report))


def _write_report(
    report: object, settings: "Settings", path: Path | None, *, has_starter: bool
) -> None:
    if path is None:
        return
    from mtspam import __version__
    from mtspam.evaluate.figures import as_json
    from mtspam.evaluate.outputs import write_json

    record = as_json(report)
    if isinstance(record, dict):
        record |= {
            "settings_digest": settings.digest(),
            "has_starter": has_starter,
            "version": __version__,
        }
    write_json(record, path)


def _print(tables: Iterable[object]) -> None:
    from rich.console import Console

    console = Console()
    for table in tables:
        console.print(table)
