"""Why a verdict: which features say most, by level, readable through the message at hand."""

import numpy as np

from mtspam.mail.extractor import Extractor
from mtspam.mail.tokens import read_tokens
from mtspam.mail.views import View
from mtspam.model import Learner, explain_one
from mtspam.spam.records import Explanation, Judgement, Reason
from mtspam.types import Example, GroupKey, UserKey

__all__ = ["explain_message"]


def explain_message(
    judgement: Judgement,
    learner: Learner,
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
    learner
        The model that gave it.
    extractor
        What read the message.
    keys
        User and group for whom it was judged.
    limit
        How many features to name at most.
    """
    user, group = keys
    reasons: list[Reason] = []
    views: list[tuple[str, float, float, float]] = []
    tokens = read_tokens(extractor)
    by_view = [[token for token in tokens if token.view is view] for view in View]
    example = Example(
        tuple(np.array([token.feature for token in mine], np.uint32) for mine in by_view)
    )
    for view, of_view, said in zip(
        View, by_view, explain_one(learner, example, user, group), strict=True
    ):
        name = view.name.lower()
        views.append(
            (name, float(said.shared.sum()), float(said.group.sum()), float(said.personal.sum()))
        )
        strongest = np.argsort(-np.abs(said.total), kind="stable")[:limit]
        reasons += [
            Reason(
                view=name,
                kind=of_view[i].kind,
                text=of_view[i].text,
                shared=float(said.shared[i]),
                group=float(said.group[i]),
                personal=float(said.personal[i]),
            )
            for i in strongest.tolist()
            if said.total[i]
        ]
    reasons.sort(key=lambda reason: -abs(reason.total))
    return Explanation(judgement, tuple(reasons[:limit]), tuple(views))
