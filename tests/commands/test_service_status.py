import click
import pytest

from mtspam.commands.service_status import status_lines
from mtspam.serve.counters import Counters

MODEL = {
    "generation": 3,
    "position": 12_345,
    "snapshot_position": 12_000,
    "n_users": 40,
    "n_groups": 1,
    "n_corrections": 0,
    "n_refolds": 2,
    "n_waiting": 0,
    "writer": 77,
}


def shown(uptime=0.0, counts=(), **model):
    said = {f"model:{name}": float(value) for name, value in {**MODEL, **model}.items()}
    reply = {"version": "1.2.3", "uptime": uptime, "counts": {**dict(counts), **said}}
    return click.unstyle("\n".join(status_lines(reply)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 seconds"),
        (61.9, "1 minute 1 second"),
        (3_600, "1 hour"),
        (3_605, "1 hour"),
        (3 * 86_400 + 2 * 3_600 + 59, "3 days 2 hours"),
    ],
)
def test_a_duration_in_words(seconds, text):
    assert f"\nup       {text}\n" in shown(seconds)


def test_processes_and_who_is_missing():
    processes = [
        {"name": "supervisor", "pid": 7, "uptime": 3_600.5, "begun": 1},
        {"name": "writer", "pid": 0, "uptime": 0.0, "begun": 2},
        {"name": "worker 0", "pid": 9, "uptime": 60.0, "begun": 3},
        {"name": "worker 1", "pid": 0, "uptime": 0.0, "begun": 0},
    ]
    reply = {"uptime": 3_600, "processes": processes}
    assert click.unstyle("\n".join(status_lines(reply))).splitlines()[2:6] == [
        "runs as  supervisor  process 7, up 1 hour",
        "         writer      NOT THERE",
        "         worker 0    process 9, up 1 minute, started 3 times",
        "         worker 1    not there yet",
    ]


def test_counts_one_below_the_other():
    counters = Counters(1)
    for _ in range(1_200):
        counters.count_ruling("no action", 0.0004)
    for _ in range(30):
        counters.count_ruling("add header", 0.004)
    counters.count_label("new")
    counters.count("spamd_broken")
    assert shown(0, counters.totals()).splitlines()[2:6] == [
        "mail     1,230 verdicts, 0.49 ms each in the mean, 99 % within 5 ms",
        "         no action   1,200",
        "         add header     30",
        "labels   new  1",
    ]
    assert shown(0, counters.totals()).endswith("\nothers   spamd_broken  1")


def test_slower_than_any_class_is_told():
    counters = Counters(1)
    counters.count_ruling("no action", 60.0)
    assert ", 99 % in over 5 s" in shown(0, counters.totals())


def test_the_model_and_its_writer():
    assert shown().splitlines()[-4:] == [
        "model    at 12,345 in the journal; 345 places since the last snapshot",
        "         40 users, 1 group",
        "         generation 3, folded anew 2 times while serving, exact",
        "         0 labels waiting for the writer, process 77",
    ]
    assert "1 correction since" in shown(n_corrections=1)
    assert "NOT THERE" in shown(writer=0)


def test_a_service_that_counts_nothing_and_odd_names():
    assert "nothing is told of it" in "\n".join(status_lines({}))
    (line,) = [line for line in status_lines({"counts": {"\x1b[2J": 1.5}}) if "1.500" in line]
    assert "\x1b[2J" not in line
