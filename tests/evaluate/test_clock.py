"""Times for messages that have none."""

from mtspam.evaluate.clock import with_times
from mtspam.evaluate.index import read_index

DAY = 86_400


def _times(tmp_path, lines):
    path = tmp_path / "index"
    path.write_text("\n".join(lines))
    return [entry.time for entry in with_times(read_index(path))]


def test_a_stream_of_nobody_has_twenty_messages_a_day(tmp_path):
    times = _times(tmp_path, [f"ham {i}" for i in range(41)])
    assert times == sorted(times)
    assert [time // DAY for time in times] == [0] * 20 + [1] * 20 + [2]


def test_each_user_has_twenty_messages_a_day(tmp_path):
    times = _times(tmp_path, [f"ham {i} {'ab'[i % 2]}" for i in range(60)])
    assert [time // DAY for time in times] == [0] * 40 + [1] * 20
    assert times[0::2] == times[1::2]


def test_times_that_are_told_stay_and_are_not_counted(tmp_path):
    lines = ["ham a 993467899", *[f"ham {i}" for i in range(20)], "ham b u 7", "ham c u"]
    times = _times(tmp_path, lines)
    assert times[0] == 993467899
    assert {time // DAY for time in times[1:21]} == {0}
    assert times[21:] == [7, 0]
