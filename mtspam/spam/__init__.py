"""The spam filter as a library: one class, and the records that it takes and gives."""

from mtspam.spam.filter import SpamFilter
from mtspam.spam.records import (
    Explanation,
    FoldCheck,
    FoldReport,
    Judgement,
    Judgements,
    LabelledMessage,
    LearnSummary,
    Reason,
    Status,
    UserInfo,
)

__all__ = [
    "Explanation",
    "FoldCheck",
    "FoldReport",
    "Judgement",
    "Judgements",
    "LabelledMessage",
    "LearnSummary",
    "Reason",
    "SpamFilter",
    "Status",
    "UserInfo",
]
