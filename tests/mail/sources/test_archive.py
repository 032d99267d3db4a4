import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc

import pytest

from mtspam.errors import DataError
from mtspam.mail.sources import SourceOptions, read_messages

FROM = b"From ana@example.org Mon Jan  6 10:00:00 2025\n"
PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def tar_of(*members, form=tarfile.PAX_FORMAT):
    """An archive of (name, content) pairs and of ready members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def read(path, **options):
    return [(m.name, m.raw) for m in read_messages([str(path)], options=SourceOptions(**options))]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("name", ["mail.tar", "mail"])
def test_members_are_messages_in_the_archives_order(tmp_path, packing, name):
    path = tmp_path / (name + packing)
    path.write_bytes(PACKERS[packing](tar_of(("b/2", b"B: 2\n\n"), ("a/1", b"A: 1\n\n"))))
    assert read(path) == [(f"{path}:b/2", b"B: 2\n\n"), (f"{path}:a/1", b"A: 1\n\n")]


def test_a_member_may_be_an_mbox(tmp_path):
    path = tmp_path / "mail.tar"
    box = FROM + b"A: 1\n\n" + FROM + b"B: 2\n\n"
    path.write_bytes(tar_of(("box", box), ("one", FROM + b"C: 3\n")))
    assert [name for name, _ in read(path)] == [f"{path}:box:1", f"{path}:box:2", f"{path}:one"]


def test_only_files_are_read_and_nothing_is_written(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    path = folder / "mail.tar"
    path.write_bytes(
        tar_of(
            special("folder", tarfile.DIRTYPE),
            special("link", tarfile.SYMTYPE, "/etc/passwd"),
            special("hard", tarfile.LNKTYPE, "../../etc/passwd"),
            special("pipe", tarfile.FIFOTYPE),
            special("device", tarfile.CHRTYPE),
            ("../../escape", b"A: 1\n"),
            ("/absolute", b"B: 2\n"),
            ("folder/.hidden", b"C: 3\n"),
            ("empty", b""),
        )
    )
    assert read(path) == [(f"{path}:../../escape", b"A: 1\n"), (f"{path}:/absolute", b"B: 2\n")]
    assert list(tmp_path.rglob("*")) == [folder, path]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_odd_names_fit_a_line_of_text(tmp_path, form):
    path = tmp_path / "mail.tar"
    names = ["new\nline", "\x1b[31mred", "caf\xe9", "bytes\udcff", "long/" * 100 + "x"]
    path.write_bytes(tar_of(*((name, b"A: 1\n") for name in names), form=form))
    assert [name.removeprefix(f"{path}:") for name, _ in read(path)] == [
        "new\\nline",
        "\\x1b[31mred",
        "caf\xe9",
        "bytes\\udcff",
        "long/" * 100 + "x",
    ]


def test_messages_are_cut_at_the_limit(tmp_path):
    path = tmp_path / "mail.tar"
    path.write_bytes(tar_of(("a", b"x" * 5_000), ("b", b"y" * 50)))
    assert [len(raw) for _, raw in read(path, max_message_bytes=100)] == [100, 50]


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_off_archive_is_an_error_that_names_it(tmp_path, packing, share):
    path = tmp_path / f"mail.tar{packing}"
    content = bytes(range(256)) * 300
    data = PACKERS[packing](tar_of(*((f"m{i}", content[i:]) for i in range(9))))
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=f"^{path}.*: damaged or cut off: "):
        read(path)


def test_an_archive_cut_off_within_a_member_names_the_member(tmp_path):
    path = tmp_path / "mail.tar"
    path.write_bytes(tar_of(("first", b"A: 1\n"), ("second", b"x" * 5_000))[:3_000])
    with pytest.raises(DataError, match=r"mail\.tar:second: damaged or cut off"):
        read(path)


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    path = tmp_path / "mail.tar"
    data = bytearray(tar_of(("first", b"A: 1\n"), ("second", b"B: 2\n")))
    data[1024 + 10] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"mail\.tar: damaged or cut off"):
        read(path)


@pytest.mark.parametrize("content", [b"no archive at all" * 100, b"short"])
def test_an_archive_by_name_alone_is_an_error(tmp_path, content):
    path = tmp_path / "mail.tar"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"mail\.tar: damaged or cut off"):
        read(path)


def test_an_archive_of_nothing_holds_nothing(tmp_path):
    path = tmp_path / "mail.tar"
    path.write_bytes(tar_of())
    assert read(path) == []


def test_endless_headers_are_refused(tmp_path):
    path = tmp_path / "mail.tar"
    name = tar_of(("x" * 200, b""), form=tarfile.GNU_FORMAT)[:1024]
    path.write_bytes(name * 2_000)
    with pytest.raises(DataError, match="too many headers"):
        read(path)


def test_a_header_that_claims_gigabytes_is_refused(tmp_path):
    path = tmp_path / "mail.tar"
    info = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 5_000_000_000
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 2_000)
    with pytest.raises(DataError, match="a header of 5000000000 bytes"):
        read(path)


def test_zstd_is_refused_with_a_way_out(tmp_path):
    path = tmp_path / "mail.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(DataError, match=r"mail\.tar\.zst: zstd is not read here; unpack it"):
        read(path)


def test_a_long_archive_takes_the_memory_of_one_message(tmp_path):
    path = tmp_path / "mail.tar.gz"
    path.write_bytes(
        gzip.compress(tar_of(*((f"m{i}", b"x" * 3_000) for i in range(3_000))), compresslevel=1)
    )
    messages = read_messages([str(path)])
    next(messages)
    tracemalloc.start()
    count = sum(1 for _ in messages)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2_999
    assert peak < 500_000
