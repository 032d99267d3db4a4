"""Other filters on the same streams: each judges a message before it learns that message.

Every peer sees the raw bytes. Rates were picked on the SpamAssassin corpus in time order and are
the same for all corpora.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from streams import MailTask, Message

__all__ = [
    "BOGOFILTER",
    "CHARS_READ",
    "MAIL_PEERS",
    "VW_OPTIONS",
    "VW_TABLE_BITS",
    "Classifier",
    "Peer",
    "Rows",
    "Vectoriser",
    "one_a_user",
    "sgd_classifier",
    "text_of",
    "vectoriser",
    "vw_features",
]

BOGOFILTER = "bogofilter"
VW_TABLE_BITS = 22
VW_OPTIONS = f"--loss_function logistic -b {VW_TABLE_BITS} --adaptive -l 2 --random_seed 1 --quiet"

CHARS_READ = 3000
_SGD_BITS = 20
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A filter to compare with.

    Parameters
    ----------
    name
        As in the tables.
    rule
        How it was run.
    judge
        Gives the scores of the task's stream, shape ``(n,)``, each before that message is learnt.
    thresholds
        For each name of a row, the score at and above which this filter says spam.
    needs_users
        Whether it makes sense only where users are known.
    """

    name: str
    rule: str
    judge: Callable[[MailTask], NDArray[np.float64]]
    thresholds: tuple[tuple[str, float], ...] = (("", 0.0),)
    needs_users: bool = False


def text_of(raw: bytes) -> str:
    """Give the text that the peers from Python split: no decoding but byte to character."""
    return raw.decode("latin-1")


def _run_bogofilter(folder: Path, options: Sequence[str], stdin: bytes) -> bytes:
    # exit codes 0, 1 and 2 are verdicts, 3 is an error
    done = subprocess.run(
        [BOGOFILTER, "-C", "-d", str(folder), *options],
        input=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode not in {0, 1, 2}:
        raise RuntimeError(f"bogofilter {' '.join(options)}: {done.stderr.decode()}")
    return done.stdout


def _bogofilter_learns(folder: Path, message: Message) -> None:
    if message.has_feedback:
        _run_bogofilter(folder, ["-s" if message.said_spam else "-n"], message.raw)


def _judge_by_bogofilter(task: MailTask) -> NDArray[np.float64]:
    scores = np.zeros(len(task.stream))
    with tempfile.TemporaryDirectory() as name:
        for message in task.warm:
            _bogofilter_learns(Path(name), message)
        if not task.warm:
            # without a word list it refuses to judge: register an empty message and take it back
            _run_bogofilter(Path(name), ["-n"], b"")
            _run_bogofilter(Path(name), ["-N"], b"")
        for i, message in enumerate(task.stream):
            scores[i] = float(_run_bogofilter(Path(name), ["-TT"], message.raw))
            _bogofilter_learns(Path(name), message)
    return scores


class Rows(Protocol):
    """What scikit-learn makes of texts: a sparse matrix, one row a text."""

    def __getitem__(self, row: int) -> "Rows":
        """Give one row, as a matrix of one row."""


class Vectoriser(Protocol):
    """The part of scikit-learn's vectorisers that is used here."""

    def transform(self, texts: Sequence[str]) -> Rows:
        """Hash each text to a row."""


class Classifier(Protocol):
    """The part of scikit-learn's online classifiers that is used here."""

    def decision_function(self, rows: Rows) -> NDArray[np.float64]:
        """Give a score for each row."""

    def partial_fit(self, rows: Rows, labels: Sequence[int], *, classes: Sequence[int]) -> object:
        """Learn some rows."""


def vectoriser(unit: str) -> Vectoriser:
    """Make scikit-learn's hashing vectoriser for ``words`` (and pairs) or ``chars`` (4-grams)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    words = {"ngram_range": (1, 2)}
    chars = {
        "analyzer": "char",
        "ngram_range": (4, 4),
        "preprocessor": lambda text: text[:CHARS_READ],
    }
    made: Vectoriser = HashingVectorizer(
        n_features=2**_SGD_BITS,
        binary=True,
        alternate_sign=False,
        **(words if unit == "words" else chars),
    )
    return made


def sgd_classifier() -> Classifier:
    """Make scikit-learn's online logistic regression."""
    from sklearn.linear_model import SGDClassifier

    made: Classifier = SGDClassifier(
        loss="log_loss", penalty=None, learning_rate="constant", eta0=8.0, random_state=0
    )
    return made


def _judge_by_sgd(unit: str) -> Callable[[MailTask], NDArray[np.float64]]:
    def judge(task: MailTask) -> NDArray[np.float64]:
        messages = (*task.warm, *task.stream)
        rows = vectoriser(unit).transform([text_of(m.raw) for m in messages])
        model = sgd_classifier()
        scores = np.zeros(len(messages))
        is_fitted = False
        for i, message in enumerate(messages):
            if is_fitted and i >= len(task.warm):
                scores[i] = model.decision_function(rows[i])[0]
            if message.has_feedback:
                model.partial_fit(rows[i], [int(message.said_spam)], classes=[0, 1])
                is_fitted = True
        return scores[len(task.warm) :]

    return judge


def vw_features(raw: bytes) -> str:
    """Write a message for Vowpal Wabbit: distinct lower-cased words and pairs, unit length."""
    words = _WORD.findall(text_of(raw).lower())
    features = dict.fromkeys(words)
    features.update(dict.fromkeys(f"{a}_{b}" for a, b in pairwise(words)))
    scale = max(1, len(features)) ** -0.5
    return f"|t:{scale:.5f} {' '.join(features)}"


def _judge_by_vw(options: str) -> Callable[[MailTask], NDArray[np.float64]]:
    def judge(task: MailTask) -> NDArray[np.float64]:
        from vowpalwabbit import Workspace

        model = Workspace(f"{VW_OPTIONS} {options}")
        messages = (*task.warm, *task.stream)
        scores = np.zeros(len(messages))
        for i, message in enumerate(messages):
            line = vw_features(message.raw)
            if message.user is not None:
                line += f" |u {message.user}"
            if i >= len(task.warm):
                scores[i] = model.predict(line)
            if message.has_feedback:
                model.learn(f"{1 if message.said_spam else -1} {line}")
        model.finish()
        return scores[len(task.warm) :]

    return judge


def one_a_user(
    judge: Callable[[MailTask], NDArray[np.float64]],
) -> Callable[[MailTask], NDArray[np.float64]]:
    """Give each user a filter of their own, which sees that user's mail alone."""

    def judge_apart(task: MailTask) -> NDArray[np.float64]:
        scores = np.zeros(len(task.stream))
        for user in {message.user for message in task.stream}:
            own = [i for i, message in enumerate(task.stream) if message.user == user]
            part = replace(
                task,
                stream=tuple(replace(task.stream[i], user=None) for i in own),
                warm=tuple(replace(m, user=None) for m in task.warm if m.user == user),
            )
            scores[own] = judge(part)
        return scores

    return judge_apart


_POOLED_VW = _judge_by_vw("--ignore u")

MAIL_PEERS = (
    Peer(
        name="bogofilter",
        rule="Debian package, built-in settings (`-C`), one message at a time: `-TT` judges, `-s` "
        "or `-n` learns",
        judge=_judge_by_bogofilter,
        thresholds=((", cutoff .5", 0.5), (", cutoff .99 (its default)", 0.99)),
    ),
    Peer(
        name="scikit-learn SGD, words",
        rule="HashingVectorizer words and pairs, 2^20, binary, unit length; SGDClassifier log "
        "loss, constant rate 8, partial_fit of one message at a time",
        judge=_judge_by_sgd("words"),
    ),
    Peer(
        name="scikit-learn SGD, char 4-grams",
        rule="the same with 4-grams of the first 3,000 characters",
        judge=_judge_by_sgd("chars"),
    ),
    Peer(
        name="Vowpal Wabbit, pooled",
        rule=f"`{VW_OPTIONS}`; distinct words and pairs of the raw text, unit length",
        judge=_POOLED_VW,
    ),
    Peer(
        name="Vowpal Wabbit, one filter a user",
        rule="as pooled, a separate model for each user, who learns from own labels alone",
        judge=one_a_user(_POOLED_VW),
        needs_users=True,
    ),
    Peer(
        name="Vowpal Wabbit, -q ut in one table",
        rule="as pooled plus `-q ut`: each feature a second time crossed with the user, in the "
        "same table and at the same rate",
        judge=_judge_by_vw("-q ut"),
        needs_users=True,
    ),
    Peer(
        name="bogofilter, one filter a user",
        rule="as bogofilter, a separate word list for each user",
        judge=one_a_user(_judge_by_bogofilter),
        thresholds=((", cutoff .5", 0.5),),
        needs_users=True,
    ),
)
