"""Measure how well mail is told apart: mtspam and its peers, on the same streams.

``python benchmarks/quality_mail.py --size tiny|small|full`` prints one table and leaves a JSON
for each task in ``benchmarks/results/``; ``--write-docs`` makes ``docs/benchmarks.md`` of them.
"""

import argparse
import fnmatch
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from candidate import CandidateError, judge_mail, judge_vectors
from corpora import DEFAULT_DATA, MissingDataError
from disagree import perfect_memory
from figures import METRIC_RULE, measure_parts
from peers import BOGOFILTER, MAIL_PEERS, Peer
from report import print_quality, write_docs
from results import write_result
from streams import MailTask, VectorTask, parts_of, truth_of, withhold_users
from tasks import SIZES, Plan, tasks
from vectors import judge_vectors_by_peers

__all__ = ["main"]

BENCHMARK = "quality_mail"
_SAME_PERCENT = 0.005
"""How far this benchmark's own figure may be from the one that mtspam reports."""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who runs: mtspam, its peers, or both; and the seed."""

    has_candidate: bool
    has_peers: bool
    seed: int


def _check_report(row: Row, report: Mapping[str, object]) -> None:
    parts = row["parts"]
    own = parts["all"]["one_minus_roca_percent"] if isinstance(parts, dict) else None
    told = report.get("one_minus_roca_percent")
    if own is None or not isinstance(told, float) or abs(told - own) <= _SAME_PERCENT:
        return
    print(f"  mtspam reports (1-ROCA)% {told:.3f}, measured here {own:.3f}", file=sys.stderr)


def _run_candidate(name: str, task: MailTask, truth_task: MailTask, seed: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        outcome = judge_mail(task, Path(folder), seed)
    truth = truth_of(truth_task.stream)
    row = {
        "filter": name,
        "seconds": outcome.seconds,
        "parts": measure_parts(truth, outcome.scores, parts_of(truth_task.stream), 0.0),
        "levels": outcome.report.get("levels"),
        "settings_digest": outcome.report.get("settings_digest"),
        "score_per_second": outcome.report.get("score_per_second"),
        "learn_per_second": outcome.report.get("learn_per_second"),
    }
    if all(message.is_spam == message.said_spam for message in task.stream):
        _check_report(row, outcome.report)
    return row


def _run_peer(peer: Peer, task: MailTask) -> list[Row]:
    start = time.perf_counter()
    scores = peer.judge(task)
    seconds = time.perf_counter() - start
    truth, parts = truth_of(task.stream), parts_of(task.stream)
    return [
        {
            "filter": peer.name + suffix,
            "seconds": seconds,
            "parts": measure_parts(truth, scores, parts, threshold),
        }
        for suffix, threshold in peer.thresholds
    ]


def _perfect_memory(task: MailTask) -> list[Row]:
    if not any(message.list_name for message in task.stream):
        return []
    parts = {"disputed": parts_of(task.stream)["disputed"]}
    found = measure_parts(truth_of(task.stream), perfect_memory(task.stream), parts, 0.0)
    return [{"filter": "(told the lists, forgets nothing)", "seconds": None, "parts": found}]


def _mail_rows(task: MailTask, choice: Choice) -> list[Row]:
    rows: list[Row] = []
    if choice.has_candidate:
        rows.append(_run_candidate("mtspam", task, task, choice.seed))
    if choice.has_candidate and task.has_users:
        pooled = withhold_users(task)
        row = _run_candidate("mtspam, users withheld", pooled, task, choice.seed)
        rows.append({**row, "levels": None})
    if choice.has_peers and task.has_peers:
        for peer in MAIL_PEERS:
            if peer.needs_users and not task.has_users:
                continue
            if peer.name.startswith(BOGOFILTER) and shutil.which(BOGOFILTER) is None:
                print("  bogofilter is not installed: left out", file=sys.stderr)
                continue
            rows += _run_peer(peer, task)
    return rows + _perfect_memory(task)


def _vector_rows(task: VectorTask, choice: Choice) -> list[Row]:
    rows: list[Row] = []
    if choice.has_candidate:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            levels = judge_vectors(task, Path(folder))
        seconds = time.perf_counter() - start
        rows += [
            {"filter": f"mtspam, {level}", "seconds": seconds, **stages}
            for level, stages in levels.items()
        ]
    if choice.has_peers:
        rows += judge_vectors_by_peers(task, choice.seed)
    return rows


def _measure(task: MailTask | VectorTask, choice: Choice) -> tuple[str, list[Row]]:
    if isinstance(task, VectorTask):
        return "vectors", _vector_rows(task, choice)
    return "mail", _mail_rows(task, choice)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument(
        "--data",
        type=Path,
        help=f"folder of the corpora; without it size tiny uses the committed sample alone, the "
        f"other sizes ../{DEFAULT_DATA.parent.name}/{DEFAULT_DATA.name}",
    )
    parser.add_argument("--tasks", default="*", help="names to run, such as 'enron.*'")
    parser.add_argument("--users", type=int, default=10, help="users who disagree")
    parser.add_argument("--seed", type=int, default=1)
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--only-peers", action="store_true")
    who.add_argument("--no-peers", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="then write docs/benchmarks.md")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace, data: Path | None) -> None:
    plan = Plan(data=data, size=options.size, n_users=options.users, seed=options.seed)
    choice = Choice(
        has_candidate=not options.only_peers, has_peers=not options.no_peers, seed=options.seed
    )
    records: list[dict[str, object]] = []
    for place, task in enumerate(tasks(plan)):
        if not fnmatch.fnmatch(task.name, options.tasks):
            continue
        print(f"{task.name} …", file=sys.stderr, flush=True)
        form, rows = _measure(task, choice)
        record: dict[str, object] = {
            "place": place,
            "corpus": task.name.partition(".")[0],
            "task": task.name,
            "title": task.title,
            "split": task.rule,
            "form": form,
            "metric": METRIC_RULE if form == "mail" else "mean area under the ROC curve an inbox",
            "size": options.size,
            "n": len(task.stream) if isinstance(task, MailTask) else None,
            "seed": options.seed,
            "rows": rows,
        }
        write_result(BENCHMARK, task.name, record)
        records.append(record)
    print_quality(records)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    options = _options(arguments)
    data: Path | None = options.data
    if data is None and options.size != "tiny":
        data = DEFAULT_DATA
    try:
        _run(options, data)
    except (MissingDataError, CandidateError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.write_docs:
        write_docs(options.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
