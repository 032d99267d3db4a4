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
    scores: Scores, settings: VerdictSettings, *, defects: tuple[str, ...], digest: bytes
) -> Judgement:
    """Give the verdict on the only message of `scores`."""
    many = judgements_of(scores, settings)
    phishing, bulk = float(many.phishing[0]), float(many.bulk[0])
    return Judgement(
        verdict=many.verdicts[0],
        score=float(many.score[0]),
        probability=float(many.probability[0]),
        shared=float(many.shared[0]),
        group=float(many.group[0]),
        personal=float(many.personal[0]),
        starter=float(many.starter[0]),
        phishing=None if np.isnan(phishing) else phishing,
        bulk=None if np.isnan(bulk) else bulk,
        defects=defects,
        id=digest.hex(),
    )
