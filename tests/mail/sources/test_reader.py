import gzip
import io
import mailbox
import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from mtspam.errors import ConfigError, DataError
from mtspam.mail.sources import SourceMessage, SourceOptions, count_hint, read_messages

FROM = b"From ana@example.org Mon Jan  6 10:00:00 2025\n"


def read(*paths, **options):
    return [
        (m.name, m.raw)
        for m in read_messages([str(path) for path in paths], options=SourceOptions(**options))
    ]


def names(*paths):
    return [name for name, _ in read(*paths)]


def make(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def stdin(monkeypatch):
    """Give a function that feeds bytes to the standard input through a pipe, one by one."""
    threads = []

    def feed(data):
        end, start = os.pipe()

        def write():
            with os.fdopen(start, "wb", buffering=0) as pipe:
                for at in range(len(data)):
                    pipe.write(data[at : at + 1])

        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(os.fdopen(end, "rb")))
        threads.append(threading.Thread(target=write))
        threads[-1].start()

    yield feed
    for thread in threads:
        thread.join(10)
    sys.stdin.close()


@pytest.fixture
def strangers_folder():
    """A folder whose file and folder this process may not read, not even if it runs as root."""
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder), file=b"A: 1\n")
        make(path / "folder", x=b"X: 1\n")
        path.chmod(0o755)
        (path / "file").chmod(0)
        (path / "folder").chmod(0)
        if (user := os.geteuid()) == 0:
            os.seteuid(65_534)
        yield path
        os.seteuid(user)
        (path / "folder").chmod(0o700)


def test_a_file_is_a_message(tmp_path):
    path = make(tmp_path, one=b"A: 1\r\n\r\n\xff\x00") / "one"
    assert list(read_messages([str(path)])) == [SourceMessage(str(path), b"A: 1\r\n\r\n\xff\x00")]


@pytest.mark.parametrize("n_bytes", [1, 30, 10_000])
def test_a_file_that_comes_in_pieces_is_read_to_its_end(tmp_path, monkeypatch, n_bytes):
    raw = b"Subject: a\n\n" + b"word " * 100
    path = make(tmp_path, message=raw) / "message"
    really = os.read
    monkeypatch.setattr(os, "read", lambda file, most: really(file, min(most, n_bytes)))
    assert read(path) == [(str(path), raw)]
    # A file of the system's own, of which no size is told.
    version = Path("/proc/version")
    assert read(version) == [(str(version), version.read_bytes())]


def test_an_mbox_is_known_by_its_content(tmp_path):
    make(tmp_path, box=FROM + b"A: 1\n\n" + FROM + b"B: 2\n", other=b"C: 3\n")
    path = (tmp_path / "other").rename(tmp_path / "other.mbox")
    assert names(tmp_path / "box", path) == [
        f"{tmp_path}/box:1",
        f"{tmp_path}/box:2",
        f"{tmp_path}/other.mbox",
    ]


def test_only_the_beginning_of_a_long_message_is_read(tmp_path):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(10**12)
    assert [len(raw) for _, raw in read(path, max_message_bytes=200_000)] == [200_000]


def test_a_limit_below_one_byte_is_refused():
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        SourceOptions(max_message_bytes=0)


def test_empty_files_hold_no_message(tmp_path):
    assert read(make(tmp_path, empty=b"") / "empty", tmp_path) == []


class TestDirectory:
    def test_files_are_found_below_in_sorted_order(self, tmp_path):
        make(tmp_path / "b", x=b"X: 1\n")
        make(tmp_path / "b" / "a", y=b"Y: 1\n")
        make(tmp_path, a=b"A: 1\n", c=FROM + b"C: 1\n\n" + FROM + b"C: 2\n")
        expected = [f"{tmp_path}/{name}" for name in ("a", "b/a/y", "b/x", "c:1", "c:2")]
        assert names(tmp_path) == names(f"{tmp_path}/") == expected

    def test_names_that_begin_with_a_dot_are_passed_over(self, tmp_path):
        make(tmp_path / ".git", x=b"X: 1\n")
        make(tmp_path, **{".hidden": b"A: 1\n", "seen": b"B: 1\n"})
        assert names(tmp_path) == [f"{tmp_path}/seen"]

    def test_loops_of_links_end(self, tmp_path):
        make(tmp_path / "a" / "b", x=b"X: 1\n")
        (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
        (tmp_path / "z").symlink_to(tmp_path / "a")
        assert names(tmp_path) == [f"{tmp_path}/a/b/x"]

    def test_links_to_files_are_followed(self, tmp_path):
        make(tmp_path / "real", x=b"X: 1\n")
        (make(tmp_path / "links") / "l").symlink_to(tmp_path / "real" / "x")
        assert read(tmp_path / "links") == [(f"{tmp_path}/links/l", b"X: 1\n")]

    @pytest.mark.parametrize("target", ["nowhere", "link"])
    def test_a_link_to_nothing_is_an_error(self, tmp_path, target):
        (tmp_path / "link").symlink_to(tmp_path / target)
        with pytest.raises(DataError, match=f"^{tmp_path}/link: "):
            read(tmp_path)

    def test_a_pipe_is_an_error_and_no_wait(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match=f"^{tmp_path}/pipe: neither a file nor a directory"):
            read(tmp_path)

    def test_content_alone_makes_no_archive_or_table(self, tmp_path):
        ustar = b"A: 1\n\n".ljust(257) + b"ustar"
        make(tmp_path, a=b"\x1f\x8b broken", b=b"PAR1", c=ustar.ljust(600), d=b"BZh9")
        assert [raw for _, raw in read(tmp_path)] == [
            b"\x1f\x8b broken",
            b"PAR1",
            ustar.ljust(600),
            b"BZh9",
        ]

    def test_tables_within_are_known_by_their_names(self, tmp_path):
        make(tmp_path, **{"t.csv": b"raw,user\nx,ana\n"})
        assert list(read_messages([str(tmp_path)])) == [
            SourceMessage(f"{tmp_path}/t.csv:1", b"x", "ana")
        ]

    def test_names_that_are_no_text_are_written_as_escapes(self, tmp_path):
        name = os.fsdecode(b"bad\xff\n")
        make(tmp_path, **{name: b"A: 1\n"})
        assert names(tmp_path) == [f"{tmp_path}/bad\\udcff\\n"]


class TestMaildir:
    def test_messages_are_those_in_cur_and_new(self, tmp_path):
        box = mailbox.Maildir(tmp_path / "box")
        box.add(b"A: 1\n\n")
        box.add_folder("Junk").add(b"B: 1\n\n")
        make(tmp_path / "box" / "cur", **{"9:2,S": b"C: 1\n", "8:2,": b"", ".x": b"D: 1\n"})
        make(tmp_path / "box" / "tmp", half=b"E: ")
        assert [raw for _, raw in read(tmp_path / "box")] == [b"C: 1\n", b"A: 1\n\n"]
        assert [raw for _, raw in read(tmp_path)] == [b"C: 1\n", b"A: 1\n\n"]

    def test_a_file_is_one_message_whatever_it_looks_like(self, tmp_path):
        content = FROM + b"A: 1\n\n" + FROM + b"B: 1\n\n"
        make(tmp_path / "new")
        make(tmp_path / "cur", **{"1": content, "2.csv": b"x", "3.tar.gz": b"\x1f\x8b"})
        assert [raw for _, raw in read(tmp_path)] == [content, b"x", b"\x1f\x8b"]

    def test_a_message_that_is_moved_is_read_and_one_deleted_is_not(self, tmp_path):
        make(tmp_path / "cur", **{"1:2,": b"A: 1\n", "2:2,": b"B: 1\n"})
        make(tmp_path / "new", **{"3": b"C: 1\n", "4": b"D: 1\n"})
        messages = read_messages([str(tmp_path)])
        assert next(messages).raw == b"A: 1\n"
        (tmp_path / "cur" / "2:2,").rename(tmp_path / "cur" / "2:2,S")
        (tmp_path / "new" / "3").rename(tmp_path / "cur" / "3:2,")
        (tmp_path / "new" / "4").unlink()
        assert [m.raw for m in messages] == [b"B: 1\n", b"C: 1\n"]


class TestStandardInput:
    def test_one_message(self, stdin):
        stdin(b"A: 1\n\nx")
        assert read("-") == [("-", b"A: 1\n\nx")]
        assert not sys.stdin.closed

    def test_an_mbox(self, stdin):
        stdin(FROM + b"A: 1\n\n" + FROM + b"B: 1\n")
        assert read("-") == [("-:1", b"A: 1\n"), ("-:2", b"B: 1\n")]

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_rows_of_json(self, stdin, pack):
        stdin(pack(b'{"raw": "A: 1", "user": "ana"}\n{"raw": "B: 2"}\n'))
        found = [(one.name, one.raw, one.user) for one in read_messages(["-"])]
        assert found == [("-:1", b"A: 1", "ana"), ("-:2", b"B: 2", None)]

    def test_nothing(self, stdin):
        stdin(b"")
        assert read("-") == []

    def test_a_table_that_cannot_come_by_a_pipe(self, stdin):
        stdin(b"PAR1 and more")
        with pytest.raises(DataError, match="-: a Parquet table"):
            read("-")

    def test_named_twice(self):
        with pytest.raises(DataError, match="once only"):
            read("-", "-")

    def test_closed_from_the_start(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(DataError, match="no standard input"):
            read("-")


class TestRefusal:
    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("missing", "No such file"),
            ("file/below", "Not a directory"),
            ("x" * 300, "File name too long"),
            ("nul\0", "is no path"),
        ],
    )
    def test_a_path_to_nothing(self, tmp_path, path, reason):
        make(tmp_path, file=b"A: 1\n")
        with pytest.raises(DataError, match=reason):
            read(f"{tmp_path}/{path}")

    def test_an_empty_path_is_not_the_current_folder(self):
        with pytest.raises(DataError, match="is no path"):
            read("")

    def test_all_paths_are_checked_before_the_first_is_read(self, tmp_path):
        make(tmp_path, file=b"A: 1\n")
        with pytest.raises(DataError, match="missing"):
            read_messages([f"{tmp_path}/file", f"{tmp_path}/missing"])

    def test_a_named_pipe_is_no_wait(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match="pipes are read as '-'"):
            read(tmp_path / "pipe")

    def test_a_file_that_becomes_a_pipe_is_no_wait(self, tmp_path):
        path = make(tmp_path, file=b"A: 1\n") / "file"
        messages = read_messages([str(path)])
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DataError, match="neither a file"):
            next(messages)

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
    def test_a_device(self, device):
        with pytest.raises(DataError, match=f"^{device}: "):
            read(device)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such file elsewhere")
    def test_a_file_that_fails_while_it_is_read(self):
        with pytest.raises(DataError, match=r"^/proc/self/mem: Input/output error"):
            read("/proc/self/mem")

    @pytest.mark.parametrize("name", ["file", "folder"])
    def test_no_permission(self, strangers_folder, name):
        with pytest.raises(DataError, match=f"{name}: Permission denied"):
            read(strangers_folder / name)


class TestCountHint:
    def test_files_are_counted(self, tmp_path):
        make(tmp_path / "a", x=b"X: 1\n", y=b"Y: 1\n")
        make(tmp_path, one=b"A: 1\n", empty=b"")
        assert count_hint([f"{tmp_path}/a", f"{tmp_path}/one", f"{tmp_path}/empty"]) == 3
        assert count_hint([]) == 0

    @pytest.mark.parametrize("path", ["box", "t.csv", "x.tar", "packed", "missing", "folder", "-"])
    def test_what_only_reading_would_tell_is_unknown(self, tmp_path, path):
        make(tmp_path, box=FROM, packed=b"\x1f\x8b", **{"t.csv": b"raw\n", "x.tar": b""})
        make(tmp_path / "folder", **{"x.ndjson": b""})
        make(tmp_path, one=b"A: 1\n")
        place = path if path == "-" else f"{tmp_path}/{path}"
        assert count_hint([f"{tmp_path}/one", place]) is None
