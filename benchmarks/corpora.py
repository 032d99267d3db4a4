"""Read the development corpora and the committed sample, and make streams of them.

The data folder is no part of the project; without it the sample alone is there.
"""

import gzip
import json
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path

from streams import Message, VectorTask

__all__ = [
    "DEFAULT_DATA",
    "SAMPLE",
    "MissingDataError",
    "read_collection",
    "read_ecml",
    "read_sample",
    "sample_vectors",
]

_PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_DATA = _PROJECT.parent / "shared" / "data"
SAMPLE = _PROJECT / "data" / "sample_mail.ndjson.gz"

_ECML = {
    "ecml": ("task_b_labeled_train", "task_b_u*_eval_lab", "_eval_lab"),
    "ecml-tune": ("task_b_labeled_tune", "task_b_u*_tune", "_tune"),
}


class MissingDataError(Exception):
    """A corpus is not there; the text says which and what to do."""


def _found(path: Path) -> Path:
    if not path.exists():
        raise MissingDataError(
            f"{path} is missing: give the folder of the corpora with --data, or run --size tiny "
            f"without it, which then uses the committed sample"
        )
    return path


def read_collection(data: Path, name: str) -> tuple[Message, ...]:
    """Read ``NAME.tar.xz`` in the order of its ``NAME.index``.

    Parameters
    ----------
    data
        The data folder.
    name
        ``spamassassin``, ``csdmc_extra`` (third column a time) or ``enron123`` (a user).

    Raises
    ------
    MissingDataError
        When the archive or its index is not there.
    """
    with tarfile.open(_found(data / "spam" / f"{name}.tar.xz")) as tar:
        raw = {
            member.name: content.read()
            for member in tar
            if (content := tar.extractfile(member)) is not None
        }
    messages = []
    for line in _found(data / "spam" / f"{name}.index").read_text("utf-8").splitlines():
        label, path, last = line.split()
        is_spam = label == "spam"
        messages.append(
            Message(
                path=path,
                raw=raw[path],
                is_spam=is_spam,
                said_spam=is_spam,
                time=int(last) if last.isdigit() else None,
                user=None if last.isdigit() else last,
            )
        )
    return tuple(messages)


def read_sample(path: Path = SAMPLE) -> tuple[Message, ...]:
    """Read the made-up messages that are committed with the project, in order of time.

    Labels other than ham and spam count as spam, but for bulk, which is no answer to the question
    and is left out. The part *newsletters* is what the users disagree about.

    Raises
    ------
    MissingDataError
        When the file is not there.
    """
    with gzip.open(_found(path), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if row["label"] != "bulk"]
    return tuple(
        Message(
            path=f"sample/{i:05d}",
            raw=row["raw"].encode("utf-8", "surrogateescape"),
            is_spam=row["label"] != "ham",
            said_spam=row["label"] != "ham",
            time=int(row["time"]),
            user=row["user"],
            part="newsletters" if row["note"] == "newsletter" else "",
        )
        for i, row in enumerate(sorted(rows, key=lambda row: int(row["time"])))
    )


def _lines(path: Path) -> tuple[str, ...]:
    with lzma.open(_found(path), "rt", encoding="ascii") as lines:
        return tuple(line.strip() for line in lines if line.strip())


def read_ecml(data: Path, group: str, n_inboxes: int | None) -> VectorTask:
    """Read ``ecml`` (train and seven inboxes) or ``ecml-tune``; the two number words differently.

    Raises
    ------
    MissingDataError
        When the folder or a file is not there.
    """
    train, pattern, ending = _ECML[group]
    folder = _found(data / "spam" / "ecml2006_b_dev")
    inboxes = sorted(folder.glob(f"{pattern}.tf.xz"))[:n_inboxes]
    return VectorTask(
        name=group,
        title=f"ECML/PKDD 2006 task B, {len(inboxes)} inboxes"
        + (" (tune group)" if group.endswith("tune") else ""),
        rule="100 public labelled messages, then the inboxes interleaved by seed, immediate "
        "feedback; binary features; mean over the inboxes",
        train=_lines(folder / f"{train}.tf.xz"),
        inboxes={
            path.name.removeprefix("task_b_").removesuffix(f"{ending}.tf.xz"): _lines(path)
            for path in inboxes
        },
    )


def _word_counts(messages: tuple[Message, ...], numbers: dict[str, int]) -> Iterator[str]:
    for message in messages:
        words = message.raw.decode("utf-8", "replace").lower().split()
        ids = sorted({numbers.setdefault(word, len(numbers) + 1) for word in words})
        label = 1 if message.is_spam else -1
        yield f"{label} " + " ".join(f"{number}:1" for number in ids)


def sample_vectors(sample: tuple[Message, ...]) -> VectorTask:
    """Make a small task of word counts from the sample: a quarter to train, then the users."""
    numbers: dict[str, int] = {}
    n_train = len(sample) // 4
    rest = sample[n_train:]
    users = sorted({message.user for message in rest if message.user is not None})
    return VectorTask(
        name="sample-vectors",
        title="made-up sample as word counts",
        rule="the first quarter trains, then one inbox a user, interleaved by seed",
        train=tuple(_word_counts(sample[:n_train], numbers)),
        inboxes={
            user: tuple(_word_counts(tuple(m for m in rest if m.user == user), numbers))
            for user in users
        },
    )
