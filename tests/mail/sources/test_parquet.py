import subprocess
import sys

import polars as pl
import pytest

from mtspam.errors import DataError
from mtspam.mail.sources import SourceMessage, SourceOptions, count_hint, read_messages


def read(path, **options):
    return list(read_messages([str(path)], options=SourceOptions(**options)))


def written(tmp_path, columns, name="m.parquet", **options):
    path = tmp_path / name
    pl.DataFrame(columns).write_parquet(path, **options)
    return path


@pytest.mark.parametrize("name", ["m.parquet", "m.pq", "table"])
def test_bytes_and_text_are_read_alike(tmp_path, name):
    for cells in ([b"A: \xff", None], ["A: é", None]):
        path = written(tmp_path, {"raw": cells, "user": ["ana", None]}, name)
        first = cells[0].encode() if isinstance(cells[0], str) else cells[0]
        assert read(path) == [
            SourceMessage(f"{path}:1", first, "ana"),
            SourceMessage(f"{path}:2", b"", None),
        ]


def test_rows_keep_their_order_over_slices_and_row_groups(tmp_path):
    path = written(tmp_path, {"raw": [f"A: {i}" for i in range(1_234)]}, row_group_size=300)
    messages = read(path)
    assert [m.raw for m in messages] == [b"A: %d" % i for i in range(1_234)]
    assert messages[-1].name == f"{path}:1234"
    assert count_hint([str(path), str(path)]) == 2_468


def test_columns_can_be_chosen_and_users_may_be_numbers(tmp_path):
    path = written(tmp_path, {"raw": ["no"], "text": ["yes!"], "owner": [7]})
    [message] = read(path, message_column="text", user_column="owner", max_message_bytes=3)
    assert (message.raw, message.user) == (b"yes", "7")


def test_a_file_without_rows_holds_nothing(tmp_path):
    assert read(written(tmp_path, {"raw": pl.Series([], dtype=pl.String)})) == []


def test_a_column_of_numbers_is_refused(tmp_path):
    with pytest.raises(DataError, match="column 'raw' is Int64, not text or bytes"):
        read(written(tmp_path, {"raw": [1]}))


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no column of messages .* among subject"):
        read(written(tmp_path, {"subject": ["a"]}))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, share):
    path = written(tmp_path, {"raw": [str(i) for i in range(5_000)]})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert count_hint([str(path)]) is None
    with pytest.raises(DataError, match=r"m\.parquet: "):
        read(path)


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path):
    path = written(tmp_path, {"raw": ["a"]}, "[x]*.parquet")
    written(tmp_path, {"raw": ["b"]}, "x1.parquet")
    assert [m.raw for m in read(path)] == [b"a"]


MEASURE = """
import sys
from pathlib import Path
from mtspam.mail.sources import read_messages

def own_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) // 1024

messages = read_messages([sys.argv[1]])
next(messages)
base = peak = own_megabytes()
for n, _ in enumerate(messages, 2):
    if n % 500 == 0:
        peak = max(peak, own_megabytes())
print(n, peak - base)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_a_long_file_takes_the_memory_of_some_slices(tmp_path):
    noise = pl.Series([f"{i:08}" * 500 for i in range(2_500)])
    path = tmp_path / "m.parquet"
    pl.DataFrame({"raw": pl.concat([noise] * 12)}).write_parquet(
        path, row_group_size=2_000, compression="uncompressed", use_pyarrow=False
    )
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    count, megabytes = map(int, result.stdout.split())
    # 120 MB of text; measured at about 20.
    assert count == 30_000
    assert megabytes < 60


def test_polars_is_imported_for_tables_only():
    code = "import sys, mtspam.mail.sources; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
