import gzip
import json
import tracemalloc

import pytest

from mtspam.errors import DataError
from mtspam.mail.sources import SourceMessage, SourceOptions, read_messages


def read(path, **options):
    return list(read_messages([str(path)], options=SourceOptions(**options)))


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_rows_are_named_by_number_and_user(tmp_path):
    path = written(tmp_path, "m.csv", 'user,raw\nana,"A: 1\n\nx, y"\n,"B: ""2"""\n')
    assert read(path) == [
        SourceMessage(f"{path}:1", b"A: 1\n\nx, y", "ana"),
        SourceMessage(f"{path}:2", b'B: "2"', None),
    ]


def test_tsv_and_a_byte_order_mark(tmp_path):
    path = written(tmp_path, "m.tsv", "\ufeffmessage\tuser\nA: 1, 2\tana\n")
    assert read(path) == [SourceMessage(f"{path}:1", b"A: 1, 2", "ana")]


def test_csv_keeps_bytes_and_line_ends_as_they_are(tmp_path):
    path = written(tmp_path, "m.csv", b'raw\r\n"A: caf\xe9\r\n\r\n\x00\xff"\r\n')
    assert [m.raw for m in read(path)] == [b"A: caf\xe9\r\n\r\n\x00\xff"]


def test_ndjson_rows_are_named_by_line(tmp_path):
    path = written(
        tmp_path,
        "m.jsonl",
        '{"raw": "A: 1\\n\\ncaf\\u00e9", "user": "ana"}\n\n{"user": 7, "raw": null}\n',
    )
    assert read(path) == [
        SourceMessage(f"{path}:1", "A: 1\n\ncafé".encode(), "ana"),
        SourceMessage(f"{path}:3", b"", "7"),
    ]


def test_bytes_that_are_no_utf8_survive_json(tmp_path):
    raw = bytes(range(256))
    path = written(
        tmp_path, "m.ndjson", json.dumps({"raw": raw.decode("utf-8", "surrogateescape")})
    )
    assert [m.raw for m in read(path)] == [raw]


def test_a_lone_surrogate_is_no_error(tmp_path):
    path = written(tmp_path, "m.ndjson", '{"raw": "A: \\ud800"}')
    assert [m.raw for m in read(path)] == [b"A: \xed\xa0\x80"]


def test_packed_tables_are_unpacked(tmp_path):
    path = written(tmp_path, "m.ndjson.gz", gzip.compress(b'{"raw": "A: 1"}\n'))
    assert read(path) == [SourceMessage(f"{path}:1", b"A: 1")]


@pytest.mark.parametrize("column", ["raw", "message", "email", "content"])
def test_the_column_of_messages_is_found_by_its_name(tmp_path, column):
    path = written(tmp_path, "m.csv", f"subject,{column}\nno,yes\n")
    assert [m.raw for m in read(path)] == [b"yes"]


def test_raw_goes_before_content(tmp_path):
    path = written(tmp_path, "m.csv", "content,raw\nno,yes\n")
    assert [m.raw for m in read(path)] == [b"yes"]


@pytest.mark.parametrize("name", ["m.csv", "m.ndjson"])
def test_columns_can_be_chosen(tmp_path, name):
    content = {"m.csv": "raw,text,owner\nno,yes,ben\n"}.get(
        name, '{"raw": "no", "text": "yes", "owner": "ben"}'
    )
    path = written(tmp_path, name, content)
    [message] = read(path, message_column="text", user_column="owner")
    assert (message.raw, message.user) == (b"yes", "ben")


@pytest.mark.parametrize("name", ["m.csv", "m.ndjson"])
def test_messages_are_cut_at_the_limit(tmp_path, name):
    content = {"m.csv": "raw\n12345\n"}.get(name, '{"raw": "12345"}')
    assert [m.raw for m in read(written(tmp_path, name, content), max_message_bytes=3)] == [b"123"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "a,b\n1,2\n", r"m\.csv: no column of messages .* among a, b"),
        ("m.csv", "raw,b\n1,2\n1\n", r"m\.csv:3: 1 cells where the header has 2"),
        ("m.csv", "raw,b\n1,2,3\n", r"m\.csv:2: 3 cells where the header has 2"),
        ("m.csv", 'raw\nx\n"open\nfor ever\n', r"m\.csv:4: unexpected end of data"),
        ("m.csv", 'raw\n"a"b\n', r"m\.csv:2: "),
        ("m.ndjson", '{"raw": "a"}\n{"raw": \n', r"m\.ndjson:2: no JSON"),
        ("m.ndjson", '{"raw": "a"}\n["raw"]\n', r"m\.ndjson:2: a row must be an object, got list"),
        ("m.ndjson", '{"raw": "a"}\n{"message": "a"}\n', r"m\.ndjson:2: no column 'raw'"),
        ("m.ndjson", '{"raw": 5}\n', r"m\.ndjson:1: a message must be text or bytes, got int"),
        ("m.ndjson", '{"raw": "a", "user": [1]}', r"m\.ndjson:1: a user must be text or a number"),
        ("m.ndjson", '{"raw": "a", "n": ' + "9" * 5_000 + "}", r"m\.ndjson:1: no JSON"),
        ("m.ndjson", '{"raw": "a", "n": ' + "[" * 200_000, r"m\.ndjson:1: n"),
        ("m.ndjson", '{"a": "1"}\n', r"m\.ndjson:1: no column of messages"),
        ("m.ndjson.gz", gzip.compress(b'{"raw": "a"}\n' * 99)[:-9], r"m\.ndjson\.gz: damaged or"),
    ],
)
def test_a_broken_table_is_an_error_that_names_the_line(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, name, content))


@pytest.mark.parametrize("option", ["message_column", "user_column"])
def test_a_missing_column_is_an_error_that_names_those_there(tmp_path, option):
    path = written(tmp_path, "m.csv", "raw,b\n1,2\n")
    with pytest.raises(DataError, match=r"m\.csv: no column 'c'; it has raw, b"):
        read(path, **{option: "c"})


@pytest.mark.parametrize("name", ["m.csv", "m.ndjson", "m.tsv"])
def test_an_empty_table_holds_nothing(tmp_path, name):
    assert read(written(tmp_path, name, "")) == []


def test_rows_before_a_broken_one_are_given(tmp_path):
    messages = read_messages([str(written(tmp_path, "m.ndjson", '{"raw": "a"}\nbroken\n'))])
    assert next(messages).raw == b"a"
    with pytest.raises(DataError, match=":2: "):
        next(messages)


@pytest.mark.parametrize(
    ("name", "head", "row"), [("m.csv", "raw\n", '"{}"\n'), ("m.ndjson", "", '{{"raw": "{}"}}\n')]
)
def test_a_long_table_takes_the_memory_of_one_row(tmp_path, name, head, row):
    path = written(tmp_path, name, head + row.format("x" * 3_000) * 3_000)
    tracemalloc.start()
    count = sum(1 for _ in read_messages([str(path)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3_000
    assert peak < 500_000
