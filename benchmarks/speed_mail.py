"""Measure how fast mail is judged and learnt on one core: mtspam and its peers, in one run.

``python benchmarks/speed_mail.py --size tiny|small|full`` prints one table, with each rate as a
ratio to bogofilter's bulk mode in the same run, and leaves a JSON in ``benchmarks/results/``.
"""

import argparse
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from candidate import MTSPAM
from corpora import DEFAULT_DATA, MissingDataError, read_collection, read_sample
from peers import BOGOFILTER
from racers import (
    Folders,
    Racer,
    bogofilter_racer,
    library_folder,
    library_learner,
    library_scorer,
    mtspam_racer,
    sgd_racer,
    vw_racer,
)
from report import print_speed, write_docs
from results import write_result
from streams import Message, thin
from timing import (
    ProcessError,
    peak_of_process,
    pin_to_one_core,
    run_process,
    spend,
    sustained,
)

__all__ = ["main"]

BENCHMARK = "speed_mail"

_METRIC = (
    "one core, one thread; median of repeats after a warm run; *whole* counts the start of the "
    "process, *sustained* is the rate between a quarter of the messages and all of them; ratio: "
    "how many times as fast as bogofilter -B at the same"
)

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: messages, copies of each, repeats, unknown users."""

    n_messages: int | None
    n_copies: int
    repeats: int
    n_strangers: int


_SCALES = {
    "tiny": Scale(n_messages=100, n_copies=2, repeats=1, n_strangers=2_000),
    "small": Scale(n_messages=2_000, n_copies=1, repeats=3, n_strangers=50_000),
    "full": Scale(n_messages=None, n_copies=2, repeats=5, n_strangers=1_000_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the racers run over: a quarter of the messages, and all of them."""

    few: Folders
    many: Folders
    scale: Scale


def _row(what: str, who: str, value: float | None, unit: str) -> Row:
    return {"what": what, "who": who, "value": value, "unit": unit, "ratio": None}


def _rates(what: str, racer: Racer, course: Course) -> Iterator[Row]:
    """Yield the rates of learning or scoring: whole process and sustained."""
    do = racer.learn if what == "learn" else racer.score
    seconds = [
        spend(lambda: do(folders), course.scale.repeats)  # noqa: B023  # called before the loop goes on
        for folders in (course.few, course.many)
    ]
    whole = course.many.n / seconds[1]
    between = sustained((course.few.n, seconds[0]), (course.many.n, seconds[1]))
    if racer.is_process:
        yield _row(f"{what}, whole", racer.name, whole, "messages/s")
        yield _row(f"{what}, sustained", racer.name, between, "messages/s")
    else:
        yield _row(f"{what}, sustained", racer.name, whole, "messages/s")


def _with_ratios(rows: Sequence[Row]) -> list[Row]:
    base = {row["what"]: row["value"] for row in rows if str(row["who"]).startswith(BOGOFILTER)}
    for row in rows:
        value, reference = row["value"], base.get(row["what"])
        if isinstance(value, float) and isinstance(reference, float):
            is_rate = str(row["unit"]).endswith("/s")
            row["ratio"] = value / reference if is_rate else reference / value
    return list(rows)


def _starts(name: str, command: Sequence[str], raw: bytes, repeats: int) -> Row:
    def call() -> None:
        run_process(command, stdin=raw, fine=(0, 1, 2))

    return _row("start-up", name, spend(call, 2 * repeats + 1), "seconds")


def _mtspam_starts(state: Path, one: Path, repeats: int) -> Iterator[Row]:
    environment = {"MTSPAM_STATE": str(state)}
    for name, arguments in (("--help", ["--help"]), ("score one.eml", ["score", str(one)])):
        seconds = spend(
            lambda: run_process([*MTSPAM, *arguments], environment=environment),  # noqa: B023  # called before the loop goes on
            2 * repeats + 1,
        )
        yield _row("start-up", f"mtspam {name}", seconds, "seconds")


def _fold(state: Path, folders: Folders, repeats: int) -> tuple[int, float]:
    """Return labels and median seconds of folding the whole journal, without a snapshot."""

    def call() -> None:
        (state / "model.snapshot").unlink(missing_ok=True)
        run_process([*MTSPAM, "fold"], environment={"MTSPAM_STATE": str(state)})

    mtspam_racer(state, state.parent / "fold.parquet").learn(folders)
    seconds = spend(call, repeats)
    with closing(sqlite3.connect(state / "journal.sqlite")) as journal:
        # The same message in two files is one label.
        (n_labels,) = journal.execute("SELECT count(*) FROM events").fetchone()
    return n_labels, seconds


def _fold_rates(state: Path, course: Course) -> Iterator[Row]:
    few = _fold(state, course.few, course.scale.repeats)
    many = _fold(state, course.many, course.scale.repeats)
    yield _row("fold, whole", "mtspam fold", many[0] / many[1], "events/s")
    rate = sustained(few, many)
    yield _row("fold, sustained", "mtspam fold", rate, "events/s")
    fold = library_folder(state)
    if fold is not None:
        rate = many[0] / spend(fold, course.scale.repeats)
        yield _row("fold, sustained", "mtspam, in process", rate, "events/s")


def _write_strangers(path: Path, n: int, seed: int) -> None:
    """Write made-up short messages, each to a user that nobody has heard of."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as lines:
        for i in range(n):
            words = " ".join(f"word{int(word)}" for word in rng.integers(0, 5000, 40))
            raw = f"From: a{i % 997}@example.com\nSubject: {words[:30]}\n\n{words}\n"
            lines.write(json.dumps({"user": f"stranger{i}@example.org", "raw": raw}) + "\n")


def _memory(state: Path, folder: Path, scale: Scale) -> Iterator[Row]:
    for n in (scale.n_strangers // 10, scale.n_strangers):
        table, output = folder / "strangers.ndjson", folder / "strangers.csv"
        _write_strangers(table, n, 1)
        arguments = ["score", str(table), "--jobs", "1", "--output", str(output)]
        peak_mb = peak_of_process([*MTSPAM, *arguments], {"MTSPAM_STATE": str(state)})
        yield _row(f"peak memory, {n:,} unknown users", "mtspam score", peak_mb, "MB")
        table.unlink()
        output.unlink()


def _race(racers: Sequence[Racer], course: Course) -> Iterator[Row]:
    for racer in racers:
        print(f"{racer.name} …", file=sys.stderr, flush=True)
        yield from _rates("learn", racer, course)
        racer.learn(course.many)
        yield from _rates("score", racer, course)


def _library_rates(state: Path, course: Course) -> Iterator[Row]:
    learn = library_learner(state.parent / "learnt")
    if learn is not None:
        times = [learn(course.many) for _ in range(1 + course.scale.repeats)]
        rate = course.many.n / statistics.median(times[1:])
        yield _row("learn, sustained", "mtspam, in process", rate, "messages/s")
    score = library_scorer(state)
    if score is None:
        return
    seconds = spend(lambda: score(course.many), course.scale.repeats)
    yield _row("score, sustained", "mtspam, in process", course.many.n / seconds, "messages/s")


def _candidate_rows(folder: Path, course: Course) -> Iterator[Row]:
    state = folder / "mtspam"
    racer = mtspam_racer(state, folder / "verdicts.parquet")
    yield from _race([racer], course)
    one = next(iter(sorted(course.few.spam.iterdir())))
    yield from _library_rates(state, course)
    yield from _mtspam_starts(state, one, course.scale.repeats)
    yield from _memory(state, folder, course.scale)
    yield from _fold_rates(folder / "folded", course)


def _peer_rows(folder: Path, course: Course) -> Iterator[Row]:
    racers = [sgd_racer(), vw_racer()]
    state = folder / BOGOFILTER
    if shutil.which(BOGOFILTER) is None:
        print("bogofilter is not installed: no ratios", file=sys.stderr)
    else:
        racers.insert(0, bogofilter_racer(state))
    yield from _race(racers, course)
    if state.exists():
        raw = next(iter(sorted(course.few.spam.iterdir()))).read_bytes()
        command = [BOGOFILTER, "-C", "-d", str(state), "-T"]
        yield _starts("bogofilter -T", command, raw, course.scale.repeats)
    empty = [sys.executable, "-c", "pass"]
    yield _starts("an empty Python", empty, b"", course.scale.repeats)


def _copies(stream: Sequence[Message], n: int) -> Iterator[Message]:
    """Yield a stream several times; each copy ends with its number, or it would be known."""
    yield from stream
    for number in range(1, n):
        end = b"\n%d\n" % number
        for message in stream:
            yield replace(message, path=f"{message.path}.{number}", raw=message.raw + end)


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    scale = _SCALES[options.size]
    data: Path | None = options.data
    if data is None and options.size != "tiny":
        data = DEFAULT_DATA
    found = read_sample() if data is None else read_collection(data, "spamassassin")
    stream = tuple(_copies(thin(found, scale.n_messages), scale.n_copies))
    course = Course(
        few=Folders.write(folder / "few", thin(stream, len(stream) // 4)),
        many=Folders.write(folder / "many", stream),
        scale=scale,
    )
    rows: list[Mapping[str, object]] = []
    if not options.only_peers:
        rows += _candidate_rows(folder, course)
    if not options.no_peers:
        rows += _peer_rows(folder, course)
    corpus = "made-up sample" if data is None else "spamassassin"
    return {
        "corpus": corpus,
        "title": f"Speed on one core: {corpus}, {course.many.n:,} messages",
        "split": f"all learnt, then all scored; {scale.n_copies} copies of each message, "
        f"{scale.repeats} repeats",
        "form": "speed",
        "metric": _METRIC,
        "size": options.size,
        "n": course.many.n,
        "seed": options.seed,
        "rows": _with_ratios([dict(row) for row in rows]),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(_SCALES), default="small")
    parser.add_argument("--data", type=Path, help="folder of the corpora; see quality_mail.py")
    parser.add_argument("--seed", type=int, default=1)
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--only-peers", action="store_true")
    who.add_argument("--no-peers", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="then write docs/benchmarks.md")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = _options(arguments)
    pin_to_one_core()
    try:
        with tempfile.TemporaryDirectory() as name:
            record = _measure(options, Path(name))
    except (MissingDataError, ProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    write_result(BENCHMARK, str(record["corpus"]).replace(" ", "-"), record)
    print_speed(record)
    if options.write_docs:
        write_docs(options.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
