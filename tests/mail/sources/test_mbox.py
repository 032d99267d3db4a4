import io
import mailbox
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.mail.sources.mbox import is_mbox, read_stream, split_mbox

FROM = b"From ana@example.org Mon Jan  6 10:00:00 2025\n"


def split(data, limit=1000):
    return list(split_mbox(io.BufferedReader(io.BytesIO(data)), limit))


def read(data, limit=1000):
    return list(read_stream(io.BufferedReader(io.BytesIO(data)), "box", limit))


@pytest.mark.parametrize(
    "line",
    [
        b"From ana@example.org Mon Jan  6 10:00:00 2025",
        b"From - Mon Jan 06 10:00:00 2025",
        b"From MAILER-DAEMON Mon Jan  6 10:00:00 +0100 2025\r",
        b"From 1816492@xxx Mon Jan 06 10:00:00 +0000 2025",
        b'From "ana maria"@example.org Mon Jan  6 10:00 2025',
        b"From ana@example.org  Mon Jan  6 10:00:00 CET 1997 remote from host",
    ],
)
def test_lines_that_begin_a_message(line):
    assert is_mbox(line + b"\nSubject: a\n\n")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"From: ana@example.org Mon Jan  6 10:00:00 2025",
        b"From here to eternity",
        b"From 10:00 on we are in room 2",
        b">From ana@example.org Mon Jan  6 10:00:00 2025",
        b" From ana@example.org Mon Jan  6 10:00:00 2025",
    ],
)
def test_lines_that_do_not(line):
    assert not is_mbox(line + b"\nSubject: a\n\n")


def test_a_hostile_line_is_judged_at_once():
    # Two wildcards over 60 kB of times and no year would be quadratic.
    assert not is_mbox(b"From a " + b"10:00 " * 10_000)


def test_messages_lose_their_from_lines_and_separators():
    assert split(FROM + b"A: 1\n\nx\n\n" + FROM + b"B: 2\n\ny\n\n") == [
        b"A: 1\n\nx\n",
        b"B: 2\n\ny\n",
    ]


def test_crlf_line_ends_are_kept():
    crlf = FROM.replace(b"\n", b"\r\n")
    assert split(crlf + b"A: 1\r\n\r\nx\r\n\r\n" + crlf + b"B: 2\r\n") == [
        b"A: 1\r\n\r\nx\r\n",
        b"B: 2\r\n",
    ]


def test_one_level_of_quoting_is_taken_off():
    assert split(FROM + b"A: 1\n\n>From a\n>>From b\n> From c\nx >From d\n") == [
        b"A: 1\n\nFrom a\n>From b\n> From c\nx >From d\n"
    ]


def test_a_from_line_within_a_paragraph_begins_no_message():
    assert split(FROM + b"A: 1\n\nhe wrote\n" + FROM + b"x\n") == [
        b"A: 1\n\nhe wrote\n" + FROM + b"x\n"
    ]


def test_a_cut_message_leaves_the_next_whole():
    assert split(FROM + b"A: 1\n\n" + b"x\n" * 100 + b"\n" + FROM + b"B: 2\n", 10) == [
        b"A: 1\n\nx\nx\n",
        b"B: 2\n",
    ]


def test_a_line_longer_than_a_block_is_one_line():
    long = b"x" * 65_530 + b"\n\n"
    tricky = b"y" * 65_536 + FROM + b"z\n"
    assert split(FROM + b"A: 1\n\n" + long + tricky, 10**6) == [b"A: 1\n\n" + long + tricky]


def test_a_from_line_alone_makes_a_single_message_with_a_plain_name():
    assert read(FROM + b"A: 1\n\nx\n") == [("box", b"A: 1\n\nx\n")]


def test_several_messages_are_numbered():
    assert [name for name, _ in read((FROM + b"A: 1\n\nx\n\n") * 4)] == [
        "box:1",
        "box:2",
        "box:3",
        "box:4",
    ]


def test_an_empty_message_counts():
    assert read(FROM + b"\n" + FROM + b"B: 2\n") == [("box:1", b"\n"), ("box:2", b"B: 2\n")]


def test_a_stream_without_a_from_line_is_one_message():
    assert read(b"From here\nA: 1\n\n" + FROM) == [("box", b"From here\nA: 1\n\n" + FROM)]


def test_an_empty_stream_holds_nothing():
    assert read(b"") == []


BODY = st.lists(st.sampled_from([b"", b"x", b"From me", b">From you", b"From here"]), max_size=6)


@settings(max_examples=40)
@given(st.lists(BODY, min_size=1, max_size=5))
def test_what_the_standard_library_writes_is_read_back(tmp_path_factory, bodies):
    path = tmp_path_factory.mktemp("mbox") / "box"
    messages = [b"A: 1\n\n" + b"".join(line + b"\n" for line in lines) for lines in bodies]
    box = mailbox.mbox(path)
    for message in messages:
        box.add(message)
    box.close()
    # The library quotes "From " but not ">From ", so that one of its levels is lost for good.
    expected = [message.replace(b"\n>From", b"\nFrom").strip() for message in messages]
    assert [raw.strip() for raw in split(path.read_bytes(), 10**6)] == expected


def test_a_huge_mbox_takes_the_memory_of_one_message(tmp_path):
    message = FROM + b"Subject: a\n\n" + b"some words in a line\n" * 200 + b"\n"
    path = tmp_path / "box"
    path.write_bytes(message * 2_000)
    assert path.stat().st_size > 8_000_000
    tracemalloc.start()
    with path.open("rb") as stream:
        count = sum(1 for _ in split_mbox(stream, 10**6))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2_000
    assert peak < 300_000


def test_one_endless_message_takes_no_more_than_its_limit(tmp_path):
    path = tmp_path / "box"
    path.write_bytes(FROM + b"Subject: a\n\n" + b"x" * 20_000_000)
    tracemalloc.start()
    with path.open("rb") as stream:
        [raw] = split_mbox(stream, 100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(raw) == 100_000
    assert peak < 600_000
