"""The hierarchical multi-task learner: levels, combiner, evidence, explanation."""

from mtspam.model.batch import Batch, Keys, Scores
from mtspam.model.explanation import Contribution, contributions, explain_one
from mtspam.model.learner import Learner
from mtspam.model.starter import Starter

__all__ = [
    "Batch",
    "Contribution",
    "Keys",
    "Learner",
    "Scores",
    "Starter",
    "contributions",
    "explain_one",
]
