"""What a request to rank is answered with, as records; the OpenAPI document is made from them."""

import math
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from mtspam.ranking.records import Reason, Rescored
from mtspam.search.events import RankingShown
from mtspam.serve.rerank.requests import RerankRequest

__all__ = [
    "BilledReply",
    "FeatureReply",
    "FeedbackReply",
    "LevelsReply",
    "MessageReply",
    "Meta",
    "RerankReply",
    "ResultReply",
    "TrunkReply",
    "VersionReply",
    "WhyReply",
    "relevance",
    "reply_of",
]

_DOCUMENTS_A_UNIT = 100
_MOST = 700.0  # the largest power of e that is a number is a little above


class MessageReply(msgspec.Struct, frozen=True):
    """What was wrong."""

    message: str


class LevelsReply(msgspec.Struct, frozen=True):
    """What clicks say beyond the trees, by level."""

    everyone: float
    market: float
    you: float


class FeatureReply(msgspec.Struct, frozen=True):
    """A feature, and how much it counts in the trees beside its usual value."""

    name: str
    value: float


class TrunkReply(msgspec.Struct, frozen=True):
    """What the trees say, and which features made them say it."""

    click: float
    conversion: float
    features: list[FeatureReply]


class WhyReply(msgspec.Struct, frozen=True):
    """Parts of a result's score, storey by storey; all of them add up to `score`."""

    score: float
    host: float
    trunk: TrunkReply
    personal: LevelsReply

    @classmethod
    def of(cls, reason: Reason) -> "WhyReply":
        """Return the reply that tells of a reason."""
        return cls(
            score=reason.total,
            host=reason.host,
            trunk=TrunkReply(
                reason.click,
                reason.conversion,
                [FeatureReply(name, value) for name, value in reason.features],
            ),
            personal=LevelsReply(reason.everyone, reason.market, reason.you),
        )


class ResultReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document by its place in the request, and how relevant it is, from 0 to 1.

    `item` is its id, told where the ranking is journalled or explained.
    """

    index: int
    relevance_score: float
    document: dict[str, Any] | UnsetType = UNSET
    item: str | UnsetType = UNSET
    reasons: WhyReply | UnsetType = UNSET


class VersionReply(msgspec.Struct, frozen=True):
    """The version of the protocol."""

    version: str


class BilledReply(msgspec.Struct, frozen=True):
    """What others would bill."""

    search_units: int


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """About the answer."""

    api_version: VersionReply
    billed_units: BilledReply
    model_version: str = ""
    is_journalled: bool = False
    warnings: list[str] | UnsetType = UNSET


class RerankReply(msgspec.Struct, frozen=True):
    """Results, the most relevant first."""

    id: str
    results: list[ResultReply]
    meta: Meta


class FeedbackReply(msgspec.Struct, frozen=True, rename={"took_millis": "tookMillis"}):
    """What became of events: how many were taken, and how many of them were new."""

    accepted: int
    status: str
    took_millis: int
    updated: int


def relevance(rescored: Rescored) -> NDArray[np.float64]:
    """Return how relevant the results are, best first, from 0 to 1.

    The scores in falling order, whatever exploration has swapped: clients sort by them.
    """
    # What is no number stands last.
    scores = np.nan_to_num(rescored.scores, nan=-_MOST, posinf=_MOST, neginf=-_MOST)
    scores = np.clip(np.sort(scores)[::-1], -_MOST, _MOST)
    figures: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-scores))
    return figures


def reply_of(
    request: RerankRequest,
    ranking: RankingShown,
    rescored: Rescored,
    *,
    protocol: int,
    warning: str | None,
) -> RerankReply:
    """Return the answer to a request.

    Parameters
    ----------
    ranking
        As it was asked for.
    rescored
        What became of it.
    protocol
        1 or 2.
    warning
        Why the ranking could not be journalled; empty: it was, None: nobody wanted it to be.
    """
    n_told = min(request.top_n or len(ranking.items), len(ranking.items))
    is_journalled = warning == ""
    tells_items = is_journalled or bool(request.explain)
    tells_documents = protocol == 1 and bool(request.return_documents)
    figures = relevance(rescored)[:n_told].tolist()
    results = [
        ResultReply(
            index=place,
            relevance_score=figure,
            document=_told(request.documents[place]) if tells_documents else UNSET,
            item=ranking.items[place].item if tells_items else UNSET,
            reasons=WhyReply.of(rescored.reasons[place]) if rescored.reasons else UNSET,
        )
        for place, figure in zip(rescored.order[:n_told].tolist(), figures, strict=True)
    ]
    meta = Meta(
        VersionReply(str(protocol)),
        BilledReply(math.ceil(len(ranking.items) / _DOCUMENTS_A_UNIT)),
        rescored.version,
        is_journalled,
        [warning] if warning else UNSET,
    )
    return RerankReply(ranking.id, results, meta)


def _told(document: str | dict[str, Any]) -> dict[str, Any]:
    return {"text": document} if isinstance(document, str) else document
