"""A journal that is torn, foreign, newer, full or read-only: one clear line, nothing changed."""

import os
import random
import shutil
import sqlite3

import pytest

from mtspam.errors import JournalError
from mtspam.journal import Journal


@pytest.fixture
def written(path, make_label, make_user, make_digest):
    with Journal.open(path) as journal:
        journal.append([make_label(n, user=n % 3, size=60) for n in range(40)])
        journal.append([make_label(n, user=n % 3, value=0) for n in range(0, 40, 7)])
        journal.unlabel(make_user(1), make_digest(4))
    return path


def complaint(path, action):
    """The one line that an action raises."""
    with pytest.raises(JournalError) as caught, Journal.open(path) as journal:
        action(journal)
    text = str(caught.value)
    assert text.startswith(f"journal {path}: ")
    assert "\n" not in text
    return text


def everything(path, rows):
    """All that can be read, or None if the journal says that it is damaged."""
    try:
        with Journal.open(path) as journal:
            journal.check()
            found = rows(journal), rows(journal, upto=40), journal.users(), journal.head()
            journal.find("")
            return found
    except JournalError as error:
        text = str(error)
    assert text.startswith(f"journal {path}: ")
    assert "\n" not in text
    return None


def test_every_flipped_bit_is_found_or_harmless(written, rows):
    good = everything(written, rows)
    content = written.read_bytes()
    rng = random.Random(7)
    n_found = 0
    copy = written.with_name("copy")
    for _ in range(150):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        copy.write_bytes(changed)
        found = everything(copy, rows)
        assert found in (None, good)
        n_found += found is None
        for rest in copy.parent.glob("copy*"):
            rest.unlink()
    assert n_found > 40


def test_a_flipped_bit_in_a_label_stops_the_fold(written, rows, make_digest):
    content = bytearray(written.read_bytes())
    content[content.index(make_digest(20) + b"test")] ^= 1
    written.write_bytes(content)
    assert "is damaged" in complaint(written, rows)


def test_every_cut_is_found(written, rows):
    good = everything(written, rows)
    content = written.read_bytes()
    copy = written.with_name("copy")
    for size in [*range(0, 200, 11), *range(200, len(content), 1023), len(content) - 1]:
        copy.write_bytes(content[:size])
        assert everything(copy, rows) is None, size
        for rest in copy.parent.glob("copy*"):
            rest.unlink()
    copy.write_bytes(content)
    assert everything(copy, rows) == good


def change(path, statement):
    with sqlite3.connect(path) as raw:
        raw.execute(statement)
    raw.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE events SET value = 1 - value WHERE seq = 4", "event 4 is damaged"),
        ("UPDATE events SET weight = 2 WHERE seq = 6", "event 6 is damaged"),
        ("UPDATE events SET weight = 'x' WHERE seq = 6", "event 6 is damaged"),
        ("UPDATE events SET user = 7 WHERE seq = 6", "event 6 is damaged"),
        ("UPDATE events SET source = 'else' WHERE seq = 9", "event 9 is damaged"),
        ("UPDATE examples SET packed = x'' WHERE seq = 9", "event 9 is damaged"),
        ("DELETE FROM examples WHERE seq = 10", "event 10 is damaged"),
    ],
)
def test_a_changed_row_is_not_folded(written, rows, statement, words):
    change(written, statement)
    assert words in complaint(written, rows)
    assert words in complaint(written, Journal.check)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE events SET superseded_by = 9 WHERE seq = 3", "event 3 is superseded by no event"),
        ("UPDATE events SET superseded_by = 99 WHERE seq = 3", "event 3 is superseded by no"),
        ("INSERT INTO examples VALUES (77, x'00')", "event 77 has no label"),
        (
            "UPDATE examples SET packed = substr(packed, 1, 40) WHERE seq = 3",
            "the example of event 3 is torn or damaged (40 bytes)",
        ),
    ],
)
def test_the_check_sees_more(written, statement, words):
    change(written, statement)
    assert words in complaint(written, Journal.check)


def test_a_newer_schema_is_refused(written, rows):
    change(written, "PRAGMA user_version = 9")
    before = written.read_bytes()
    assert "written by a newer mtspam (schema 9" in complaint(written, rows)
    assert written.read_bytes() == before


def test_a_lost_name_is_damage(written):
    change(written, "DELETE FROM meta")
    assert "its name is missing" in complaint(written, lambda journal: journal.identity)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"From: someone\n" * 999, "torn, or no journal"),
    ],
)
def test_another_file_is_refused_and_kept(path, rows, content, words):
    path.write_bytes(content)
    assert words in complaint(path, rows)
    assert path.read_bytes() == content


def test_another_database_is_refused_and_kept(path, rows):
    change(path, "CREATE TABLE meta (name TEXT)")
    before = path.read_bytes()
    assert "no journal of mtspam" in complaint(path, rows)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_missing_journal_is_not_made_for_reading(path):
    with pytest.raises(JournalError, match="No such file"):
        Journal.open(path, read_only=True)
    assert not path.exists()


def test_a_missing_directory_is_not_made(path):
    with pytest.raises(JournalError, match="No such file"):
        Journal.open(path / "deeper")


def test_a_directory_is_no_journal(tmp_path):
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal.open(tmp_path)


def test_a_read_only_directory_can_be_read_and_stays(tmp_path, make_label, rows, sealed):
    state = tmp_path / "state"
    state.mkdir()
    path = state / "journal.sqlite"
    with Journal.open(path) as journal:
        journal.append([make_label(n) for n in range(3)])
        before = rows(journal)
    sealed(state)
    with pytest.raises(JournalError, match="cannot be written to"):
        Journal.open(path)
    with pytest.raises(JournalError, match=r"Read-only|Permission"):
        Journal.open(state / "another")
    with Journal.open(path, read_only=True) as journal:
        assert rows(journal) == before
        assert journal.check() == 3
    assert [one.name for one in state.iterdir()] == [path.name]


def fill(journal, make_label, start=0):
    """Append until the journal refuses; return how many labels it acknowledged."""
    for n in range(start, start + 1000):
        try:
            journal.append([make_label(n, size=2000)])
        except JournalError as error:
            return n, str(error)
    raise AssertionError("the disk never filled up")


def test_a_full_disk_loses_nothing(small_disk, make_label, make_user, rows):
    path = small_disk / "journal.sqlite"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1 << 18))
    with Journal.open(path) as journal:
        n, text = fill(journal, make_label)
        assert "the disk is full" in text
        assert [row[0] for row in rows(journal)] == list(range(1, n + 1))
        assert journal.check() == n
        ballast.unlink()
        assert journal.append([make_label(n, size=2000)]).first_seq == n + 1
    with Journal.open(path) as journal:
        assert journal.check() == n + 1


def test_no_journal_is_left_where_none_fits(small_disk):
    free = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_bsize))
    with pytest.raises(JournalError, match="No space"):
        Journal.open(small_disk / "journal.sqlite")
    assert [one.name for one in small_disk.iterdir()] == ["ballast"]


def test_a_limit_on_file_sizes_loses_nothing(path, make_label, rows, file_size_limit):
    with Journal.open(path) as journal:
        with file_size_limit(300_000):
            n, text = fill(journal, make_label)
        assert "full" in text
        assert [row[0] for row in rows(journal)] == list(range(1, n + 1))
        assert journal.append([make_label(n, size=2000)]).first_seq == n + 1
        assert journal.check() == n + 1


def test_forgetting_on_a_full_disk_is_made_good_later(
    path, make_label, make_user, file_size_limit
):
    with Journal.open(path) as journal:
        journal.append([make_label(n, user=1 + n % 2, size=2000) for n in range(40)])
        with file_size_limit(280_000), pytest.raises(JournalError):
            journal.forget(make_user(1))
        journal.forget(make_user(1))
        assert journal.users().keys() == {make_user(2)}
        assert journal.check() == 21
    assert make_user(1) not in path.read_bytes()


def test_a_backup_of_the_file_alone_is_whole_after_close(written, tmp_path, rows):
    copy = tmp_path / "backup" / "journal.sqlite"
    copy.parent.mkdir()
    shutil.copy(written, copy)
    assert everything(copy, rows) == everything(written, rows)
