import pytest

from mtspam.errors import DataError
from mtspam.serve.watch.memory import Memory


@pytest.fixture
def memory(tmp_path):
    kept = Memory(tmp_path / "watch.sqlite", most=3)
    yield kept
    kept.close()


def test_places_outlive_the_process(tmp_path, memory):
    with memory.writing():
        memory.met("ana")
        memory.put("ana", b"1", is_junk=True)
        memory.note("ana", "Junk", "1.a")
    memory.close()
    again = Memory(tmp_path / "watch.sqlite")
    assert not again.is_new("ana")
    assert again.is_new("bob")
    assert again.is_junk("ana", b"1") is True
    assert again.is_junk("bob", b"1") is None
    assert again.known("ana", "Junk") == {"1.a"}
    again.close()


def test_the_oldest_places_make_room(memory):
    with memory.writing():
        for n in range(10):
            memory.put("ana", b"%d" % n, is_junk=False)
        memory.put("bob", b"0", is_junk=True)
        memory.trim("ana")
    kept = [n for n in range(10) if memory.is_junk("ana", b"%d" % n) is not None]
    assert kept == [7, 8, 9]
    assert memory.is_junk("bob", b"0")


def test_files_that_are_gone_are_forgotten(memory):
    with memory.writing():
        for folder in ("INBOX", "Junk"):
            for n in range(3):
                memory.note("ana", folder, str(n))
        memory.drop("ana", "INBOX", {"0", "1"})
        memory.drop_folders("ana", {"INBOX"})
    assert memory.known("ana", "INBOX") == {"2"}
    assert memory.known("ana", "Junk") == set()


def test_what_fails_half_way_leaves_nothing(memory):
    def fail():
        with memory.writing():
            memory.put("ana", b"1", is_junk=True)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert memory.is_junk("ana", b"1") is None


def test_what_is_no_memory_is_refused(tmp_path):
    path = tmp_path / "watch.sqlite"
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(DataError, match=r"watch\.sqlite: .*cannot be opened"):
        Memory(path)
    with pytest.raises(DataError):
        Memory(tmp_path / "none" / "watch.sqlite")


def test_it_is_nobody_else_s_and_damage_is_told(tmp_path, memory):
    path = tmp_path / "watch.sqlite"
    assert path.stat().st_mode & 0o077 == 0
    with memory.writing():
        for n in range(5_000):
            memory.note("ana", "Junk", str(n))
    memory.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"x" * (len(content) - 4096))
    with pytest.raises(DataError, match=r"watch\.sqlite: "):
        Memory(path).known("ana", "Junk")
