"""What is measured in a test-then-train pass over mail."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtspam.evaluate.figures import Figures, figures, sigmoid
from mtspam.evaluate.progressive import Run
from mtspam.metrics.binary import errors_at, one_minus_roca_percent, roc

__all__ = ["CurvePoint", "Levels", "MailReport", "UserFigures", "mail_report"]

_N_CURVE_POINTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The same messages by what each level alone says, and by the verdict."""

    shared: Figures
    personal: Figures
    blend: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One point of the learning curve.

    Parameters
    ----------
    position
        Messages seen.
    n_ham, n_spam
        Messages since the point before.
    error_percent, hm_percent, sm_percent
        Misclassified since the point before.
    one_minus_roca_percent
        Over all messages so far.
    """

    position: int
    n_ham: int
    n_spam: int
    error_percent: float
    hm_percent: float
    sm_percent: float
    one_minus_roca_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFigures:
    """The figures of one user's messages.

    Parameters
    ----------
    user
        As the index names them; None for the mail of nobody.
    n, n_ham, n_spam
        Number of messages.
    one_minus_roca_percent, error_percent, hm_percent, sm_percent
        As in `Figures`.
    """

    user: str | None
    n: int
    n_ham: int
    n_spam: int
    one_minus_roca_percent: float
    error_percent: float
    hm_percent: float
    sm_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MailReport:
    """All that is measured in one pass.

    Parameters
    ----------
    overall
        The verdict's figures; in JSON they stand at the top.
    score_per_second, learn_per_second
        Raw messages a second, scored; scored and learnt.
    no_feedback
        The figures over messages whose label the filter was never told; None without any.
    levels
        The figures by level.
    learning_curve
        By position, at most 50 points.
    per_user
        Most messages first.
    seed, n_resamples
        Of the bootstrap.
    """

    overall: Figures
    score_per_second: float
    learn_per_second: float
    no_feedback: Figures | None
    levels: Levels
    learning_curve: Sequence[CurvePoint]
    per_user: Sequence[UserFigures]
    seed: int
    n_resamples: int


def mail_report(run: Run, *, seed: int = 0, n_resamples: int = 500) -> MailReport:
    """Measure a pass.

    Parameters
    ----------
    run
        From `mtspam.evaluate.progressive.run_progressive`.
    seed, n_resamples
        Of the bootstrap.

    Returns
    -------
    MailReport
        `mtspam.evaluate.figures.as_json` makes it the report file.

    Raises
    ------
    DataError
        If a score is NaN.
    """
    scores = run.scores

    def measure(
        values: NDArray[np.float64],
        probability: NDArray[np.float64],
        which: NDArray[np.bool_] | slice,
    ) -> Figures:
        return figures(
            run.is_spam[which],
            values[which],
            probability[which],
            seed=seed,
            n_resamples=n_resamples,
        )

    every = slice(None)
    overall = measure(scores.blend, scores.probability, every)
    silent = ~run.has_feedback
    return MailReport(
        overall=overall,
        score_per_second=run.score_per_second,
        learn_per_second=run.learn_per_second,
        no_feedback=measure(scores.blend, scores.probability, silent) if silent.any() else None,
        levels=Levels(
            shared=measure(scores.shared, sigmoid(scores.shared), every),
            personal=measure(scores.personal, sigmoid(scores.personal), every),
            blend=overall,
        ),
        learning_curve=_learning_curve(run.is_spam, scores.blend),
        per_user=_per_user(run),
        seed=seed,
        n_resamples=n_resamples,
    )


def _learning_curve(
    is_spam: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[CurvePoint, ...]:
    n_points = min(_N_CURVE_POINTS, is_spam.size)
    ends = [round((k + 1) * is_spam.size / n_points) for k in range(n_points)]
    points = []
    for start, end in zip([0, *ends], ends, strict=False):
        errors = errors_at(is_spam[start:end], scores[start:end])
        points.append(
            CurvePoint(
                position=end,
                n_ham=errors.n_ham,
                n_spam=errors.n_spam,
                error_percent=errors.error_percent,
                hm_percent=errors.hm_percent,
                sm_percent=errors.sm_percent,
                one_minus_roca_percent=one_minus_roca_percent(roc(is_spam[:end], scores[:end])),
            )
        )
    return tuple(points)


def _per_user(run: Run) -> tuple[UserFigures, ...]:
    positions: dict[str | None, list[int]] = {}
    for position, entry in enumerate(run.entries):
        positions.setdefault(entry.user, []).append(position)
    by_size = sorted(positions.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    return tuple(
        _user_figures(user, run.is_spam[which], run.scores.blend[which]) for user, which in by_size
    )


def _user_figures(
    user: str | None, is_spam: NDArray[np.bool_], scores: NDArray[np.float64]
) -> UserFigures:
    errors = errors_at(is_spam, scores)
    return UserFigures(
        user=user,
        n=is_spam.size,
        n_ham=errors.n_ham,
        n_spam=errors.n_spam,
        one_minus_roca_percent=one_minus_roca_percent(roc(is_spam, scores)),
        error_percent=errors.error_percent,
        hm_percent=errors.hm_percent,
        sm_percent=errors.sm_percent,
    )
