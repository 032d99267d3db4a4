"""What the ranking of results answers with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Learnt", "Reason", "Rescored"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a candidate stands where it stands: parts of its score, which add up to it.

    Parameters
    ----------
    host
        What its place in the host's order is worth.
    click, conversion
        What the trees say.
    everyone, market, you
        What clicks say beyond the trees, by level.
    features
        The features that count most in the trees, with their values.
    """

    host: float
    click: float
    conversion: float
    everyone: float
    market: float
    you: float
    features: tuple[tuple[str, float], ...] = ()

    @property
    def total(self) -> float:
        """The score."""
        return self.host + self.click + self.conversion + self.everyone + self.market + self.you


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """Candidates of a query in a better order.

    Parameters
    ----------
    scores
        Of the candidates as they were given, shape ``(n,)``.
    order
        Places of the candidates as they were given, best first, shape ``(n,)``.
    propensities
        How likely each of `order` came to stand where it stands, shape ``(n,)``: 1 without
        exploration.
    reasons
        For each candidate as it was given, if asked for.
    version
        The trunk that was asked, empty without one.
    """

    scores: NDArray[np.float64]
    order: NDArray[np.int64]
    propensities: NDArray[np.float64]
    reasons: tuple[Reason, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of events given as feedback.

    Parameters
    ----------
    n_new, n_same
        Events that are in the journal now, and that were there before.
    """

    n_new: int
    n_same: int
