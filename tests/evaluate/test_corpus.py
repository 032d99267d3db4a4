"""Messages in the index's order from a folder and from every kind of archive."""

import io
import tarfile

import pytest

from mtspam.errors import DataError
from mtspam.evaluate import corpus as corpus_module
from mtspam.evaluate.corpus import Corpus
from mtspam.evaluate.index import read_index

MEMBERS = {"x/a": b"first\r\n\x00\xff", "x/b": b"", "x/c": b"third" * 1000, "other": b"no"}
KINDS = ["tar", "tar.gz", "tar.bz2", "tar.xz"]


def _index(folder, text="ham x/c\nspam x/a\nham x/b\nham x/c\n"):
    path = folder / "index"
    path.write_text(text)
    return path


def _archive(path, members, prefix=""):
    kind = path.suffix[1:]
    with tarfile.open(path, "w" if kind == "tar" else f"w:{kind}") as tar:
        folder = tarfile.TarInfo(f"{prefix}x")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in members.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def _read(index, root=None):
    with Corpus(index, read_index(index), root) as corpus:
        assert len(corpus) == len(corpus.entries)
        return [(message.entry.path, message.raw) for message in corpus]


EXPECTED = [(path, MEMBERS[path]) for path in ["x/c", "x/a", "x/b", "x/c"]]


def test_folder_of_the_index(tmp_path):
    (tmp_path / "x").mkdir()
    for name, content in MEMBERS.items():
        (tmp_path / name).write_bytes(content)
    assert _read(_index(tmp_path)) == EXPECTED


def test_paths_may_leave_the_folder_of_the_index(tmp_path):
    for name in ("full", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "1").write_bytes(b"mail")
    assert _read(_index(tmp_path / "full", "ham ../data/1\n")) == [("../data/1", b"mail")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "./", "corpus/"])
def test_archive(tmp_path, kind, prefix):
    root = _archive(tmp_path / f"mail.{kind}", MEMBERS, prefix)
    assert _read(_index(tmp_path), root) == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_of_the_track_beside_its_archive(tmp_path, kind):
    root = _archive(tmp_path / f"mail.{kind}", {"data/1": b"mail"}, "corpus/")
    assert _read(_index(tmp_path, "ham ../data/1\n"), root) == [("../data/1", b"mail")]


@pytest.mark.parametrize("order", [1, -1])
def test_an_exact_name_goes_before_one_without_its_folder(tmp_path, order):
    members = dict([("a", b"exact"), ("top/a", b"inner")][::order])
    root = _archive(tmp_path / "mail.tar", members)
    assert _read(_index(tmp_path, "ham a\n"), root) == [("a", b"exact")]


def test_a_large_archive_leaves_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "_SPOOL_BYTES", 100)
    root = _archive(tmp_path / "mail.tar.gz", MEMBERS)
    assert _read(_index(tmp_path), root) == EXPECTED


@pytest.mark.parametrize("kind", ["folder", *KINDS])
def test_a_missing_message_is_named_with_its_line(tmp_path, kind):
    (tmp_path / "x").mkdir()
    root = None if kind == "folder" else _archive(tmp_path / f"mail.{kind}", {"x/a": b""})
    (tmp_path / "x" / "a").write_bytes(b"")
    index = _index(tmp_path, "ham x/a\n\nham x/gone\n")
    with pytest.raises(DataError, match=r"index:3: no message 'x/gone' in "):
        Corpus(index, read_index(index), root)


def test_a_folder_is_no_message(tmp_path):
    (tmp_path / "x").mkdir()
    index = _index(tmp_path, "ham x\n")
    with pytest.raises(DataError, match=r"index:1: no message 'x' in "):
        Corpus(index, read_index(index))


def test_a_message_that_goes_away_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    index = _index(tmp_path, "ham a\n")
    with Corpus(index, read_index(index)) as corpus:
        (tmp_path / "a").unlink()
        with pytest.raises(DataError, match=r"index:1: 'a' in .* cannot be read: No such file"):
            list(corpus)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_torn_archive_is_named(tmp_path, kind, share):
    members = {f"x/{i}": bytes(range(256)) * 20 * i for i in range(20)}
    root = _archive(tmp_path / f"mail.{kind}", members)
    content = root.read_bytes()
    root.write_bytes(content[: int(len(content) * share)])
    index = _index(tmp_path, "ham x/1\nham x/19\n")
    with pytest.raises(DataError) as caught:
        Corpus(index, read_index(index), root)
    assert str(root) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b broken", b"x" * 2000])
def test_no_archive(tmp_path, content):
    root = tmp_path / "mail.tar"
    root.write_bytes(content)
    index = _index(tmp_path)
    with pytest.raises(DataError, match=r"mail\.tar"):
        Corpus(index, read_index(index), root)


def test_no_root(tmp_path):
    index = _index(tmp_path)
    with pytest.raises(DataError, match=r"gone: no such folder or archive"):
        Corpus(index, read_index(index), tmp_path / "gone")
