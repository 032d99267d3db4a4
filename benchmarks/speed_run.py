"""What benchmarks of servers' speed have in common: options, mail, record."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from corpora import DEFAULT_DATA, MissingDataError, read_collection, read_sample
from report import print_speed
from results import write_result
from streams import Message, thin

__all__ = ["Row", "mail_for", "run_speed", "speed_record"]

Row = dict[str, object]
Measure = Callable[[argparse.Namespace, Path], dict[str, object]]


def run_speed(
    benchmark: str,
    about: str | None,
    sizes: Iterable[str],
    measure: Measure,
    arguments: Sequence[str] | None,
    *,
    folder: Path | None = None,
) -> int:
    """Read the options, measure, show and keep what was found; return the exit code.

    Parameters
    ----------
    benchmark
        Its name among the results.
    about
        What the help says.
    sizes
        Values of ``--size``.
    measure
        Called with the options and an empty folder.
    arguments
        Of the command line; None: the process's own.
    folder
        Where the empty folder is made; None: where temporary files go.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--size", choices=list(sizes), default="small")
    parser.add_argument("--data", type=Path, help="folder of the corpora; see quality_mail.py")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            # Servers of other users look for their files in it.
            Path(name).chmod(0o755)
            record = measure(options, Path(name))
    except (MissingDataError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    write_result(benchmark, str(record["corpus"]).replace(" ", "-"), record)
    print_speed(record)
    return 0


def mail_for(options: argparse.Namespace, n_messages: int | None) -> tuple[str, list[Message]]:
    """Return the name of the corpus and so many of its messages; at size tiny the sample's."""
    data: Path | None = options.data
    if data is None and options.size != "tiny":
        data = DEFAULT_DATA
    found = read_sample() if data is None else read_collection(data, "spamassassin")
    corpus = "made-up sample" if data is None else "spamassassin"
    return corpus, list(thin(found, n_messages))


def speed_record(
    options: argparse.Namespace, rows: Sequence[Row], *, corpus: str, n: int, **more: str
) -> dict[str, object]:
    """Put a record together; `more` has its title, split and metric."""
    told = {"corpus": corpus, **more, "form": "speed", "size": options.size}
    return {**told, "n": n, "seed": 1, "rows": list(rows)}
