"""Growing trees: the only place where LightGBM is imported, and only when asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError

if TYPE_CHECKING:
    import lightgbm

__all__ = ["Growth", "Lesson", "Recipe", "grow"]

_MAX_GRADE = 30
_MAX_CATEGORY = 1 << 24
_MAX_QUERY_ROWS = 10_000
_CUTOFF = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Queries whose candidates have grades, those of one query together.

    Parameters
    ----------
    values
        Features, NaN where missing, shape ``(n, n_features)``, float32 or float64.
    sizes
        Candidates of each query, shape ``(n_queries,)``.
    grades
        Whole numbers from 0 to 30, shape ``(n,)``.
    base
        Scores on top of which trees are grown, shape ``(n,)``; None: from nought.
    position
        Place at which the host showed each, -1 where not known; None: not to be looked at.
    weight
        How much each query counts; None: all alike.
    """

    values: NDArray[np.floating]
    sizes: NDArray[np.int64]
    grades: NDArray[np.floating]
    base: NDArray[np.float64] | None = None
    position: NDArray[np.int32] | None = None
    weight: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, queries: NDArray[np.bool_]) -> "Lesson":
        """Return the queries that are marked."""
        marked = np.flatnonzero(np.repeat(queries, self.sizes))
        rows: NDArray[np.int64] | slice = marked
        if marked.size and marked[-1] - marked[0] + 1 == marked.size:
            rows = slice(int(marked[0]), int(marked[-1]) + 1)  # what stands together is not copied
        return Lesson(
            values=self.values[rows],
            sizes=self.sizes[queries],
            grades=self.grades[rows],
            base=None if self.base is None else self.base[rows],
            position=None if self.position is None else self.position[rows],
            weight=None if self.weight is None else self.weight[queries],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How trees are grown; `docs/configuration.md` has the meaning of each.

    Parameters
    ----------
    monotone
        For each feature 1, 0 or -1; empty: none.
    categorical
        Columns that hold numbers of categories.
    position_regularization
        Only used where the lesson has positions.
    """

    rounds: int
    learning_rate: float
    leaves: int
    min_leaf_rows: int
    column_share: float
    l2: float
    patience: int
    threads: int
    seed: int
    position_regularization: float = 0.0
    monotone: tuple[int, ...] = ()
    categorical: tuple[int, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """Return LightGBM's parameters."""
        found: dict[str, Any] = {
            "objective": "lambdarank",
            "metric": "ndcg",
            "eval_at": [_CUTOFF],
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_leaf_rows,
            "feature_fraction": self.column_share,
            "lambda_l2": self.l2,
            "num_threads": self.threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,  # the other way is chosen by a clock, which is not repeatable
            "verbosity": -1,
            "label_gain": [2**grade - 1 for grade in range(_MAX_GRADE + 1)],
            "lambdarank_position_bias_regularization": self.position_regularization,
        }
        if any(self.monotone):
            found["monotone_constraints"] = list(self.monotone)
        return found | dict(self.more)


@dataclass(frozen=True, slots=True)
class Growth:
    """Trees that were grown.

    Parameters
    ----------
    text
        LightGBM's model text, which has the trees that helped only.
    n_rounds
        How many those are.
    gain
        How much each feature gained in all.
    """

    text: str
    n_rounds: int
    gain: NDArray[np.float64]


def grow(lesson: Lesson, recipe: Recipe, validation: Lesson | None = None) -> Growth:
    """Grow trees that put higher grades first.

    Parameters
    ----------
    lesson
        What to learn from.
    recipe
        How.
    validation
        Queries that tell when to stop; None: never before all rounds are done.

    Returns
    -------
    Growth
        The same for the same input, seed and number of threads.

    Raises
    ------
    DataError
        If grades, sizes or categories are outside what LightGBM bears.
    """
    import lightgbm  # noqa: PLC0415 - imported late: who only serves does without it

    _insist(lesson, recipe)
    train = _dataset(lesson, recipe, None)
    callbacks: list[Callable[..., Any]] = []
    sets = []
    if validation is not None:
        _insist(validation, recipe)
        sets = [_dataset(validation, recipe, train)]
        callbacks = [lightgbm.early_stopping(recipe.patience, verbose=False)]
    booster = lightgbm.train(
        recipe.parameters(), train, recipe.rounds, valid_sets=sets, callbacks=callbacks
    )
    n_rounds = booster.best_iteration if validation is not None else booster.current_iteration()
    text = booster.model_to_string(num_iteration=n_rounds)
    gain = booster.feature_importance("gain", iteration=n_rounds)
    return Growth(text, n_rounds, np.asarray(gain, np.float64))


def _dataset(
    lesson: Lesson,
    recipe: Recipe,
    reference: "lightgbm.Dataset | None",
) -> "lightgbm.Dataset":
    from lightgbm import Dataset  # noqa: PLC0415 - as above

    position = lesson.position
    if position is not None and reference is None:
        # What is not known has a place of its own.
        position = np.where(position < 0, position.max(initial=0) + 1, position)
    return Dataset(
        np.ascontiguousarray(lesson.values),
        label=lesson.grades,
        group=lesson.sizes,
        weight=None if lesson.weight is None else np.repeat(lesson.weight, lesson.sizes),
        init_score=lesson.base,
        position=position if reference is None else None,
        reference=reference,
        categorical_feature=list(recipe.categorical),
        params={
            "verbosity": -1,
            "num_threads": recipe.threads,
            "min_data_in_leaf": recipe.min_leaf_rows,
            **dict(recipe.more),
        },
        free_raw_data=True,
    )


def _insist(lesson: Lesson, recipe: Recipe) -> None:
    """Refuse what LightGBM would end the process for, or take for something else."""
    values, sizes, grades = lesson.values, lesson.sizes, lesson.grades
    if values.ndim != 2 or int(sizes.sum()) != len(values) or len(grades) != len(values):  # noqa: PLR2004 - rows and columns
        raise DataError(
            f"{len(grades)} grades and queries of {int(sizes.sum())} candidates do not fit "
            f"features of shape {values.shape}"
        )
    if len(values) == 0:
        raise DataError("there is no query to learn from")
    if int(sizes.max()) > _MAX_QUERY_ROWS:
        raise DataError(
            f"a query has {int(sizes.max())} candidates; at most {_MAX_QUERY_ROWS} can be learnt"
        )
    if not np.all((grades >= 0) & (grades <= _MAX_GRADE) & (grades == np.floor(grades))):
        raise DataError(f"grades must be whole numbers from 0 to {_MAX_GRADE}")
    for column in recipe.categorical:
        highest = np.nanmax(values[:, column], initial=0)
        if highest > _MAX_CATEGORY:
            raise DataError(
                f"column {column} has category {highest:.0f}; at most {_MAX_CATEGORY} are allowed"
            )
