"""What our own endpoints answer, as records; the OpenAPI document is made from them."""

from dataclasses import dataclass
from typing import Self

from mtspam.serve.contract import Action, Forgotten, LearnOutcome, Learnt, Ruling
from mtspam.serve.roster import Staff
from mtspam.spam.records import Explanation, Judgement
from mtspam.types import Verdict

__all__ = [
    "ErrorReply",
    "ExplainedReply",
    "ForgottenReply",
    "JudgedReply",
    "LearntReply",
    "Levels",
    "ProcessReply",
    "ReasonReply",
    "StatusReply",
    "SymbolReply",
    "ViewReply",
]


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """What was wrong."""

    error: str


@dataclass(frozen=True, slots=True)
class Levels:
    """Log-odds of spam by level; `starter` is part of `shared`."""

    shared: float
    group: float
    personal: float
    starter: float

    @classmethod
    def of(cls, judgement: Judgement) -> Self:
        """Return the levels of a judgement."""
        return cls(judgement.shared, judgement.group, judgement.personal, judgement.starter)


@dataclass(frozen=True, slots=True)
class SymbolReply:
    """One reason of a verdict; the points of all add up to the message's."""

    name: str
    points: float
    text: str


@dataclass(frozen=True, slots=True)
class JudgedReply:
    """What is to be done with a message, and why."""

    verdict: Verdict
    action: Action
    score: float
    probability: float
    points: float
    required: float
    levels: Levels
    id: str
    symbols: list[SymbolReply]
    fields: list[tuple[str, str]]
    defects: list[str]

    @classmethod
    def of(cls, ruling: Ruling) -> Self:
        """Return the reply that tells of a ruling."""
        judgement = ruling.judgement
        return cls(
            verdict=judgement.verdict,
            action=ruling.action,
            score=judgement.score,
            probability=judgement.probability,
            points=ruling.points,
            required=ruling.required,
            levels=Levels.of(judgement),
            id=judgement.id,
            symbols=[SymbolReply(one.name, one.points, one.text) for one in ruling.symbols],
            fields=list(ruling.fields),
            defects=list(judgement.defects),
        )


@dataclass(frozen=True, slots=True)
class ReasonReply:
    """One feature and what it adds to the log-odds of spam, level by level."""

    view: str
    kind: str
    text: str
    shared: float
    group: float
    personal: float


@dataclass(frozen=True, slots=True)
class ViewReply:
    """What one view of the message says in all."""

    view: str
    shared: float
    group: float
    personal: float


@dataclass(frozen=True, slots=True)
class ExplainedReply:
    """A judgement and what it rests on, the strongest reasons first."""

    verdict: Verdict
    score: float
    probability: float
    levels: Levels
    phishing: float | None
    bulk: float | None
    id: str
    defects: list[str]
    reasons: list[ReasonReply]
    views: list[ViewReply]

    @classmethod
    def of(cls, explanation: Explanation, limit: int) -> Self:
        """Return the reply that tells of an explanation, with so many reasons at most."""
        judgement = explanation.judgement
        return cls(
            verdict=judgement.verdict,
            score=judgement.score,
            probability=judgement.probability,
            levels=Levels.of(judgement),
            phishing=judgement.phishing,
            bulk=judgement.bulk,
            id=judgement.id,
            defects=list(judgement.defects),
            reasons=[
                ReasonReply(one.view, one.kind, one.text, one.shared, one.group, one.personal)
                for one in explanation.reasons[:limit]
            ],
            views=[ViewReply(*view) for view in explanation.views],
        )


@dataclass(frozen=True, slots=True)
class ForgottenReply:
    """How many events of a user were deleted, and what may still hold some of them.

    `folded` says whether the model in use never learnt them; if not, it is being folded.
    `rank_versions` are trained versions of the ranking, which `mtspam rank train` replaces.
    """

    events: int
    folded: bool
    rank_versions: tuple[str, ...]

    @classmethod
    def of(cls, forgotten: Forgotten) -> Self:
        """Return the reply that tells of it."""
        return cls(forgotten.n_events, forgotten.is_folded, forgotten.versions)


@dataclass(frozen=True, slots=True)
class LearntReply:
    """What became of a label, and the id of the message that it is about."""

    outcome: LearnOutcome
    id: str

    @classmethod
    def of(cls, learnt: Learnt) -> Self:
        """Return the reply that tells of a label."""
        return cls(learnt.outcome, learnt.id)


@dataclass(frozen=True, slots=True)
class ProcessReply:
    """One place in the service: who fills it now, for how long, the how many-th to do so.

    While nobody fills it `pid` and `uptime` are 0.
    """

    name: str
    pid: int
    uptime: float
    begun: int

    @classmethod
    def of(cls, staff: Staff, now: float) -> Self:
        """Return what there is to tell of a place."""
        return cls(staff.name, staff.pid, now - staff.began if staff.pid else 0.0, staff.n_begun)


@dataclass(frozen=True, slots=True)
class StatusReply:
    """How the service is doing; uptime and counts are of all workers since it started."""

    version: str
    uptime: float
    counts: dict[str, float]
    processes: list[ProcessReply]
