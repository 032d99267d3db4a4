"""Two rankings shown as one, so that clicks say which of them people like better."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError

__all__ = ["Draft", "Preference", "preference", "team_draft"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A ranking put together from two.

    Parameters
    ----------
    order
        Candidates, first ones first, shape ``(n,)``.
    team
        Which ranking put each there, 0 or 1, shape ``(n,)``.
    """

    order: NDArray[np.int64]
    team: NDArray[np.int8]

    def credit(self, clicked: Iterable[int]) -> int:
        """Return 1, -1 or 0: clicks were mostly on the first ranking's, the second's, or even.

        Parameters
        ----------
        clicked
            Candidates.
        """
        teams = self.team[np.isin(self.order, list(clicked))]
        return int(np.sign(np.sum(teams == 0) - np.sum(teams == 1)))


def team_draft(first: Sequence[int], second: Sequence[int], rng: np.random.Generator) -> Draft:
    """Let two rankings take turns, who begins drawn anew each time, and each put its best left.

    Parameters
    ----------
    first, second
        The same candidates in two orders.
    rng
        What is drawn from.

    Raises
    ------
    DataError
        If they are not the same candidates.

    References
    ----------
    Radlinski, Kurup and Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", 2008.

    Examples
    --------
    >>> draft = team_draft([0, 1, 2], [2, 1, 0], np.random.default_rng(0))
    >>> draft.order.tolist(), draft.team.tolist()
    ([2, 0, 1], [1, 0, 1])
    """
    if sorted(first) != sorted(second) or len(set(first)) != len(first):
        raise DataError("two rankings must be of the same candidates, each once")
    rankings = (list(first), list(second))
    taken: set[int] = set()
    order: list[int] = []
    team: list[int] = []
    places = [0, 0]
    while len(order) < len(first):
        begins = int(rng.integers(2))
        for side in (begins, 1 - begins):
            if len(order) == len(first):
                break
            while rankings[side][places[side]] in taken:
                places[side] += 1
            best = rankings[side][places[side]]
            taken.add(best)
            order.append(best)
            team.append(side)
    return Draft(np.array(order, np.int64), np.array(team, np.int8))


@dataclass(frozen=True, slots=True)
class Preference:
    """How often each of two rankings won.

    Parameters
    ----------
    n_first, n_second, n_even
        Requests.
    p_value
        How likely a difference as large would be if people had no preference: the two-sided sign
        test.
    """

    n_first: int
    n_second: int
    n_even: int
    p_value: float

    @property
    def delta(self) -> float:
        """Share of the first's wins among all, less a half; ties count half to each side."""
        n = self.n_first + self.n_second + self.n_even
        return (self.n_first + 0.5 * self.n_even) / n - 0.5 if n else 0.0


def preference(credits_: Iterable[int]) -> Preference:
    """Sum up what `Draft.credit` said of many requests.

    Examples
    --------
    >>> preference([1, 1, 1, 0, 1, 1, 1, 1, -1]).p_value
    0.0703125
    """
    given = list(credits_)
    wins, losses = given.count(1), given.count(-1)
    n, most = wins + losses, max(wins, losses)
    tail = sum(comb(n, k) for k in range(most, n + 1)) / 2**n
    return Preference(wins, losses, given.count(0), min(1.0, 2.0 * tail))
