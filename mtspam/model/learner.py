"""The hierarchical multi-task learner: state, one face for one message and for many."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mtspam.config import ModelSettings
from mtspam.errors import ModelError
from mtspam.kernels import learning
from mtspam.model.batch import NO_GROUP, NO_LABEL, NO_USER, Batch, Keys, Scores
from mtspam.model.checks import check_arrays, check_batch
from mtspam.model.columns import columns_of
from mtspam.model.merging import merge_registers, merge_tables
from mtspam.model.rates import rates_of
from mtspam.model.register import Register
from mtspam.model.replay import REPLAY_ARRAYS, Replay, Rows, interleaved
from mtspam.types import Example, Features, GroupKey, UserKey

__all__ = ["Learner"]

N_PERSONAL_VIEWS = 3  # the last views of an example have group and personal weights
N_STATE = 8
N_HEADS = 2
_TABLES = (
    "shared_weights",
    "shared_squares",
    "personal_weights",
    "group_weights",
    "head_weights",
    "head_squares",
)


class Learner:
    """Weights that all share, weights of groups and of users, and what combines them.

    Parameters
    ----------
    settings
        Sizes and rates.
    n_views
        Views of an example.

    Examples
    --------
    >>> learner = Learner(ModelSettings(shared_bits=10, personal_bits=10), n_views=1)
    >>> spam = Example((np.array([1, 2, 3], np.uint32),))
    >>> learner.learn_one(spam, 1)
    >>> bool(learner.predict_one(spam).blend[0] > 0)
    True
    """

    def __init__(self, settings: ModelSettings, n_views: int) -> None:
        n_personal = min(N_PERSONAL_VIEWS, n_views)
        shape = (n_views, 1 << settings.shared_bits)
        personal = 1 << settings.personal_bits
        heads = (N_HEADS, 1 << settings.auxiliary_bits)
        self._take(
            settings,
            {
                "shared_weights": np.zeros(shape, np.float32),
                "shared_squares": np.zeros(shape, np.float32),
                "personal_weights": np.zeros((n_personal, personal), np.float32),
                "group_weights": np.zeros((n_personal, 1 << settings.group_bits), np.float32),
                "head_weights": np.zeros(heads, np.float32),
                "head_squares": np.zeros(heads, np.float32),
                "combiner": _first_combiner(settings, n_views),
                "state": _first_state(settings),
                **Replay(0, 0.0, 1.0).arrays(),
            },
            Register.empty(settings.max_users),
            Register.empty(settings.max_groups),
        )

    def _take(
        self,
        settings: ModelSettings,
        arrays: Mapping[str, NDArray[Any]],
        users: Register,
        groups: Register,
    ) -> None:
        self.settings = settings
        self._rates = rates_of(settings)
        weights, squares, personal, group, heads, head_squares = (arrays[name] for name in _TABLES)
        self._tables = (weights, squares, personal, group, heads, head_squares)
        self._combiner = arrays["combiner"]
        self._state = arrays["state"]
        self.users = users
        self.groups = groups
        self._replay: Replay | None = None
        self._replay_arrays = {name: arrays[name] for name in REPLAY_ARRAYS}
        n_views = self._tables[0].shape[0]
        lead = n_views - self._tables[2].shape[0]
        self._personal_row = np.array([max(view - lead, -1) for view in range(n_views)], np.int64)
        self._check()

    def _check(self) -> None:
        n_views, n_personal = self.n_views, min(N_PERSONAL_VIEWS, self.n_views)
        rows = (n_views, n_views, n_personal, n_personal, N_HEADS, N_HEADS)
        check_arrays(
            dict(zip(_TABLES, zip(self._tables, rows, strict=True), strict=True)),
            {
                "combiner": (self._combiner, (2, n_views + 3)),
                "state": (self._state, (N_STATE,)),
            },
        )
        for at in (0, 4):
            if self._tables[at].shape != self._tables[at + 1].shape:
                raise ModelError(f"{_TABLES[at]} and {_TABLES[at + 1]} differ in shape")

    @property
    def n_views(self) -> int:
        """Views of an example."""
        return int(self._tables[0].shape[0])

    @property
    def n_labels(self) -> float:
        """Labels of the main kind learnt, those taken for mistakes left out."""
        return float(self._state[learning.S_HAM] + self._state[learning.S_SPAM])

    @property
    def n_events(self) -> int:
        """Labels of any kind given."""
        return int(self._state[learning.S_EVENTS])

    @property
    def starter_share(self) -> float:
        """How far the starter model is heard: 1 before the first label, 0 once it is silent."""
        silent_after = self.settings.starter_labels
        return 1.0 - self.n_labels / silent_after if self.n_labels < silent_after else 0.0

    @property
    def noise(self) -> float:
        """Estimated share of labels that are mistakes."""
        return float(self._state[learning.S_NOISE])

    def evidence(self, user: UserKey) -> float:
        """How far a user's own level is trusted: from 0, without labels, towards 1."""
        n = self.users.n_labels(user)
        return n / (n + self.settings.evidence_labels) if n else 0.0

    @property
    def mixing_weights(self) -> NDArray[np.float64]:
        """Weights of the views, the starter and the two heads, shape ``(n_views + 3,)``."""
        weights: NDArray[np.float64] = self._combiner[0].copy()
        return weights

    # What is kept and brought back.

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the whole state by name; the arrays are the learner's own."""
        return {
            **self.weights(),
            **(self._replay_arrays if self._replay is None else self._replay.arrays()),
            "combiner": self._combiner,
            "state": self._state,
            "user_keys": self.users.keys[: len(self.users)],
            "user_figures": self.users.figures[: len(self.users)],
            "group_keys": self.groups.keys[: len(self.groups)],
            "group_figures": self.groups.figures[: len(self.groups)],
        }

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the tables by name; they are the learner's own."""
        return dict(zip(_TABLES, self._tables, strict=True))

    @classmethod
    def from_arrays(cls, settings: ModelSettings, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Bring back a learner from what :meth:`arrays` gave.

        Raises
        ------
        ModelError
            Where an array is missing or does not fit.
        """
        learner = cls.__new__(cls)
        registers = []
        for name, room in (("user", settings.max_users), ("group", settings.max_groups)):
            register = Register.empty(room)
            try:
                keys, figures = arrays[f"{name}_keys"], arrays[f"{name}_figures"]
                register.keys[: len(keys)] = keys
                register.figures[: len(figures)] = figures
            except (KeyError, ValueError) as error:
                raise ModelError(f"the {name} register does not fit: {error}") from None
            registers.append(Register(register.keys, register.figures, len(keys)))
        try:
            learner._take(settings, arrays, *registers)
        except KeyError as error:
            raise ModelError(f"the model lacks its array {error}") from None
        return learner

    def room(self) -> dict[str, NDArray[Any]]:
        """Return all that is read and written while judging and learning, by name.

        Unlike :meth:`arrays` this has the registers' free rows and not the memory of past
        messages: its shapes depend on the settings alone.
        """
        return {
            **self.weights(),
            "combiner": self._combiner,
            "state": self._state,
            "user_keys": self.users.keys,
            "user_figures": self.users.figures,
            "user_salts": self.users.salts,
            "group_keys": self.groups.keys,
            "group_figures": self.groups.figures,
            "group_salts": self.groups.salts,
        }

    @classmethod
    def over(
        cls,
        settings: ModelSettings,
        room: Mapping[str, NDArray[Any]],
        n_rows: tuple[int, int],
        memory: Mapping[str, NDArray[Any]] | None = None,
    ) -> Self:
        """Make a learner that works right in arrays, without a copy of anything.

        What one learns shows at once in all others over the same memory, which is meant for one
        that learns and others, in other processes, that only predict.

        Parameters
        ----------
        settings
            Those with which the arrays were laid out.
        room
            Arrays as :meth:`room` gives them.
        n_rows
            How many users and how many groups are known.
        memory
            What :meth:`arrays` gave of past messages; None: nothing is remembered.

        Raises
        ------
        ModelError
            Where an array is missing or does not fit.
        """
        learner = cls.__new__(cls)
        arrays = {**Replay(0, 0.0, 1.0).arrays(), **(memory or {}), **room}
        try:
            registers = [
                Register(
                    arrays[f"{name}_keys"], arrays[f"{name}_figures"], n, arrays[f"{name}_salts"]
                )
                for name, n in zip(("user", "group"), n_rows, strict=True)
            ]
            learner._take(settings, arrays, *registers)
        except KeyError as error:
            raise ModelError(f"the model lacks its array {error}") from None
        return learner

    def merge(self, other: "Learner") -> None:
        """Take in what another learner of equal settings learnt about other users.

        Shared weights are averaged by the mass of their accumulators; personal and group weights
        are added, since all labels of a user, and of a group, must have gone to one of the two.

        Raises
        ------
        ModelError
            Where the two differ in shape.

        References
        ----------
        A. Agarwal, O. Chapelle, M. Dudík, J. Langford, "A Reliable Effective Terascale Linear
        Learning System", JMLR 15 (2014), section 3: the weighted average.
        """
        first: dict[str, NDArray[Any]] = {
            "combiner": _first_combiner(self.settings, self.n_views),
            "state": _first_state(self.settings),
        }
        merge_tables(self.arrays(), other.arrays(), first)
        merge_registers(self.users, other.users)
        merge_registers(self.groups, other.groups)

    # What it says and learns.

    def predict_many(self, batch: Batch) -> Scores:
        """Score messages; nothing is learnt and nobody becomes known.

        Raises
        ------
        ModelError
            Where the batch does not fit the model: another number of views, lengths that differ.
        """
        check_batch(batch, self.n_views)
        return self._step(batch, is_learning=False)

    def learn_many(self, batch: Batch) -> Scores:
        """Score each message by what was learnt before it, then learn it where a value is told.

        Returns
        -------
        Scores
            Taken before each message's own label.

        Raises
        ------
        ModelError
            Where the batch does not fit the model: another number of views, lengths that differ.
        """
        check_batch(batch, self.n_views)
        if batch.values is not None:
            told = np.flatnonzero(batch.values != NO_LABEL).tolist()
            if batch.users is not None:
                self.users.admit([batch.users[i] for i in told])
            if batch.groups is not None:
                self.groups.admit([batch.groups[i] for i in told])
        return self._step(batch, is_learning=True)

    def predict_one(
        self, example: Example, user: UserKey = NO_USER, group: GroupKey = NO_GROUP
    ) -> Scores:
        """Score one example, as :meth:`predict_many` does."""
        block = Features.from_examples([example])
        return self.predict_many(Batch(features=block, users=[user], groups=[group]))

    def learn_one(
        self,
        example: Example,
        value: int,
        user: UserKey = NO_USER,
        group: GroupKey = NO_GROUP,
    ) -> None:
        """Learn one answer (1 spam, 0 ham) to the main question, as :meth:`learn_many` does."""
        values = np.array([value], np.int8)
        block = Features.from_examples([example])
        self.learn_many(Batch(features=block, users=[user], groups=[group], values=values))

    def _plan(self, batch: Batch, columns: learning.Batch) -> Rows | None:
        facts = columns[2]
        is_told = (facts[:, learning.B_VALUE] >= 0) & (facts[:, learning.B_KIND] == learning.MAIN)
        return self._memory().plan(batch, np.flatnonzero(is_told))

    def _memory(self) -> Replay:
        """Return what is remembered; taken from the arrays when it is first needed."""
        if self._replay is None:
            settings = self.settings
            self._replay = Replay(
                settings.replay_messages, settings.replay_share, settings.replay_memory
            )
            self._replay.restore(self._replay_arrays)
        return self._replay

    def _step(self, batch: Batch, *, is_learning: bool) -> Scores:
        n = len(batch)
        out = np.zeros((n, 8))
        if n:
            keys = Keys(self.users.rows(batch.users, n), self.groups.rows(batch.groups, n))
            columns = columns_of(batch, keys, is_learning=is_learning)
            rows = self._plan(batch, columns) if is_learning else None
            if rows is not None:
                columns = interleaved(columns, rows)
                out = np.zeros((len(rows.sources), 8))
            learning.step_messages(
                columns,
                self._tables,
                (self.users.salts, self.users.figures, self.groups.salts, self.groups.figures),
                (self._combiner, self._state),
                (self._rates, self._personal_row),
                out,
            )
            if rows is not None:
                out = out[rows.is_own]
        blend, shared, group, personal, phishing, bulk, starter, mistake = out.T
        return Scores(blend, shared, group, personal, phishing, bulk, starter, mistake)


def _first_combiner(settings: ModelSettings, n_views: int) -> NDArray[np.float64]:
    combiner: NDArray[np.float64] = np.zeros((2, n_views + 3))
    combiner[0, :n_views] = settings.mixing_weight
    combiner[0, n_views] = 1.0  # the starter mixes its views itself
    combiner[1] = 10.0  # as much as a hundred labels with margins of one: the prior is heard
    return combiner


def _first_state(settings: ModelSettings) -> NDArray[np.float64]:
    state: NDArray[np.float64] = np.zeros(N_STATE)
    state[learning.S_BIAS_G] = 1.0
    state[learning.S_NOISE] = settings.noise_prior
    return state
