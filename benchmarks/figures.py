"""The benchmark's own ruler, apart from the package's, so that neither can flatter the other."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["METRIC_RULE", "Figures", "measure", "measure_parts", "one_minus_roca_percent"]

METRIC_RULE = (
    "(1-ROCA)%: 100 times the chance that a ham message scores above a spam message, ties count "
    "half; error %, hm % (ham called spam) and sm % (spam called ham) at the filter's own default "
    "threshold, a score at the threshold is spam; against the true label, every message counts"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a filter reached on some messages; percentages, None where a class is missing."""

    n: int
    n_spam: int
    one_minus_roca_percent: float | None
    error_percent: float | None
    hm_percent: float | None
    sm_percent: float | None
    sm_at_hm_0_1_percent: float | None


def one_minus_roca_percent(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float | None:
    """Compute 100 minus the area under the ROC curve in percent; ties count half.

    Parameters
    ----------
    truth
        Which messages are spam, shape ``(n,)``.
    scores
        Higher is more like spam, shape ``(n,)``.

    Examples
    --------
    >>> one_minus_roca_percent(np.array([False, True, True]), np.array([0.0, 0.0, 1.0]))
    25.0
    """
    n_spam = int(truth.sum())
    n_ham = len(truth) - n_spam
    if n_spam == 0 or n_ham == 0:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    above = float(mean_rank[place][truth].sum()) - n_spam * (n_spam + 1) / 2
    return 100.0 - 100.0 * above / (n_spam * n_ham)


def _percent(wrong: NDArray[np.bool_]) -> float | None:
    return 100.0 * float(wrong.mean()) if len(wrong) else None


def _spam_lost(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], ham_share: float
) -> float | None:
    """Return the sm% at the lowest threshold that loses at most this share of the ham."""
    ham, spam = np.sort(scores[~truth]), scores[truth]
    if len(ham) == 0 or len(spam) == 0:
        return None
    may_lose = int(ham_share * len(ham))
    return 100.0 * float((spam <= ham[len(ham) - 1 - may_lose]).mean())


def measure(
    truth: NDArray[np.bool_], scores: NDArray[np.float64], threshold: float = 0.0
) -> Figures:
    """Compute the figures of one filter over some messages.

    Parameters
    ----------
    truth, scores
        As in `one_minus_roca_percent`.
    threshold
        A score at or above it is called spam.
    """
    called = scores >= threshold
    return Figures(
        n=len(truth),
        n_spam=int(truth.sum()),
        one_minus_roca_percent=one_minus_roca_percent(truth, scores),
        error_percent=_percent(called != truth),
        hm_percent=_percent(called[~truth]),
        sm_percent=_percent(~called[truth]),
        sm_at_hm_0_1_percent=_spam_lost(truth, scores, 0.001),
    )


def measure_parts(
    truth: NDArray[np.bool_],
    scores: NDArray[np.float64],
    parts: Mapping[str, NDArray[np.bool_]],
    threshold: float,
) -> dict[str, dict[str, float | int | None]]:
    """Compute the figures over each part, as plain dictionaries."""
    return {
        name: asdict(measure(truth[mask], scores[mask], threshold)) for name, mask in parts.items()
    }
