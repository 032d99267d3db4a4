"""Run mtspam's own command line over a task, as a user would, and read what it wrote."""

import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from streams import MailTask, Message, VectorTask

__all__ = ["MTSPAM", "CandidateError", "Outcome", "judge_mail", "judge_vectors", "run_mtspam"]

MTSPAM = (sys.executable, "-m", "mtspam.commands.main")


class CandidateError(Exception):
    """The command failed or wrote something unexpected; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of ``mtspam evaluate mail`` gave.

    Parameters
    ----------
    scores
        In the order of the stream, shape ``(n,)``.
    report
        Its JSON.
    seconds
        Of the whole process.
    """

    scores: NDArray[np.float64]
    report: dict[str, object]
    seconds: float


def run_mtspam(arguments: Sequence[str]) -> float:
    """Run the command to its end and return the seconds it took.

    Raises
    ------
    CandidateError
        When it ends with an error.
    """
    start = time.perf_counter()
    done = subprocess.run([*MTSPAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CandidateError(
            f"mtspam {' '.join(arguments[:2])} ended with {done.returncode}: "
            f"{done.stderr.strip()[-600:]}"
        )
    return time.perf_counter() - start


def _index_line(message: Message) -> str:
    label = "spam" if message.said_spam else "ham"
    fields = [
        label if message.has_feedback else label.capitalize(),
        message.path,
        message.user,
        None if message.time is None else str(message.time),
    ]
    return " ".join(field for field in fields if field is not None) + "\n"


def _write_corpus(stream: Sequence[Message], folder: Path, name: str) -> tuple[str, str]:
    """Write index and archive; the index holds what is said, which may not be the truth."""
    index, root = folder / f"{name}.index", folder / f"{name}.tar"
    index.write_text("".join(map(_index_line, stream)), "utf-8")
    with tarfile.open(root, "w") as tar:
        for message in stream:
            member = tarfile.TarInfo(message.path)
            member.size = len(message.raw)
            tar.addfile(member, io.BytesIO(message.raw))
    return str(index), str(root)


def _read_scores(path: Path, stream: Sequence[Message]) -> NDArray[np.float64]:
    import polars as pl

    table = pl.read_parquet(path)
    scores = dict(zip(table["path"].to_list(), table["score"].to_list(), strict=True))
    missing = [message.path for message in stream if message.path not in scores]
    if missing or len(scores) != len(stream):
        raise CandidateError(
            f"the scores table has {len(scores)} paths for {len(stream)} messages; "
            f"{len(missing)} messages have no score, first {missing[:1]}"
        )
    return np.array([scores[message.path] for message in stream], dtype=np.float64)


def judge_mail(task: MailTask, folder: Path, seed: int) -> Outcome:
    """Run ``mtspam evaluate mail`` over a task.

    Raises
    ------
    CandidateError
        When it ends with an error or leaves a message without a score.
    """
    index, root = _write_corpus(task.stream, folder, "stream")
    report, scores = folder / "report.json", folder / "scores.parquet"
    arguments = ["evaluate", "mail", "--index", index, "--root", root, "--seed", str(seed)]
    arguments += ["--json", str(report), "--scores", str(scores)]
    if not task.has_peers:
        arguments.append("--starter")
    if task.warm:
        warm_index, warm_root = _write_corpus(task.warm, folder, "warm")
        arguments += ["--warm", warm_index, "--warm-root", warm_root]
    seconds = run_mtspam(arguments)
    return Outcome(
        scores=_read_scores(scores, task.stream),
        report=json.loads(report.read_text("utf-8")),
        seconds=seconds,
    )


def judge_vectors(task: VectorTask, folder: Path) -> dict[str, dict[str, float]]:
    """Run ``mtspam evaluate vectors`` and return ``shared|personal|blend`` → mean AUC by stage.

    Raises
    ------
    CandidateError
        When it ends with an error.
    """
    arguments = ["evaluate", "vectors"]
    for option, name, lines in [
        ("--train", "train", task.train),
        *(("--inbox", user, lines) for user, lines in task.inboxes.items()),
    ]:
        path = folder / f"{name}.tf"
        path.write_text("".join(f"{line}\n" for line in lines), "ascii")
        arguments += [option, str(path)]
    report = folder / "report.json"
    run_mtspam([*arguments, "--json", str(report)])
    found: dict[str, dict[str, float]] = json.loads(report.read_text("utf-8"))
    return {level: found[level] for level in ("shared", "personal", "blend")}
