import os
import threading

import pytest

from mtspam.errors import JournalError
from mtspam.spam.state import SECRET_BYTES, StateDirectory
from tests.spam.conftest import fill


@pytest.fixture
def directory(tmp_path):
    return StateDirectory(tmp_path / "deep" / "state")


def one_line(error, *words):
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text


def prepared(directory):
    with directory.writing():
        directory.prepare()
    return directory


def test_a_new_state(directory):
    assert not directory.exists
    assert directory.is_blank
    prepared(directory)
    assert directory.exists
    assert directory.is_blank
    secret = directory.path / "secret"
    assert len(directory.secret()) == SECRET_BYTES
    assert secret.stat().st_mode & 0o777 == 0o600
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in directory.path.iterdir()} == {"secret", "writer.lock"}


def test_a_secret_is_made_once(directory, tmp_path):
    secret = prepared(directory).secret()
    assert prepared(directory).secret() == secret
    assert prepared(StateDirectory(tmp_path / "other")).secret() != secret


def test_a_secret_half_made_is_made_anew(directory):
    directory.path.mkdir(parents=True)
    (directory.path / "secret.new").write_bytes(b"torn")
    assert len(prepared(directory).secret()) == SECRET_BYTES
    assert not (directory.path / "secret.new").exists()


@pytest.mark.parametrize("name", ["journal.sqlite", "model.snapshot"])
def test_no_new_secret_beside_what_was_learnt_with_another(directory, name):
    directory.path.mkdir(parents=True)
    (directory.path / name).write_bytes(b"learnt")
    prepared(directory)
    with pytest.raises(JournalError) as error:
        directory.secret()
    one_line(error, directory.path / "secret", "backup")


@pytest.mark.parametrize("secret", [b"", b"short", bytes(33)])
def test_a_damaged_secret(directory, secret):
    prepared(directory)
    (directory.path / "secret").write_bytes(secret)
    with pytest.raises(JournalError) as error:
        directory.secret()
    one_line(error, f"{len(secret)} bytes", "backup")


def test_a_secret_that_cannot_be_read(directory):
    directory.path.mkdir(parents=True)
    (directory.path / "secret").mkdir()
    with pytest.raises(JournalError) as error:
        directory.secret()
    one_line(error, "directory")


def test_one_writer(directory):
    with directory.writing():
        with pytest.raises(JournalError) as error, StateDirectory(directory.path).writing():
            pass
        one_line(error, directory.path, "another process")
    with directory.writing():
        pass


def test_first_writers_at_once_share_one_secret(tmp_path):
    """Whoever is refused must not have made a secret of their own."""
    for attempt in range(20):
        path = tmp_path / str(attempt)
        start, seen = threading.Barrier(4), []

        def write(path=path, start=start, seen=seen):
            mine = StateDirectory(path)
            start.wait()
            try:
                with mine.writing():
                    mine.prepare()
                    seen.append(mine.secret())
            except JournalError:
                pass

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(seen) == {StateDirectory(path).secret()}


def test_a_file_in_the_place_of_the_state(tmp_path):
    (tmp_path / "file").write_text("no directory")
    directory = StateDirectory(tmp_path / "file")
    with pytest.raises(JournalError) as error, directory.writing():
        pass
    one_line(error, tmp_path / "file", "written")
    with pytest.raises(JournalError) as error:
        directory.exists  # noqa: B018  # asking is what fails
    one_line(error, tmp_path / "file", "read")


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(JournalError) as error:
        StateDirectory(tmp_path / ("x" * 300)).exists  # noqa: B018  # asking is what fails
    one_line(error, "too long")


def test_a_read_only_directory(directory, sealed):
    directory.path.mkdir(parents=True)
    sealed(directory.path)
    with pytest.raises(JournalError) as error, directory.writing():
        pass
    one_line(error, directory.path, "written")


def test_a_full_disk_leaves_no_secret(small_disk):
    directory = StateDirectory(small_disk / "state")
    with directory.writing():
        filler = fill(small_disk)
        with pytest.raises(JournalError) as error:
            directory.prepare()
        one_line(error, directory.path, "space")
    assert not (directory.path / "secret").exists()
    filler.unlink()
    assert len(prepared(directory).secret()) == SECRET_BYTES


def test_which_is_younger(directory):
    directory.path.mkdir(parents=True)
    assert not directory.is_journal_newer()
    log = directory.path / "journal.sqlite-wal"

    def put(path, time, content=b"x"):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))

    put(directory.journal, 100)
    assert directory.is_journal_newer()  # there is no snapshot
    put(directory.snapshot, 101)
    assert not directory.is_journal_newer()
    put(directory.journal, 101)
    assert directory.is_journal_newer()  # a tick of the clock does not tell
    put(directory.snapshot, 102)
    put(log, 103, b"")
    assert not directory.is_journal_newer()  # an empty log says nothing
    put(log, 103)
    assert directory.is_journal_newer()


def test_dropping_the_snapshot(directory):
    prepared(directory)
    directory.drop_snapshot()
    for name in ("model.snapshot", "model.snapshot.new", "journal.sqlite"):
        (directory.path / name).write_bytes(b"x")
    assert directory.size_bytes() > 0
    directory.drop_snapshot()
    names = {path.name for path in directory.path.iterdir()}
    assert names == {"secret", "writer.lock", "journal.sqlite"}
