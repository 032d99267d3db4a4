"""Why a verdict: which features say most, by level, readable through the message at hand."""

import numpy as np

from mtspam.mail.extractor import Extractor
from mtspam.mail.tokens import read_tokens
from mtspam.mail.views import View
from mtspam.model import Learner, contributions
from mtspam.spam.records import Explanation, Judgement, Reason
from mtspam.types import GroupKey, UserKey

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
    for view in View:
        of_view = [token for token in tokens if token.view is view]
        hashes = np.array([token.feature for token in of_view], np.uint32)
        said = contributions(learner, view, hashes, user=user, group=group)
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
