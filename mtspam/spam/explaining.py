"""Why a verdict: which features say most, by level, readable through the message at hand."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtspam.mail.extractor import Extractor
from mtspam.mail.tokens import Token, read_tokens
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
    by_view, example = _tokens(extractor, public=False)
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
    reasons = sorted(_merged(reasons), key=lambda reason: -abs(reason.total))
    return Explanation(judgement, tuple(reasons[:limit]), tuple(views))


def _merged(reasons: list[Reason]) -> list[Reason]:
    """Join features that read alike, such as a domain that stands in two header fields."""
    merged: dict[tuple[str, str, str], Reason] = {}
    for one in reasons:
        name = (one.view, one.kind, one.text)
        same = merged.get(name)
        merged[name] = (
            one
            if same is None
            else replace(
                one,
                shared=one.shared + same.shared,
                group=one.group + same.group,
                personal=one.personal + same.personal,
            )
        )
    return list(merged.values())


def _tokens(extractor: Extractor, *, public: bool) -> tuple[list[list[Token]], Example]:
    """Return the tokens of each view, and their hashes in the same order."""
    tokens = read_tokens(extractor, public=public)
    by_view = [[token for token in tokens if token.view is view] for view in View]
    hashes = (np.array([token.feature for token in mine], np.uint32) for mine in by_view)
    return by_view, Example(tuple(hashes))


def _starter_shares(
    judgement: Judgement, starter: Starter | None, extractor: Extractor
) -> list[NDArray[np.float64]]:
    """Return what each token of each view says through the starter; one nought if it is silent."""
    if starter is None or judgement.starter == 0.0:
        return [np.zeros(1) for _ in View]
    _, example = _tokens(extractor, public=True)
    said = [starter.contributions(view, example.views[view]) for view in View]
    # The combiner leans on the starter the less, the more it has learnt; limits cut it, too.
    whole = sum(float(one.sum()) for one in said)
    share = min(max(judgement.starter / whole, 0.0), 1.0) if whole else 0.0
    return [one * share for one in said]
