"""From a table of candidates to a trunk: shared trees, markets' trees, click before conversion."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtspam.config import RankingSettings
from mtspam.errors import DataError
from mtspam.model.forest import Forest
from mtspam.model.growing import Lesson, Recipe, grow
from mtspam.model.trunk import (
    CLICK,
    CONVERSION,
    CONVERSION_ALONE,
    SHARED,
    Codes,
    Trunk,
    encoded,
    monotone_directions,
    with_margin,
)
from mtspam.search.features import FeatureTable

__all__ = ["Trained", "train_both", "train_trunk"]

_LEAST_VALIDATION = 20
"""Queries that can tell whether a tree helped; with fewer, all rounds that are due are grown."""
_ENOUGH_VALIDATION = 150
"""As many are set aside even where that is more than the share asked for, but half at most."""

_N_FOLDS = 5
"""Parts of the queries that take turns in not being seen by the trees of their click margins."""

_Texts = dict[tuple[str, int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One task while it is learnt: the queries that teach it, and which of them came last."""

    name: str
    lesson: Lesson
    market: NDArray[np.int32]
    is_last: NDArray[np.bool_]
    recipe: Recipe

    def take(self, queries: NDArray[np.bool_]) -> "_Task":
        """Return the task with the queries that are marked."""
        return replace(
            self,
            lesson=self.lesson.take(queries),
            market=self.market[queries],
            is_last=self.is_last[queries],
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """Trees that were grown, and how they were before the latest queries taught them, too.

    Parameters
    ----------
    trunk
        To be served.
    early
        Grown without the latest queries: what it says of these is honest.
    n_unseen
        How many queries those are, with those that taught nothing among them.
    """

    trunk: Trunk
    early: Trunk
    n_unseen: int


@dataclass(frozen=True, slots=True)
class _Grown:
    """Model texts of a task, before and after the latest queries were added."""

    early: _Texts
    final: _Texts
    gain: NDArray[np.float64]
    n_rounds: int


def train_trunk(table: FeatureTable, settings: RankingSettings | None = None) -> Trunk:
    """Grow a trunk from graded candidates.

    Parameters
    ----------
    table
        Queries in any order; those whose candidates all have one grade, or an unknown one, teach
        nothing and are left out.
    settings
        None: the defaults.

    Returns
    -------
    Trunk
        The same for the same table, settings and number of threads.

    Raises
    ------
    DataError
        If no query has candidates of different grades, or a grade or category is out of range.
    """
    return train_both(table, settings or RankingSettings()).trunk


def train_both(table: FeatureTable, settings: RankingSettings) -> Trained:
    """Grow a trunk, and keep what it was before the latest queries.

    Raises
    ------
    DataError
        If no query has candidates of different grades, or a grade or category is out of range.
    """
    categorical = tuple(table.columns.index(name) for name in table.categorical)
    codes = {place: Codes.of(table.values[:, place]) for place in categorical}
    values = encoded(table.values, codes)
    recipe = _recipe(table, settings, categorical)
    teaching = _teaching(table.click, table)
    if not teaching.any():
        raise DataError("no query has candidates of different grades: there is nothing to learn")
    click = _task(CLICK, table, values, recipe, settings)
    grown = _grown(click, settings)
    early, final = dict(grown.early), dict(grown.final)
    if _teaching(table.conversion, table).any():
        margin = _honest_margin(click, teaching, values, table, grown.n_rounds)
        # Who is likelier to click is likelier to convert.
        second = replace(recipe, monotone=(*recipe.monotone, 1))
        wider = with_margin(values, margin)
        for task in (
            _task(CONVERSION, table, wider, second, settings),
            _task(CONVERSION_ALONE, table, values, recipe, settings),
        ):
            more = _grown(task, settings)
            early, final = early | more.early, final | more.final
    made, early_made = (
        Trunk(
            columns=table.columns,
            markets=table.markets,
            forests={name: Forest.from_text(text) for name, text in texts.items()},
            codes=codes,
            texts=texts,
            gain=grown.gain,
        )
        for texts in (final, early)
    )
    return Trained(made, early_made, _n_unseen(click, teaching, table))


def _recipe(
    table: FeatureTable, settings: RankingSettings, categorical: tuple[int, ...]
) -> Recipe:
    return Recipe(
        rounds=settings.rounds,
        learning_rate=settings.learning_rate,
        leaves=settings.leaves,
        min_leaf_rows=settings.min_leaf_rows,
        column_share=settings.column_share,
        l2=settings.l2,
        patience=settings.patience,
        threads=settings.threads,
        seed=settings.seed,
        position_regularization=settings.position_regularization,
        monotone=monotone_directions(
            table.columns, settings.increasing.split(), settings.decreasing.split()
        ),
        categorical=categorical,
    )


def _teaching(grades: NDArray[np.float32], table: FeatureTable) -> NDArray[np.bool_]:
    """Mark the queries whose candidates have different grades, all of them known."""
    found = np.zeros(table.n_queries, np.bool_)
    filled = table.sizes > 0
    if filled.any():
        starts = table.offsets[:-1][filled]
        low, high = np.minimum.reduceat(grades, starts), np.maximum.reduceat(grades, starts)
        found[filled] = high > low  # false where one is not known
    return found


def _task(
    name: str,
    table: FeatureTable,
    values: NDArray[np.floating],
    recipe: Recipe,
    settings: RankingSettings,
) -> _Task:
    grades = table.click if name == CLICK else table.conversion
    whole = Lesson(
        values=values,
        sizes=table.sizes,
        grades=grades,
        position=table.position if settings.unbiased else None,
        weight=table.weight if table.weight.size else None,
    )
    teaching = _teaching(grades, table)
    time = table.time[teaching]
    n_last = _n_last(time.size, settings.validation_share)
    is_last = np.zeros(time.size, np.bool_)
    is_last[np.argsort(time, kind="stable")[time.size - n_last :]] = True
    return _Task(
        name=name,
        lesson=whole.take(teaching),
        market=table.market[teaching],
        is_last=is_last,
        recipe=recipe,
    )


def _n_last(n: int, share: float) -> int:
    """Return how many of the queries that teach are set aside, the latest ones."""
    if share == 0.0:
        return 0
    n_last = max(round(share * n), min(_ENOUGH_VALIDATION, n // 2))
    return n_last if n_last >= _LEAST_VALIDATION else 0


def _n_unseen(click: _Task, teaching: NDArray[np.bool_], table: FeatureTable) -> int:
    """Return how many queries stand by time from the first one on that was set aside."""
    is_last = np.zeros(table.n_queries, np.bool_)
    is_last[np.flatnonzero(teaching)[click.is_last]] = True
    marked = np.flatnonzero(is_last[np.argsort(table.time, kind="stable")])
    return table.n_queries - int(marked[0]) if marked.size else 0


def _grown(task: _Task, settings: RankingSettings) -> _Grown:
    """Grow shared trees and markets' trees; stop when the latest queries gain no more."""
    lesson, recipe, last = task.lesson, task.recipe, task.is_last
    stops = bool(last.any())
    growth = grow(lesson.take(~last), recipe, lesson.take(last)) if stops else grow(lesson, recipe)
    markets, rounds = _grown_markets(task, growth.text, settings, {})
    early = {(task.name, SHARED): growth.text, **markets}
    n_rounds = growth.n_rounds
    if not stops or len(lesson.values) > settings.refit_rows:
        return _Grown(early, early, growth.gain, n_rounds)
    growth = grow(lesson, replace(recipe, rounds=n_rounds))
    whole = replace(task, is_last=np.zeros_like(last))
    markets, _ = _grown_markets(whole, growth.text, settings, rounds)
    return _Grown(early, {(task.name, SHARED): growth.text, **markets}, growth.gain, n_rounds)


def _grown_markets(
    task: _Task, shared: str, settings: RankingSettings, rounds: dict[int, int]
) -> tuple[_Texts, dict[int, int]]:
    """Grow each market's trees on top of the shared ones.

    Parameters
    ----------
    rounds
        How many helped when that was last tried; a market that is not in it has as many as the
        settings allow.
    """
    texts: _Texts = {}
    found: dict[int, int] = {}
    places, counts = np.unique(task.market[task.market >= 0], return_counts=True)
    large = places[counts >= settings.market_queries].tolist()
    if len(places) < 2 or settings.market_rounds == 0:  # noqa: PLR2004 - one market is everybody
        return texts, found
    forest = Forest.from_text(shared)
    for place in large:
        own = task.take(task.market == place)
        base = forest.predict(own.lesson.values)
        lesson = replace(own.lesson, base=base)
        recipe = replace(
            task.recipe,
            rounds=rounds.get(place, settings.market_rounds),
            leaves=settings.market_leaves,
        )
        stops = int(own.is_last.sum()) >= _LEAST_VALIDATION and not own.is_last.all()
        growth = (
            grow(lesson.take(~own.is_last), recipe, lesson.take(own.is_last))
            if stops
            else grow(lesson, recipe)
        )
        texts[task.name, place] = growth.text
        found[place] = growth.n_rounds
    return texts, found


def _honest_margin(
    click: _Task,
    teaching: NDArray[np.bool_],
    values: NDArray[np.floating],
    table: FeatureTable,
    n_rounds: int,
) -> NDArray[np.float64]:
    """Return click margins of all rows, each by trees that have not seen its query.

    Trees remember what they learnt from; a conversion model that trusts their memory is led astray
    by the margins of queries that they have not seen.
    """
    recipe = replace(click.recipe, rounds=n_rounds)
    rng = np.random.default_rng(click.recipe.seed)
    fold = rng.permutation(np.arange(table.n_queries) % _N_FOLDS)
    margin = np.zeros(table.n_rows)
    for number in range(_N_FOLDS):
        others = fold[teaching] != number
        if not others.any():
            continue
        forest = Forest.from_text(grow(click.lesson.take(others), recipe).text)
        rows = np.repeat(fold == number, table.sizes)
        margin[rows] = forest.predict(values[rows])
    return margin
