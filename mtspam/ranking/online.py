"""Scoring and learning one ranking at a time: trees, personal part and guard together."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings
from mtspam.kernels.residual import add_click
from mtspam.model.trunk import Trunk
from mtspam.ranking.guard import NOBODYS_NEW_QUERY, STRANGER, Guard, bucket_of, host_prior
from mtspam.ranking.guardfitting import GuardLesson, fit_guard
from mtspam.ranking.memory import Memory
from mtspam.ranking.residual import LEVELS, CandidateHashes, Residual
from mtspam.search.events import Event, Interaction, RankingShown

__all__ = ["Look", "OnlineRanker", "Waiting"]

_FIRST_LEVEL = 3
_SHOWN_QUERY = "history shown query"
_MOST_IMAGINED = 1_000
"""Lessons beyond which none is imagined of a query that nobody asked: more tell no more."""


@dataclass(frozen=True, slots=True)
class Look:
    """A ranking as the learner sees it.

    Parameters
    ----------
    inputs
        What the guard mixes, a row for each candidate, shape ``(n, 6)``.
    mix
        The weight of each input, shape ``(6,)``.
    hashes, keys, bucket
        What the personal part and the guard need to learn from it.
    user_bucket
        Evidence of the user alone: what the personal part adds to is what everybody's queries
        have, be this one new or not.
    values
        The features that the trees saw; None without trees.
    """

    inputs: NDArray[np.float64]
    mix: NDArray[np.float64]
    hashes: CandidateHashes
    keys: NDArray[np.uint64]
    bucket: int
    user_bucket: int
    values: NDArray[np.float32] | None

    @property
    def scores(self) -> NDArray[np.float64]:
        """The score of each candidate."""
        scores: NDArray[np.float64] = self.inputs @ self.mix
        return scores

    def lesson(self, grades: NDArray[np.float64]) -> GuardLesson:
        """Return what it teaches, once it is known what the candidates are worth."""
        return GuardLesson(self.inputs, grades, self.bucket, self.user_bucket)


class OnlineRanker:
    """Scores rankings and learns from clicks.

    Parameters
    ----------
    settings
        Rates.
    memory
        What is known of documents and users.
    trunk
        The trees, if any were grown.
    truth
        What the candidates of some rankings turned out to be worth, by the ranking's id: `finish`
        fits the guard to these. None: it is taught as clicks come.
    """

    def __init__(
        self,
        settings: RankingSettings,
        memory: Memory,
        trunk: Trunk | None = None,
        *,
        truth: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> None:
        self._truth = truth
        self._lessons: list[GuardLesson] = []
        self._imagined: list[GuardLesson] = []
        self.memory = memory
        self.trunk = trunk
        self.residual = Residual(settings)
        self.guard = Guard(settings, has_trees=trunk is not None)
        self._n_trees = settings.residual_trees
        self._below = settings.below_click
        self._positive = {*settings.click_kinds.split(), *settings.conversion_kinds.split()}
        self._looks: OrderedDict[str, Waiting] = OrderedDict()
        self._early: OrderedDict[str, list[tuple[str, bool]]] = OrderedDict()
        self._most_looks = settings.pending_rankings

    def look(self, ranking: RankingShown) -> Look:
        """See a ranking with what is known now."""
        n = len(ranking.items)
        inputs = np.zeros((n, _FIRST_LEVEL + len(LEVELS)))
        inputs[:, 0] = host_prior(ranking.host_places)
        values: NDArray[np.float32] | None = None
        leaves: NDArray[np.int32] | None = None
        if self.trunk is not None and n:
            values = self.memory.values(ranking, self.trunk.columns)
            market = self.trunk.market_of(ranking.market)
            said = self.trunk.scores(values, market, n_leaf_trees=self._n_trees)
            inputs[:, 1] = said.click
            if said.conversion is not None:
                inputs[:, 2] = said.conversion
            leaves = said.leaves
        hashes = self.memory.hashes(ranking, leaves)
        keys = self.memory.level_keys(ranking)
        inputs[:, _FIRST_LEVEL:] = self.residual.margins(hashes, keys)
        n_deeds = self.memory.n_deeds(ranking.user) if ranking.user else 0
        bucket = bucket_of(n_deeds, is_new_query=self._is_new_query(ranking, values))
        mix = self.guard.mix(bucket)
        return Look(inputs, mix, hashes, keys, bucket, bucket_of(n_deeds), values)

    def _is_new_query(self, ranking: RankingShown, values: NDArray[np.float32] | None) -> bool:
        """Tell whether no candidate was ever shown for the query, where there is one."""
        if not ranking.query or values is None or self.trunk is None:
            return False
        columns = self.trunk.columns
        return _SHOWN_QUERY in columns and not values[:, columns.index(_SHOWN_QUERY)].any()

    def observe(self, event: Event, *, teaches_guard: bool = True) -> None:
        """Take an event into account; a click moves the personal part and the guard.

        Parameters
        ----------
        event
            In the order of time, as far as that can be; a click may come before its ranking.
        teaches_guard
            Whether the trees have not learnt from this event: if they have, what they say of it
            is no evidence of how far to trust them.
        """
        if isinstance(event, RankingShown) and event.items:
            # Seen before it counts as shown: as it was when it was ranked.
            look = replace(self.look(event), values=None)
            self._looks[event.id] = Waiting([one.item for one in event.items], look)
            if self._truth is not None and event.id in self._truth:
                grades = self._truth[event.id].astype(np.float64)
                self._lessons.append(look.lesson(grades))
                self._imagine(event, look, grades)
            if len(self._looks) > self._most_looks:
                self._teach_guard(self._looks.popitem(last=False)[1])
        elif isinstance(event, Interaction) and event.kind in self._positive:
            waiting = self._looks.get(event.ranking)
            if waiting is None and event.ranking:
                self._early.setdefault(event.ranking, []).append((event.item, teaches_guard))
                if len(self._early) > self._most_looks:
                    self._early.popitem(last=False)
            elif waiting is not None:
                self._learn(waiting, event.item, teaches_guard=teaches_guard)
        self.memory.observe(event)
        if isinstance(event, RankingShown):
            self._learn_early(event.id)

    def finish(self) -> None:
        """Let the guard learn from all rankings that still wait for clicks."""
        while self._looks:
            self._teach_guard(self._looks.popitem(last=False)[1])
        if self._truth is not None:
            fit_guard(self.guard, self._lessons, self._imagined)

    def _imagine(self, shown: RankingShown, look: Look, grades: NDArray[np.float64]) -> None:
        """Keep a lesson as it would have been for a stranger, and had nobody asked that before."""
        imagined = []
        if look.bucket not in {STRANGER, NOBODYS_NEW_QUERY}:
            imagined.append(replace(shown, user=""))
        is_known = bool(shown.query) and look.bucket < NOBODYS_NEW_QUERY
        if is_known and len(self._imagined) < _MOST_IMAGINED:
            # Its texts were compared with the query before; what was clicked for it is not known.
            new = f"{shown.query}\0"
            imagined += [replace(one, query=new) for one in (shown, *imagined)]
        self._imagined += [self.look(one).lesson(grades) for one in imagined]

    def _learn_early(self, ranking: str) -> None:
        """Learn the clicks that came before their ranking."""
        waiting = self._looks.get(ranking)
        if waiting is not None:
            for item, teaches_guard in self._early.pop(ranking, ()):
                self._learn(waiting, item, teaches_guard=teaches_guard)

    def _learn(self, waiting: "Waiting", item: str, *, teaches_guard: bool) -> None:
        if item not in waiting.names:
            return
        look, place = waiting.look, waiting.names.index(item)
        waiting.clicked.add(place)
        if teaches_guard:
            waiting.honest.add(place)
        inputs = look.inputs.copy()
        inputs[:, _FIRST_LEVEL:] = self.residual.margins(look.hashes, look.keys)
        push = np.zeros(len(inputs))
        scores = inputs @ self.guard.mix(look.user_bucket)
        add_click(scores, place, waiting.is_clicked, self._below, push)
        self.residual.step(look.hashes, look.keys, push)

    def _teach_guard(self, waiting: "Waiting") -> None:
        """Take a step for a ranking of which all clicks are in.

        Not with each click: people click from above, and what they click next is not yet known
        to be good when they click first, so that each click would speak for the host's order.
        """
        look = waiting.look
        if self._truth is not None:
            return
        push = np.zeros(len(look.inputs))
        scores = look.inputs @ self.guard.mix(look.bucket)
        for place in sorted(waiting.honest):
            # Every candidate counts alike: that the host's first ones are clicked most is just
            # what the weight of its order is to be learnt from.
            add_click(scores, place, waiting.is_clicked, 1.0, push)
        if waiting.honest:
            self.guard.step(look.inputs, look.bucket, push / len(waiting.honest))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A ranking that waits for clicks, as it was seen when it was shown.

    Parameters
    ----------
    clicked
        Places that were clicked.
    honest
        Those of them of which the trees did not know.
    """

    names: list[str]
    look: Look
    clicked: set[int] = field(default_factory=set)
    honest: set[int] = field(default_factory=set)

    @property
    def is_clicked(self) -> NDArray[np.bool_]:
        """Which candidates were clicked until now."""
        marks = np.zeros(len(self.names), np.bool_)
        marks[list(self.clicked)] = True
        return marks
