"""Lines of word counts to examples."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

from mtspam.errors import DataError
from mtspam.evaluate.wordcounts import read_word_counts
from mtspam.types import Label

TEXT = b"1 1:2 7:1\n-1 7:1 1:5\n\n+1 9:0 3:0.5\n0\n"


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.tf", bytes),
        ("a.tf.gz", gzip.compress),
        ("a.tf.xz", lzma.compress),
        ("a.tf.bz2", bz2.compress),
    ],
)
def test_lines(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(TEXT))
    counts = read_word_counts(path)
    assert counts.labels == [Label.SPAM, Label.HAM, Label.SPAM, Label.HAM]
    sets = [example.views[0] for example in counts.examples]
    assert [view.size for view in sets] == [2, 2, 1, 0]
    assert sets[0].dtype == np.uint32
    assert sets[0].tolist() == sorted(sets[0].tolist())
    assert sets[0].tolist() == sets[1].tolist()
    assert all(len(example.views) == 1 for example in counts.examples)


def test_the_seed_moves_the_hashes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1 " + b" ".join(b"%d:1" % word for word in range(5000)))
    views = [read_word_counts(path, seed=seed).examples[0].views[0] for seed in (0, 0, 1, -1)]
    assert views[0].tolist() == views[1].tolist()
    # 5,000 ids among 2**32 hashes: two collisions would be odd, chance overlap of seeds as well.
    assert all(view.size >= 4998 for view in views)
    assert np.intersect1d(views[0], views[2]).size <= 2
    assert np.intersect1d(views[0], views[3]).size <= 2


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"spam 1:1", "'spam'"),
        (b"1:1 2:1", "'1:1'"),
        (b"1 1", "'1'"),
        (b"1 a:1", "'a:1'"),
        (b"1 -1:1", "'-1:1'"),
        (b"1 1:", "'1:'"),
        (b"1 1:x", "'1:x'"),
        (b"1 1:-2", "'1:-2'"),
        (b"1 1:nan", "'1:nan'"),
        (b"1 1:inf", "'1:inf'"),
        (b"1 " + b"9" * 5000 + b":1", "'9999"),
        (b"\xff 1:1", r"'\\xff'"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, what):
    path = tmp_path / "a"
    path.write_bytes(b"1 1:1\n" + line + b"\n")
    with pytest.raises(DataError) as caught:
        read_word_counts(path)
    assert f"{path}:2: " in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a", b""),
        ("a", b"\n\n"),
        ("a.xz", b"no xz"),
        ("a.gz", b"no gzip"),
        ("a.bz2", b"no bzip2"),
        ("a.gz", gzip.compress(TEXT)[:-12]),
        ("a.xz", lzma.compress(TEXT)[:-12]),
    ],
)
def test_a_file_of_nothing_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_word_counts(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        read_word_counts(tmp_path / "nowhere")
