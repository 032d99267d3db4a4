"""Ranking of search results: shared trees, markets' trees, history, a personal part, a guard."""

from mtspam.ranking.records import Learnt, Reason, Rescored
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.showing import shown

__all__ = ["Learnt", "Reason", "Reranker", "Rescored", "shown"]
