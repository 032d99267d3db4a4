"""Opening a state in every condition that it can be in."""

import os
import shutil
import sqlite3

import pytest

from mtspam.errors import DataError, JournalError, SnapshotError
from mtspam.snapshot import read_snapshot, write_snapshot
from mtspam.spam import SpamFilter
from mtspam.types import Label, Verdict
from tests.spam.conftest import (
    LUNCH,
    NEWS,
    PILLS,
    arrays_of,
    basics,
    contents,
    mail,
    said,
    with_model,
)

NEW_PILLS, NEW_LUNCH = mail(PILLS, 900), mail(LUNCH, 900)


def one_line(error, *words):
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text


def files(state):
    return {path.name: path.read_bytes() for path in state.iterdir()}


# Without a state.


def test_a_reader_without_a_state_goes_by_the_starter(open_state, tmp_path, small):
    with open_state("none/at/all", read_only=True) as spam_filter:
        spam, ham = spam_filter.judge(NEW_PILLS), spam_filter.judge(NEW_LUNCH, user="ana")
        assert spam.score > ham.score
        assert spam.score == spam.shared == pytest.approx(spam.starter)
        assert spam_filter.users() == []
        status = spam_filter.status()
        assert (status.n_events, status.bytes_on_disk, status.position) == (0, 0, 0)
        assert status.is_current
        assert status.has_starter
        assert spam_filter.explain(NEW_PILLS).reasons
        with pytest.raises(JournalError, match="reading"):
            spam_filter.learn(NEW_PILLS, Label.SPAM)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_makes_a_state(tmp_path, small):
    state = tmp_path / "deep" / "state"
    with SpamFilter.open(state, small) as spam_filter:
        spam_filter.learn_many(basics())
    names = {path.name for path in state.iterdir()}
    assert names == {"secret", "journal.sqlite", "model.snapshot", "writer.lock"}
    for path in state.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


@pytest.mark.parametrize("read_only", [True, False])
def test_a_writer_that_was_stopped_before_its_first_label(open_state, state, read_only):
    with open_state():
        pass
    (state / "journal.sqlite").unlink()
    (state / "model.snapshot").unlink()
    with open_state(read_only=read_only) as spam_filter:
        assert spam_filter.judge(NEW_PILLS).starter
        assert spam_filter.status().n_events == 0


# Readers beside writers.


def test_a_reader_sees_what_is_in_the_journal_only(open_state, taught):
    with open_state() as writer:
        before = writer.judge(mail(NEWS, 1), user="ana").score
        writer.learn(mail(NEWS, 1), Label.SPAM, user="ana")
        with open_state(read_only=True) as reader:
            assert arrays_of(reader) == arrays_of(writer)
            assert reader.judge(mail(NEWS, 1), user="ana").score > before
            assert reader.status() == writer.status()
        # What it takes back, too; a reader folds where the writer corrects.
        writer.unlearn(mail(NEWS, 1), user="ana")
        with open_state(read_only=True) as reader:
            assert reader.judge(mail(NEWS, 1), user="ana").score == pytest.approx(before)
            assert reader.status().is_exact


def test_a_reader_keeps_what_it_opened(open_state, taught):
    with open_state(read_only=True) as reader:
        before = reader.judge(NEW_PILLS)
        with open_state() as writer:
            writer.learn_many(said(mail(PILLS, n), Label.HAM) for n in range(12))
        assert reader.judge(NEW_PILLS) == before
        assert not reader.status().is_current


def test_a_reader_of_a_snapshot_needs_no_journal(open_state, taught):
    with open_state(read_only=True) as reader:
        before = reader.judge(NEW_PILLS)
    (taught / "journal.sqlite").unlink()
    with open_state(read_only=True) as reader:
        assert reader.judge(NEW_PILLS) == before


def test_readers_write_nothing(open_state, taught):
    before = files(taught)
    with open_state(read_only=True) as reader:
        reader.judge(NEW_PILLS)
        reader.users()
        reader.status()
        reader.check()
    found = files(taught)
    assert {name: found[name] for name in before} == before


def test_one_writer(open_state, taught):
    with open_state() as spam_filter:
        with pytest.raises(JournalError) as error:
            open_state()
        one_line(error, taught, "another process is writing")
        spam_filter.learn(NEW_PILLS, Label.SPAM)
    with open_state() as spam_filter:
        assert spam_filter.status().labels["spam"] == 13


def test_a_failed_opening_lets_go_of_the_lock(open_state, taught):
    secret = (taught / "secret").read_bytes()
    (taught / "secret").write_bytes(b"short")
    for _ in range(2):
        with pytest.raises(JournalError, match="5 bytes"):
            open_state()
    (taught / "secret").write_bytes(secret)
    with open_state() as spam_filter:
        assert spam_filter.judge(NEW_PILLS).verdict is Verdict.SPAM


# The directory.


def test_a_read_only_directory(open_state, taught, sealed):
    with open_state(read_only=True) as spam_filter:
        before = spam_filter.judge(NEW_PILLS)
    sealed(taught)
    with pytest.raises(JournalError) as error:
        open_state()
    one_line(error, taught, "written")
    with open_state(read_only=True) as spam_filter:
        assert spam_filter.judge(NEW_PILLS) == before
        assert spam_filter.status().n_events == 24


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("lost", ["journal.sqlite", "model.snapshot", "neither"])
def test_a_lost_secret(open_state, taught, read_only, lost):
    (taught / "secret").unlink()
    if lost != "neither":
        (taught / lost).unlink()
    before = files(taught)
    with pytest.raises(JournalError) as error:
        open_state(read_only=read_only)
    one_line(error, taught / "secret", "backup")
    assert files(taught) == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_short_secret(open_state, taught, read_only):
    (taught / "secret").write_bytes(bytes(31))
    with pytest.raises(JournalError) as error:
        open_state(read_only=read_only)
    one_line(error, taught / "secret", "31 bytes")


def test_a_file_in_the_place_of_the_state(open_state, tmp_path):
    (tmp_path / "state").write_text("a file")
    for read_only in (True, False):
        with pytest.raises(JournalError) as error:
            open_state(read_only=read_only)
        one_line(error, tmp_path / "state")


@pytest.mark.parametrize("read_only", [True, False])
def test_a_damaged_journal(open_state, taught, read_only):
    (taught / "journal.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(JournalError) as error:
        open_state(read_only=read_only)
    one_line(error, taught / "journal.sqlite")


def test_another_journal(open_state, taught, is_exact):
    """As when an older one is put back from a backup, or one of another state."""
    with open_state("other") as spam_filter:
        spam_filter.learn(mail(NEWS, 1), Label.SPAM)
    shutil.copy(taught.with_name("other") / "journal.sqlite", taught / "journal.sqlite")
    with open_state() as spam_filter:
        assert spam_filter.status().n_events == 1
    assert is_exact(taught)


def test_an_older_journal(open_state, taught, is_exact):
    old = (taught / "journal.sqlite").read_bytes()
    with open_state() as spam_filter:
        spam_filter.learn_many(basics(20))
    (taught / "journal.sqlite").write_bytes(old)
    with open_state() as spam_filter:
        assert spam_filter.status().n_events == 24
        assert spam_filter.status().is_current
    assert is_exact(taught)


# The snapshot.


def torn(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def foreign(path):
    path.write_bytes(b"something else" * 999)


def damaged_head(path):
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)


def other_fields(path):
    write_snapshot(path, {"of": "somebody else"}, dict(read_snapshot(path, verify=True).arrays))


def other_arrays(path):
    found = read_snapshot(path, verify=True)
    write_snapshot(path, dict(found.header), {"weights": found.arrays["state"]})


DAMAGES = [torn, empty, foreign, damaged_head, other_fields, other_arrays]


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("damage", [*DAMAGES, os.unlink])
def test_a_snapshot_that_does_not_hold_is_folded_again(
    open_state, taught, damage, read_only, is_exact
):
    with open_state(read_only=True) as spam_filter:
        before = arrays_of(spam_filter)
    damage(taught / "model.snapshot")
    counts = []
    with open_state(read_only=read_only, on_progress=counts.append) as spam_filter:
        assert arrays_of(spam_filter) == before
        assert sum(counts) == 24
    if not read_only:
        assert is_exact(taught)


@pytest.mark.parametrize("has_snapshot", [True, False])
def test_what_opening_folds_is_not_folded_again(open_state, taught, is_exact, has_snapshot):
    if not has_snapshot:
        (taught / "model.snapshot").unlink()
    done = []
    with open_state(on_progress=done.append) as spam_filter:
        for n in (24, 48):  # whoever asks again has it done again
            told = spam_filter.fold(on_progress=done.append)
            assert (sum(done), told.n_events) == (n, 24)
            assert told.seconds > 0
        spam_filter.learn(mail(NEWS, 50), Label.HAM)
        done.clear()
        assert spam_filter.fold(on_progress=done.append).n_events == sum(done) == 25
        spam_filter.unlearn(mail(NEWS, 50))
        assert spam_filter.fold().n_events == 24
    assert is_exact(taught)


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_journal_there_is_nothing_to_fold(open_state, taught, damage):
    damage(taught / "model.snapshot")
    (taught / "journal.sqlite").unlink()
    with pytest.raises(SnapshotError) as error:
        open_state(read_only=True)
    one_line(error, taught / "model.snapshot")


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_snapshot_is_refused(open_state, taught, read_only):
    path = taught / "model.snapshot"
    content = bytearray(path.read_bytes())
    content[8] = 99
    path.write_bytes(content)
    with pytest.raises(SnapshotError) as error:
        open_state(read_only=read_only)
    one_line(error, path, "newer")
    assert path.read_bytes() == content


def test_a_directory_called_newer(open_state, tmp_path, is_exact):
    with open_state("newer") as spam_filter:
        spam_filter.learn_many(basics())
    torn(tmp_path / "newer" / "model.snapshot")
    with open_state("newer"):
        pass
    assert is_exact(tmp_path / "newer")


def test_other_settings_fold_again(open_state, taught, small, is_exact):
    other = with_model(small, shared_bits=13, personal_rate=0.1)
    with open_state(settings=other, read_only=True) as spam_filter:
        assert spam_filter.judge(NEW_PILLS).verdict is Verdict.SPAM
        status = spam_filter.status()
    assert status.settings_digest == other.digest()
    assert is_exact(taught)  # a reader leaves the snapshot of others alone
    with open_state(settings=other):
        pass
    assert is_exact(taught, other)
    assert contents(taught)[0]["settings"] == other.digest()


def test_settings_that_change_no_fold_keep_the_snapshot(open_state, taught):
    import dataclasses

    from mtspam.config import Settings, VerdictSettings
    from tests.spam.conftest import SMALL

    strict = Settings(model=SMALL, verdict=VerdictSettings(ham_below=1e-9, spam_above=1 - 1e-9))
    assert dataclasses.asdict(strict) != dataclasses.asdict(Settings(model=SMALL))
    counts = []
    with open_state(settings=strict, read_only=True, on_progress=counts.append) as spam_filter:
        assert spam_filter.judge(NEW_PILLS).verdict is Verdict.UNSURE
    assert counts == []


def test_check_notices_a_changed_bit(open_state, taught):
    path = taught / "model.snapshot"
    found = read_snapshot(path, verify=True)
    arrays = {name: array.copy() for name, array in found.arrays.items()}
    arrays["state"][0] += 1e-12
    arrays["personal_weights"][0, 0] = -0.0
    write_snapshot(path, dict(found.header), arrays)
    with open_state(read_only=True) as spam_filter:
        check = spam_filter.check()
    assert not check.is_equal
    assert check.differences == ("personal_weights", "state")
    assert check.n_events == 24


def test_check_of_a_snapshot_that_was_overtaken(open_state, taught):
    old = (taught / "model.snapshot").read_bytes()
    with open_state() as spam_filter:
        spam_filter.learn(NEW_PILLS, Label.SPAM)
    (taught / "model.snapshot").write_bytes(old)
    with open_state(read_only=True) as spam_filter:
        check = spam_filter.check()
    assert check.is_equal
    assert (check.position, check.head) == (24, 25)


def test_check_of_a_snapshot_from_the_future(open_state, taught):
    path = taught / "model.snapshot"
    found = read_snapshot(path, verify=True)
    arrays = {name: array.copy() for name, array in found.arrays.items()}
    for position in (-1, 25):
        write_snapshot(path, {**found.header, "position": position}, arrays)
        with open_state(read_only=True) as spam_filter:
            assert "position" in spam_filter.check().differences


def test_check_of_a_snapshot_behind_a_changed_mind(open_state, taught):
    old = (taught / "model.snapshot").read_bytes()
    with open_state() as spam_filter:
        (one, *_) = basics()
        assert spam_filter.learn(one.raw, Label.BULK).n_new == 1
        other = Label.HAM if one.label is Label.SPAM else Label.SPAM
        assert spam_filter.learn(one.raw, other).n_changed == 1
    with open_state(read_only=True) as spam_filter:
        assert not spam_filter.check().is_equal
    (taught / "model.snapshot").write_bytes(old)
    with open_state(read_only=True) as spam_filter:
        assert spam_filter.check().is_equal


def test_check_of_another_snapshot(open_state, taught, small):
    with open_state("other", with_model(small, max_users=9)) as spam_filter:
        spam_filter.learn_many(basics())
    shutil.copy(taught.with_name("other") / "model.snapshot", taught)
    with open_state() as spam_filter:
        assert spam_filter.check().differences[:2] == ("settings", "journal")


def test_check_of_a_damaged_state(open_state, taught):
    with open_state(read_only=True) as spam_filter:
        damaged_head(taught / "model.snapshot")
        with pytest.raises(SnapshotError):
            spam_filter.check()
        with sqlite3.connect(taught / "journal.sqlite") as connection:
            connection.execute("UPDATE events SET value = 0 WHERE seq = 5")
        connection.close()
        with pytest.raises(JournalError, match="event 5"):
            spam_filter.check()


def test_a_lost_journal_is_not_begun_anew(open_state, taught):
    """The next label would otherwise take the place of all that was learnt."""
    (taught / "journal.sqlite").unlink()
    before = files(taught)
    with pytest.raises(JournalError) as error:
        open_state()
    one_line(error, taught / "journal.sqlite", "restore it from a backup")
    assert files(taught) == before
    (taught / "model.snapshot").unlink()
    with open_state() as spam_filter:
        assert spam_filter.status().n_events == 0


def test_a_snapshot_that_cannot_be_written_hides_no_other_error(open_state, taught):
    def learn_in_vain():
        with open_state() as spam_filter:
            spam_filter.learn(NEW_PILLS, Label.SPAM)
            (taught / "model.snapshot.new").mkdir()
            raise DataError("what went wrong first")

    with pytest.raises(DataError, match="what went wrong first"):
        learn_in_vain()
    (taught / "model.snapshot.new").rmdir()
    with open_state() as spam_filter:  # the lock was let go of, and the label is there
        assert spam_filter.status().n_events == 25
