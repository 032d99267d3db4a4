"""The racers of the speed benchmark: each learns and scores the same folders of raw messages."""

import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from candidate import MTSPAM
from peers import BOGOFILTER, VW_OPTIONS, sgd_classifier, text_of, vectoriser, vw_features
from streams import Message
from timing import run_process

__all__ = [
    "Folders",
    "Racer",
    "bogofilter_racer",
    "library_folder",
    "library_learner",
    "library_scorer",
    "mtspam_racer",
    "sgd_racer",
    "vw_racer",
]

_BLOCK = 512
"""Messages that the racers from Python take at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The corpus as files: one folder a label, one file a message.

    Parameters
    ----------
    spam, ham
        The folders.
    n
        How many messages there are in both.
    """

    spam: Path
    ham: Path
    n: int

    @classmethod
    def write(cls, root: Path, stream: Sequence[Message]) -> "Folders":
        """Write the messages under a new folder."""
        made = cls(spam=root / "spam", ham=root / "ham", n=len(stream))
        for folder in (made.spam, made.ham):
            folder.mkdir(parents=True)
        for i, message in enumerate(stream):
            folder = made.spam if message.is_spam else made.ham
            (folder / f"{i:06d}.eml").write_bytes(message.raw)
        return made

    def read(self) -> list[tuple[bytes, int]]:
        """Read every message with its label, spam is 1."""
        return [
            (path.read_bytes(), label)
            for folder, label in ((self.spam, 1), (self.ham, 0))
            for path in sorted(folder.iterdir())
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Racer:
    """How one filter learns and scores folders; state is kept in a folder or in the racer.

    Parameters
    ----------
    name
        As in the table.
    learn
        Begins anew and learns all messages.
    score
        Reads and scores all messages.
    is_process
        Whether each call starts a process, so that its start counts.
    """

    name: str
    learn: Callable[[Folders], object]
    score: Callable[[Folders], object]
    is_process: bool


def _empty(state: Path) -> None:
    state.mkdir(exist_ok=True)
    for path in state.iterdir():
        path.unlink()


def bogofilter_racer(state: Path) -> Racer:
    """Make a racer of bogofilter in bulk mode (``-B``)."""
    base = (BOGOFILTER, "-C", "-d", str(state))

    def learn(folders: Folders) -> None:
        _empty(state)
        run_process([*base, "-s", "-B", str(folders.spam)])
        run_process([*base, "-n", "-B", str(folders.ham)])

    def score(folders: Folders) -> None:
        run_process([*base, "-T", "-B", str(folders.spam), str(folders.ham)], fine=(0, 1, 2))

    return Racer(name="bogofilter -B", learn=learn, score=score, is_process=True)


def mtspam_racer(state: Path, output: Path) -> Racer:
    """Make a racer of the command line of mtspam, one job, verdicts written to a table."""
    environment = {"MTSPAM_STATE": str(state)}

    def learn(folders: Folders) -> None:
        _empty(state)
        for label, folder in (("spam", folders.spam), ("ham", folders.ham)):
            run_process([*MTSPAM, "learn", label, str(folder)], environment=environment)

    def score(folders: Folders) -> None:
        arguments = ["--jobs", "1", "--output", str(output)]
        paths = [str(folders.spam), str(folders.ham)]
        run_process([*MTSPAM, "score", *paths, *arguments], environment=environment)

    return Racer(name="mtspam, command line", learn=learn, score=score, is_process=True)


class _Judge(AbstractContextManager["_Judge"], Protocol):
    def judge_many(self, raws: Sequence[bytes]) -> object:
        """Judge some messages."""

    def learn_many(self, messages: Iterable[object]) -> object:
        """Learn labelled messages."""

    def fold(self) -> object:
        """Build the model again from the journal."""


class _Opens(Protocol):
    def open(self, state: Path) -> _Judge:
        """Open a state directory."""


def library_scorer(state: Path) -> Callable[[Folders], object] | None:
    """Make a scorer of mtspam's library in this process, or None where it cannot be imported."""
    try:
        module = importlib.import_module("mtspam.spam")
    except ImportError:
        return None
    judge = cast("_Opens", module.SpamFilter).open(state)

    def score(folders: Folders) -> None:
        messages = folders.read()
        for start in range(0, len(messages), _BLOCK):
            judge.judge_many([raw for raw, _ in messages[start : start + _BLOCK]])

    return score


def library_learner(state: Path) -> Callable[[Folders], float] | None:
    """Make what learns in this process, beginning anew, or None where mtspam cannot be imported.

    It returns the seconds from the first file that is read to the label that is on the disk.
    """
    try:
        module = importlib.import_module("mtspam.spam")
        records = importlib.import_module("mtspam.spam.records")
        types = importlib.import_module("mtspam.types")
    except ImportError:
        return None
    labels = types.Label.HAM, types.Label.SPAM

    def learn(folders: Folders) -> float:
        _empty(state)
        with cast("_Opens", module.SpamFilter).open(state) as opened:
            start = time.perf_counter()
            said = (
                records.LabelledMessage(raw, labels[is_spam]) for raw, is_spam in folders.read()
            )
            opened.learn_many(said)
            return time.perf_counter() - start

    return learn


def library_folder(state: Path) -> Callable[[], object] | None:
    """Make what folds a state in this process, or None where mtspam cannot be imported."""
    try:
        module = importlib.import_module("mtspam.spam")
    except ImportError:
        return None
    return cast("_Opens", module.SpamFilter).open(state).fold


def sgd_racer() -> Racer:
    """Make a racer of scikit-learn: words and pairs hashed, online logistic regression."""
    hashing = vectoriser("words")
    model = sgd_classifier()

    def blocks(folders: Folders) -> list[list[tuple[bytes, int]]]:
        messages = folders.read()
        return [messages[i : i + _BLOCK] for i in range(0, len(messages), _BLOCK)]

    def learn(folders: Folders) -> None:
        for block in blocks(folders):
            rows = hashing.transform([text_of(raw) for raw, _ in block])
            model.partial_fit(rows, [label for _, label in block], classes=[0, 1])

    def score(folders: Folders) -> None:
        for block in blocks(folders):
            model.decision_function(hashing.transform([text_of(raw) for raw, _ in block]))

    return Racer(
        name=f"scikit-learn, words, blocks of {_BLOCK}", learn=learn, score=score, is_process=False
    )


def vw_racer() -> Racer:
    """Make a racer of Vowpal Wabbit from Python: words and pairs, one message at a time."""
    from vowpalwabbit import Workspace

    model = Workspace(VW_OPTIONS)

    def learn(folders: Folders) -> None:
        for raw, label in folders.read():
            model.learn(f"{1 if label else -1} {vw_features(raw)}")

    def score(folders: Folders) -> None:
        for raw, _ in folders.read():
            model.predict(vw_features(raw))

    return Racer(name="Vowpal Wabbit, from Python", learn=learn, score=score, is_process=False)
