"""From log-odds to a verdict."""

import numpy as np
from numpy.typing import NDArray

from mtspam.config import VerdictSettings
from mtspam.model import Scores
from mtspam.spam.records import Judgement, Judgements
from mtspam.types import Verdict

__all__ = ["judgement_of", "judgements_of"]


def _verdict(probability: float, settings: VerdictSettings) -> Verdict:
    if probability >= settings.spam_above:
        return Verdict.SPAM
    return Verdict.HAM if probability < settings.ham_below else Verdict.UNSURE


def _head(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability by an auxiliary head; not a number where it knows nothing."""
    probability = 1.0 / (1.0 + np.exp(-np.clip(margin, -40.0, 40.0)))
    return np.asarray(np.where(margin == 0.0, np.nan, probability))


def judgements_of(scores: Scores, settings: VerdictSettings) -> Judgements:
    """Give many verdicts."""
    probability = scores.probability
    return Judgements(
        verdicts=[_verdict(one, settings) for one in probability.tolist()],
        score=scores.blend,
        probability=probability,
        shared=scores.shared,
        group=scores.group,
        personal=scores.personal,
        starter=scores.starter,
        phishing=_head(scores.phishing),
        bulk=_head(scores.bulk),
    )


def judgement_of(
    scores: Scores,
    settings: VerdictSettings,
    *,
    defects: tuple[str, ...],
    digest: bytes,
    row: int = 0,
) -> Judgement:
    """Give the verdict on one message of `scores`, by default the first; quick for one alone."""
    blend, phishing, bulk = (
        float(column[row]) for column in (scores.blend, scores.phishing, scores.bulk)
    )
    probability = _sigmoid(blend)
    return Judgement(
        verdict=_verdict(probability, settings),
        score=blend,
        probability=probability,
        shared=float(scores.shared[row]),
        group=float(scores.group[row]),
        personal=float(scores.personal[row]),
        starter=float(scores.starter[row]),
        phishing=_sigmoid(phishing) if phishing else None,
        bulk=_sigmoid(bulk) if bulk else None,
        defects=defects,
        id=digest.hex(),
    )


def _sigmoid(margin: float) -> float:
    # NumPy's exponential, as for columns: that of `math` may differ in the last bit.
    return float(1.0 / (1.0 + np.exp(-min(max(margin, -40.0), 40.0))))
