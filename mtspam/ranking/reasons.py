"""Why results stand where they stand: parts of the score, and the features that made them."""

import numpy as np

from mtspam.model.trunk import Trunk
from mtspam.ranking.online import Look
from mtspam.ranking.records import Reason

__all__ = ["reasons_of"]

_ASKED = 8
_TOLD = 5


def reasons_of(look: Look, trunk: Trunk | None, market: str) -> tuple[Reason, ...]:
    """Return a reason for each candidate.

    What a feature counts for is how much the trees' margin falls when the feature is given the
    middle value that it has among the candidates.
    """
    parts = look.inputs * look.mix
    n = len(parts)
    told: list[tuple[tuple[str, float], ...]] = [()] * n
    if trunk is not None and look.values is not None and n:
        place = trunk.market_of(market)
        columns = np.argsort(-trunk.gain[: len(trunk.columns)], kind="stable")[:_ASKED]
        full = trunk.scores(look.values, place).click
        counts = np.zeros((n, len(columns)))
        for k, column in enumerate(columns.tolist()):
            known = look.values[:, column][~np.isnan(look.values[:, column])]
            changed = look.values.copy()
            changed[:, column] = np.median(known) if known.size else np.nan
            counts[:, k] = full - trunk.scores(changed, place).click
        told = [
            tuple(
                (trunk.columns[columns[k]], float(row[k]))
                for k in np.argsort(-np.abs(row), kind="stable")[:_TOLD].tolist()
                if row[k] != 0.0
            )
            for row in counts
        ]
    return tuple(
        Reason(host, click, conversion, everyone, own, you, features)
        for (host, click, conversion, everyone, own, you), features in zip(
            parts.tolist(), told, strict=True
        )
    )
