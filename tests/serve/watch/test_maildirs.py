import os
from pathlib import Path

import pytest

from mtspam.serve.watch.maildirs import (
    Box,
    FolderNames,
    Place,
    boxes_by_folder,
    folders_of,
    messages_in,
)

NAMES = FolderNames.of(["Junk", "Unerwünscht"], ["Trash", "Sent"])


def maildir(path):
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("folder", "place"),
    [
        ("INBOX", Place.MAIL),
        ("Archive/2025", Place.MAIL),
        ("junk", Place.JUNK),
        ("INBOX/Junk/old", Place.JUNK),
        ("Unerwünscht", Place.JUNK),
        ("Junk/Trash", Place.IGNORED),
        ("SENT", Place.IGNORED),
        ("Junkyard", Place.MAIL),
    ],
)
def test_what_a_folder_means(folder, place):
    assert NAMES.place(folder) is place


def test_folders_side_by_side_and_nested(tmp_path):
    box = Box("ana", maildir(tmp_path / "ana"))
    for name in (".Junk", ".Archive.2025", "Nested/Deeper", ".Unerw&APw-nscht", ".a&-b", ".x&!-"):
        maildir(box.path / name)
    (box.path / "cur" / "sub").mkdir()
    (box.path / "no folder").mkdir()
    found = {name: path.relative_to(box.path) for name, path in folders_of(box)}
    assert found == {
        "INBOX": Path(),
        "Junk": Path(".Junk"),
        "Archive/2025": Path(".Archive.2025"),
        "Nested/Deeper": Path("Nested/Deeper"),
        "Unerwünscht": Path(".Unerw&APw-nscht"),
        "a&b": Path(".a&-b"),
        "x&!-": Path(".x&!-"),
    }


def test_users_are_named_by_folders(tmp_path):
    for name in ("ana", "bob/Maildir", "example.org/eve", "example.org/dan/mail", ".hidden"):
        maildir(tmp_path / name)
    maildir(tmp_path / "ana" / ".Junk")
    found = {(box.user, str(box.path.relative_to(tmp_path))) for box in boxes_by_folder(tmp_path)}
    assert found == {
        ("ana", "ana"),
        ("bob", "bob/Maildir"),
        ("eve@example.org", "example.org/eve"),
        ("dan@example.org", "example.org/dan/mail"),
    }


def test_messages_without_drafts_and_deleted_ones(tmp_path):
    folder = maildir(tmp_path / "box")
    names = ("cur/1.a:2,S", "cur/2.a:2,ST", "cur/3.a:2,D", "new/4.a", "new/.5", "tmp/6.a")
    for name in names:
        (folder / name).write_bytes(b"")
    assert [(one.base, one.path.name) for one in messages_in("INBOX", folder)] == [
        ("1.a", "1.a:2,S"),
        ("4.a", "4.a"),
    ]


def test_a_folder_that_is_gone_is_empty(tmp_path):
    assert list(messages_in("INBOX", tmp_path / "gone")) == []
    assert list(folders_of(Box("ana", tmp_path / "gone"))) == []
    assert list(boxes_by_folder(tmp_path / "gone")) == []


def test_names_that_are_no_text_can_be_stored(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    box = Box("ana", maildir(tmp_path / name))
    maildir(box.path / f".{name}")
    (box.path / "cur" / f"1.{name}:2,S").touch()
    assert [folder for folder, _ in folders_of(box)] == ["INBOX", "caf\\xe9"]
    (message,) = messages_in("INBOX", box.path)
    assert message.base == "1.caf\\xe9"
    assert message.path.exists()
    assert [one.user for one in boxes_by_folder(tmp_path)] == ["caf\\xe9"]
