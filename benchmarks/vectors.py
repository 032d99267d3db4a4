"""Peers on word counts: pooled, one filter a user, and crosses with the user in one table."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from figures import one_minus_roca_percent
from numpy.typing import NDArray
from peers import VW_OPTIONS
from streams import VectorTask

__all__ = ["STAGES", "judge_vectors_by_peers"]

STAGES = ("auc_all", "auc_first_50", "auc_second_half")

_NO_AUC_WITHOUT_BOTH_LABELS = float("nan")


@dataclass(frozen=True, slots=True)
class _Line:
    user: str
    is_spam: bool
    features: str


def _parse(line: str, user: str) -> _Line:
    label, *counts = line.split()
    scale = max(1, len(counts)) ** -0.5
    words = " ".join(count.partition(":")[0] for count in counts)
    return _Line(user, float(label) > 0, f"|t:{scale:.5f} {words}")


def _interleave(task: VectorTask, seed: int) -> list[_Line]:
    """Draw the next message from an inbox chosen by seed, each inbox in its own order."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(
        np.array(list(task.inboxes)), [len(lines) for lines in task.inboxes.values()]
    )
    rng.shuffle(owners)
    waiting = {user: iter(lines) for user, lines in task.inboxes.items()}
    return [_parse(next(waiting[str(user)]), str(user)) for user in owners]


def _judge(
    train: list[_Line], stream: list[_Line], options: str, *, is_own: bool
) -> NDArray[np.float64]:
    from vowpalwabbit import Workspace

    owners = sorted({line.user for line in stream}) if is_own else [""]
    models = {owner: Workspace(f"{VW_OPTIONS} {options}") for owner in owners}
    for line in train if not is_own else []:
        models[""].learn(f"{1 if line.is_spam else -1} {line.features}")
    scores = np.zeros(len(stream))
    for i, line in enumerate(stream):
        model = models[line.user if is_own else ""]
        text = f"{line.features} |u {line.user}"
        scores[i] = model.predict(text)
        model.learn(f"{1 if line.is_spam else -1} {text}")
    for model in models.values():
        model.finish()
    return scores


def _auc(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    lost = one_minus_roca_percent(truth, scores)
    return _NO_AUC_WITHOUT_BOTH_LABELS if lost is None else 1 - lost / 100


def _mean_auc(stream: list[_Line], scores: NDArray[np.float64]) -> dict[str, float]:
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for user in sorted({line.user for line in stream}):
        own = np.array([i for i, line in enumerate(stream) if line.user == user])
        truth = np.array([stream[i].is_spam for i in own])
        for stage, part in zip(
            STAGES, (slice(None), slice(0, 50), slice(len(own) // 2, None)), strict=True
        ):
            found[stage].append(_auc(truth[part], scores[own][part]))
    return {stage: float(np.nanmean(values)) for stage, values in found.items()}


def judge_vectors_by_peers(task: VectorTask, seed: int) -> list[Mapping[str, object]]:
    """Run the peers over a task of word counts and return a row of figures for each."""
    train = [_parse(line, "") for line in task.train]
    stream = _interleave(task, seed)
    rows: list[Mapping[str, object]] = []
    for name, options, is_own in (
        ("Vowpal Wabbit, pooled", "--ignore u", False),
        ("Vowpal Wabbit, one filter a user", "--ignore u", True),
        ("Vowpal Wabbit, -q ut in one table", "-q ut", False),
    ):
        start = time.perf_counter()
        scores = _judge(train, stream, options, is_own=is_own)
        seconds = time.perf_counter() - start
        rows.append({"filter": name, "seconds": seconds, **_mean_auc(stream, scores)})
    return rows
