"""Numbers of a ranking's candidates in one block, each row of which is a candidate's fields."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from mtspam.search.events import FieldValue

__all__ = ["BlockFields"]


class BlockFields(Mapping[str, FieldValue]):
    """One row of a block of numbers as a mapping, and what the candidate has beside them.

    Parameters
    ----------
    places
        The column of each name; one object for all rows of a ranking.
    block
        The numbers of the ranking, shape ``(n_candidates, n_names)``; NaN where there is none.
    row
        Which row.
    rest
        Fields that are no numbers, or not of all candidates.
    """

    __slots__ = ("block", "places", "rest", "row")

    def __init__(
        self,
        places: Mapping[str, int],
        block: NDArray[np.float64],
        row: int,
        rest: Mapping[str, FieldValue],
    ) -> None:
        self.places = places
        self.block = block
        self.row = row
        self.rest = rest

    def __getitem__(self, name: str) -> FieldValue:
        place = self.places.get(name)
        return self.rest[name] if place is None else float(self.block[self.row, place])

    def __iter__(self) -> Iterator[str]:
        yield from self.places
        yield from self.rest

    def __len__(self) -> int:
        return len(self.places) + len(self.rest)
