import fcntl
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from mtspam.errors import SnapshotError
from mtspam.snapshot import FORMAT_VERSION, read_snapshot, write_snapshot

ROOT = Path(__file__).resolve().parents[1]
PAGE = 4096


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.snapshot"


def sample(seed=1):
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.random((3, 2000), dtype=np.float32),
        "counts": rng.integers(0, 9, 1500),
        "flags": np.array([True, False, True]),
        "one": np.array(2.5),
        "none": np.zeros((4, 0), dtype=np.uint32),
    }


def refusal(path, *, verify=False):
    with pytest.raises(SnapshotError) as caught:
        read_snapshot(path, verify=verify)
    text = str(caught.value)
    assert text.startswith(f"snapshot {path}: ")
    assert "\n" not in text
    return text


def test_what_was_written_comes_back(path):
    header = {"position": 7, "settings": "ab" * 16, "views": ["a", "b"], "x": {"y": None}}
    write_snapshot(path, header, sample())
    snapshot = read_snapshot(path, verify=True)
    assert snapshot.header == header
    assert snapshot.arrays.keys() == sample().keys()
    for name, array in sample().items():
        found = snapshot.arrays[name]
        np.testing.assert_array_equal(found, array, strict=True)
        assert type(found) is np.ndarray
        assert found.flags.c_contiguous
        assert found.size == 0 or found.ctypes.data % PAGE == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)  # fmt: skip
arrays = st_numpy.arrays(
    st_numpy.scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf"),
    st_numpy.array_shapes(min_dims=0, min_side=0, max_dims=3),
)


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json_values, max_size=4),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), arrays, max_size=4),
)
@settings(deadline=None, max_examples=60)
def test_reading_undoes_writing(tmp_path_factory, header, contents):
    path = tmp_path_factory.mktemp("snapshot") / "model"
    write_snapshot(path, header, contents)
    snapshot = read_snapshot(path, verify=True)
    assert snapshot.header == header
    assert snapshot.arrays.keys() == contents.keys()
    for name, array in contents.items():
        np.testing.assert_array_equal(snapshot.arrays[name], array)
        assert snapshot.arrays[name].shape == array.shape


def test_equal_input_gives_equal_bytes(path):
    write_snapshot(path, {"a": 1, "b": 2}, sample())
    first = path.read_bytes()
    path.with_name("model.snapshot.new").write_bytes(b"left over from a crash" * 9999)
    write_snapshot(path, {"b": 2, "a": 1}, dict(reversed(sample().items())))
    assert path.read_bytes() == first
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_arrays_of_any_layout_keep_their_values(path):
    base = np.arange(24, dtype=np.int32).reshape(4, 6)
    odd = {"columns": base[:, ::2], "turned": base.T, "swapped": base.astype(">i4")}
    write_snapshot(path, {}, odd)
    for name, array in odd.items():
        np.testing.assert_array_equal(read_snapshot(path, verify=True).arrays[name], array)


def test_zeros_cost_no_disk(path):
    table = np.zeros(1 << 22, dtype=np.float32)
    table[[5, 1 << 20, (1 << 22) - 1]] = 1
    write_snapshot(path, {}, {"table": table, "rest": np.zeros(3)})
    assert path.stat().st_size > table.nbytes
    assert path.stat().st_blocks * 512 <= 64 * PAGE
    np.testing.assert_array_equal(read_snapshot(path, verify=True).arrays["table"], table)


def test_a_reader_keeps_what_it_has_mapped(path):
    write_snapshot(path, {"n": 1}, {"a": np.full(5000, 1.0)})
    old = read_snapshot(path, verify=False)
    write_snapshot(path, {"n": 2}, {"a": np.full(10, 2.0)})
    assert old.arrays["a"].tolist() == [1.0] * 5000
    assert read_snapshot(path, verify=False).arrays["a"].tolist() == [2.0] * 10


def test_every_cut_and_every_tail_is_found(path):
    write_snapshot(path, {}, sample())
    content = path.read_bytes()
    for size in [*range(40), *range(40, len(content), 509), len(content) - 1]:
        path.write_bytes(content[:size])
        assert "torn" in refusal(path)
    path.write_bytes(content + b"\0")
    assert "torn" in refusal(path)


def test_every_flipped_bit_is_found_or_harmless(path):
    write_snapshot(path, {"n": 1}, sample())
    content = path.read_bytes()
    rng = random.Random(3)
    n_head = content.index(b"\0" * 64)
    places = [*range(n_head), *rng.sample(range(len(content)), 300)]
    n_found = 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            snapshot = read_snapshot(path, verify=True)
        except SnapshotError:
            n_found += 1
            continue
        assert place >= n_head
        assert snapshot.header == {"n": 1}
        for name, array in sample().items():
            np.testing.assert_array_equal(snapshot.arrays[name], array)
    assert n_found > n_head + 200


def test_a_damaged_array_is_named_when_verifying(path):
    write_snapshot(path, {}, {"a": np.ones(9), "b": np.ones(9)})
    content = bytearray(path.read_bytes())
    content[-PAGE] ^= 1
    path.write_bytes(content)
    read_snapshot(path, verify=False)
    text = refusal(path, verify=True)
    assert "array 'b' is damaged; rebuild it with `mtspam fold`" in text


def test_a_newer_format_is_refused(path):
    write_snapshot(path, {}, sample())
    content = bytearray(path.read_bytes())
    content[8] = FORMAT_VERSION + 1
    path.write_bytes(content)
    text = refusal(path)
    assert f"newer mtspam (format {FORMAT_VERSION + 1}" in text
    assert text.endswith("; upgrade mtspam")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"short", "torn, or no snapshot"),
        (b"SQLite format 3\0" * 99, "no snapshot of mtspam"),
        (bytes(9999), "no snapshot of mtspam"),
    ],
)
def test_another_file_is_refused(path, content, words):
    path.write_bytes(content)
    assert words in refusal(path)


def test_a_missing_file_is_refused(path):
    assert "No such file" in refusal(path)
    assert "directory" in refusal(path.parent)


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_only_numbers_are_stored(path, bad):
    with pytest.raises(TypeError, match="array 'bad'"):
        write_snapshot(path, {}, {"bad": bad})
    with pytest.raises(ValueError, match="JSON"):
        write_snapshot(path, {"x": float("nan")}, {})
    assert list(path.parent.iterdir()) == []


def test_a_missing_directory_is_not_made(path):
    with pytest.raises(SnapshotError, match="No such file"):
        write_snapshot(path / "deeper", {}, {})


def test_a_full_disk_keeps_the_old_one(small_disk):
    path = small_disk / "model.snapshot"
    write_snapshot(path, {"n": 1}, sample())
    before = path.read_bytes()
    with pytest.raises(SnapshotError, match="No space"):
        write_snapshot(path, {"n": 2}, {"big": np.ones(1 << 18)})
    assert path.read_bytes() == before
    assert [one.name for one in small_disk.iterdir()] == [path.name]


def test_a_limit_on_file_sizes_keeps_the_old_one(path, file_size_limit):
    write_snapshot(path, {"n": 1}, sample())
    before = path.read_bytes()
    with file_size_limit(100_000), pytest.raises(SnapshotError, match="too large"):
        write_snapshot(path, {"n": 2}, {"big": np.ones(1 << 18)})
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_read_only_directory_keeps_the_old_one(tmp_path, sealed):
    state = tmp_path / "state"
    state.mkdir()
    path = state / "model.snapshot"
    write_snapshot(path, {"n": 1}, sample())
    sealed(state)
    with pytest.raises(SnapshotError, match=r"Read-only|Permission"):
        write_snapshot(path, {"n": 2}, sample())
    assert read_snapshot(path, verify=True).header == {"n": 1}


# Writes ever new snapshots and says after each what it has been promised.
CODE = """
import itertools, sys
import numpy as np
from mtspam.snapshot import write_snapshot
for n in itertools.count(int(sys.argv[2])):
    write_snapshot(sys.argv[1], {"n": n}, {"a": np.full(1 << 19, n), "b": np.full(999, n)})
    print(n, flush=True)
"""


def writer(path, start):
    return subprocess.Popen(
        [sys.executable, "-c", CODE, path, str(start)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_a_killed_writer_leaves_the_old_one_or_the_new_one(path):
    for start, n_promises in ((0, 1), (100, 5), (200, 9), (300, 2)):
        with writer(path, start) as process:
            for _ in range(n_promises):
                promised = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            promised = max([promised, *map(int, process.stdout.read().split())])
        assert process.returncode == -signal.SIGKILL
        snapshot = read_snapshot(path, verify=True)
        n = snapshot.header["n"]
        assert promised <= n <= promised + 1
        assert all((array == n).all() for array in snapshot.arrays.values())
    write_snapshot(path, {}, {})
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_readers_see_whole_snapshots_while_another_process_writes(path):
    seen = set()
    with writer(path, 0) as process:
        process.stdout.readline()
        while len(seen) < 8:
            snapshot = read_snapshot(path, verify=True)
            seen.add(snapshot.header["n"])
            assert all((array == snapshot.header["n"]).all() for array in snapshot.arrays.values())
        process.kill()


def test_a_second_writer_is_refused(path):
    write_snapshot(path, {"n": 1}, sample())
    with path.with_name("model.snapshot.new").open("wb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(
            SnapshotError, match="another process is writing it; the old one stays"
        ):
            write_snapshot(path, {"n": 2}, {})
    assert read_snapshot(path, verify=True).header == {"n": 1}
    write_snapshot(path, {"n": 2}, {})
    assert read_snapshot(path, verify=True).header == {"n": 2}


def test_scoring_needs_no_database_and_no_compiler():
    code = (
        "import sys, mtspam.snapshot\n"
        "print(*sorted({'sqlalchemy', 'sqlite3', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "\n"


def test_writing_to_a_mapped_array_stays_in_this_process(path):
    write_snapshot(path, {}, {"weights": np.zeros(5000)})
    read_snapshot(path, verify=True).arrays["weights"][:] = 1.0
    assert not read_snapshot(path, verify=True).arrays["weights"].any()
