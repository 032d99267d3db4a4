"""Why a verdict: which features say most, by level, readable through the message at hand."""

import numpy as np
from numpy.typing import NDArray

from mtspam.mail.extractor import Extractor
from mtspam.mail.tokens import read_tokens
from mtspam.mail.views import View
from mtspam.model import Learner, Starter, explain_one
from mtspam.spam.records import Explanation, Judgement, Reason
from mtspam.types import Example, GroupKey, UserKey

__all__ = ["explain_message"]


def explain_message(
    judgement: Judgement,
    models: tuple[Learner, Starter | None],
    extractor: Extractor,
    keys: tuple[UserKey, GroupKey],
    *,
    limit: int,
) -> Explanation:
    """Explain the message that the extractor read last.

    Parameters
    ----------
    judgement
        The verdict on it.
    models
        The learner that gave it, and the starter model if there is one.
    extractor
        What read the message.
    keys
        User and group for whom it was judged.
    limit
        How many features to name at most.
    """
    user, group = keys
    learner, starter = models
    reasons: list[Reason] = []
    views: list[tuple[str, float, float, float]] = []
    tokens = read_tokens(extractor)
    by_view = [[token for token in tokens if token.view is view] for view in View]
    example = Example(
        tuple(np.array([token.feature for token in mine], np.uint32) for mine in by_view)
    )
    from_starter = _starter_shares(judgement, starter, extractor)
    for view, of_view, said in zip(
        View, by_view, explain_one(learner, example, user, group), strict=True
    ):
        shared = said.shared + from_starter[view]
        total = said.total + from_starter[view]
        name = view.name.lower()
        views.append(
            (name, float(shared.sum()), float(said.group.sum()), float(said.personal.sum()))
        )
        strongest = np.argsort(-np.abs(total), kind="stable")[:limit]
        reasons += [
            Reason(
                view=name,
                kind=of_view[i].kind,
                text=of_view[i].text,
                shared=float(shared[i]),
                group=float(said.group[i]),
                personal=float(said.personal[i]),
            )
            for i in strongest.tolist()
            if total[i]
        ]
    reasons.sort(key=lambda reason: -abs(reason.total))
    return Explanation(judgement, tuple(reasons[:limit]), tuple(views))


def _starter_shares(
    judgement: Judgement, starter: Starter | None, extractor: Extractor
) -> list[NDArray[np.float64]]:
    """Return what each token of each view says through the starter model."""
    tokens = read_tokens(extractor, public=True)
    by_view = [
        np.array([token.feature for token in tokens if token.view is view], np.uint32)
        for view in View
    ]
    if starter is None:
        return [np.zeros(len(features)) for features in by_view]
    said = [starter.contributions(view, by_view[view]) for view in View]
    # The combiner leans on the starter the less, the more it has learnt; limits cut it, too.
    whole = sum(float(one.sum()) for one in said)
    share = min(max(judgement.starter / whole, 0.0), 1.0) if whole else 0.0
    return [one * share for one in said]
