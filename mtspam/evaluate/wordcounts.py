"""Files of word counts, one message a line, as in the ECML/PKDD 2006 Discovery Challenge."""

import bz2
import gzip
import lzma
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.types import Example, Label

__all__ = ["WordCounts", "read_word_counts"]

_Lines = BufferedReader | gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File

_LABELS = {
    b"1": Label.SPAM,
    b"+1": Label.SPAM,
    b"-1": Label.HAM,
    b"0": Label.HAM,
}
_MAX_ID_DIGITS = 18
"""Ids fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class WordCounts:
    """The messages of one file, each as one view of hashed word ids.

    Parameters
    ----------
    path
        The file.
    examples
        One a line.
    labels
        Ham or spam, one a line.
    """

    path: Path
    examples: Sequence[Example]
    labels: Sequence[Label]

    def __len__(self) -> int:
        return len(self.examples)


def read_word_counts(path: Path, *, seed: int = 0) -> WordCounts:
    """Read a file of lines ``label word-id:count …``, plain or packed (.gz, .xz, .bz2).

    Parameters
    ----------
    path
        The file. A label is 1 or +1 for spam, −1 or 0 for the rest; word ids are whole numbers
        that are not negative. A word with a count of 0 is absent, all other counts are 1.
    seed
        Of the hash of word ids; the same in all files of one run.

    Returns
    -------
    WordCounts
        Its messages, in order.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or a line is broken; the text names it.
    """
    examples: list[Example] = []
    labels: list[Label] = []
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, 1):
                tokens = line.split()
                if tokens:
                    label, words = _parse(tokens, f"{path}:{number}")
                    labels.append(label)
                    examples.append(Example((_hashed(words, seed),)))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not examples:
        raise DataError(f"{path}: the file holds no message")
    return WordCounts(path, examples, labels)


def _open(path: Path) -> _Lines:
    match path.suffix:
        case ".gz":
            return gzip.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case ".bz2":
            return bz2.open(path, "rb")
        case _:
            return path.open("rb")


def _parse(tokens: list[bytes], where: str) -> tuple[Label, NDArray[np.uint64]]:
    label = _LABELS.get(tokens[0])
    if label is None:
        raise DataError(f"{where}: the label must be 1, +1, -1 or 0, got {_shown(tokens[0])}")
    words: list[int] = []
    for token in tokens[1:]:
        word, colon, count = token.partition(b":")
        if not (colon and _is_id(word) and _is_count(count)):
            raise DataError(f"{where}: expected `word-id:count`, got {_shown(token)}")
        if float(count) > 0.0:
            words.append(int(word))
    return label, np.array(words, np.uint64)


def _is_id(text: bytes) -> bool:
    return text.isdigit() and len(text) <= _MAX_ID_DIGITS


def _is_count(text: bytes) -> bool:
    try:
        count = float(text)
    except ValueError:
        return False
    return 0.0 <= count < math.inf


def _shown(token: bytes) -> str:
    return repr(token[:40].decode("ascii", "backslashreplace"))


def _hashed(words: NDArray[np.uint64], seed: int) -> NDArray[np.uint32]:
    """Hash word ids: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), its upper half."""
    # A step of the golden ratio per seed keeps neighbouring seeds apart.
    mixed = words + np.uint64(((seed + 1) * 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))
