"""`mtspam score`: what it reads, what it writes, in which order, by how many processes."""

import csv
import inspect
import io
import json
import math
import os
import select
import signal
import threading
from pathlib import Path

import polars as pl
import pytest

from mtspam.commands import scoring
from mtspam.commands.exits import Exit
from mtspam.commands.scoring import COLUMNS
from mtspam.config import Settings
from mtspam.errors import MtspamError
from mtspam.mail.sources import SourceMessage
from tests.commands.conftest import HAM, SPAM, mbox, messages


def rows(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_ndjson(taught, mail):
    spam, ham = rows(taught("score", mail / "spam.eml", mail / "ham.eml", "--format", "ndjson"))
    assert tuple(spam) == COLUMNS
    assert (
        *("name", "user", "verdict", "probability", "score", "shared", "group", "personal"),
        *("starter", "phishing", "bulk"),
    ) == COLUMNS
    assert spam["name"] == str(mail / "spam.eml")
    assert spam["score"] > 0 > ham["score"]
    assert spam["user"] is None
    assert spam["phishing"] is None
    assert spam["score"] == pytest.approx(spam["shared"] + spam["group"] + spam["personal"])


def test_json_is_one_array(taught, mail):
    args = ("score", mail / "spam.eml", mail / "ham.eml")
    assert json.loads(taught(*args, "--json").stdout) == rows(taught(*args, "--format", "ndjson"))
    (mail / "empty.mbox").write_bytes(b"")
    assert json.loads(taught("score", mail / "empty.mbox", "--json").stdout) == []


def test_csv(taught, mail):
    (mail / "odd, name.eml").write_text(HAM)
    found = taught("score", mail / "odd, name.eml", "--format", "csv").stdout
    header, row = csv.reader(io.StringIO(found))
    assert tuple(header) == COLUMNS
    assert row[0].endswith("odd, name.eml")
    assert float(row[4]) < 0
    assert row[9] == ""


def test_table(taught, mail):
    lines = taught("score", mail / "spam.eml", "--user", "a\x1bb").stdout.splitlines()
    assert lines[0].split()[:2] == ["verdict", "spam"]
    assert str(mail / "spam.eml") in lines[1]
    assert "\x1b" not in lines[1]


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson", "json"])
def test_output_file(taught, mail, ending):
    target = mail / f"scores.{ending}"
    result = taught("score", mail / "spam.mbox", "--output", target)
    assert result.output == ""
    if ending != "parquet":
        taught("score", mail / "spam.mbox", "--output", target, "--format", ending)
    read = {
        "parquet": pl.read_parquet,
        "csv": pl.read_csv,
        "ndjson": pl.read_ndjson,
        "json": pl.read_json,
    }[ending]
    table = read(target)
    assert tuple(table.columns) == COLUMNS
    assert table["name"].to_list() == [f"{mail / 'spam.mbox'}:{i}" for i in range(1, 13)]
    scores = [
        row["score"] for row in rows(taught("score", mail / "spam.mbox", "--format", "ndjson"))
    ]
    assert table["score"].to_list() == scores
    assert table["phishing"].null_count() == 12
    assert sorted(path.name for path in mail.glob(".*")) == []


def test_a_failure_leaves_the_old_file(taught, mail):
    target = mail / "scores.csv"
    target.write_text("old")
    (mail / "broken.csv").write_text("raw,user\nSubject: a,ann\nSubject: b\n")
    result = taught("score", mail / "broken.csv", "--output", target, code=Exit.INPUT)
    assert f"{mail / 'broken.csv'}:3: " in result.stderr
    assert target.read_text() == "old"
    assert sorted(path.name for path in mail.glob(".*")) == []


def test_a_full_disk_under_a_file(taught, mail):
    (mail / "full.csv").symlink_to("/dev/full")
    result = taught("score", mail / "spam.mbox", "--output", mail / "full.csv", code=Exit.INPUT)
    assert (
        result.stderr
        == f"mtspam: {mail / 'full.csv'}: cannot be written: No space left on device\n"
    )


def test_users_of_a_table_go_before_the_option(taught, mail):
    (mail / "mail.csv").write_text("user,raw\nann,Subject: a\n,Subject: b\n")
    found = rows(taught("score", mail / "mail.csv", "--user", "bob", "--format", "ndjson"))
    assert [row["user"] for row in found] == ["ann", "bob"]


def test_columns_of_a_table(taught, mail):
    (mail / "mail.csv").write_text("who,text,raw\nann,Subject: a,x\n")
    options = ("--message-column", "text", "--user-column", "who", "--format", "ndjson")
    (found,) = rows(taught("score", mail / "mail.csv", *options))
    assert found["user"] == "ann"
    bad = taught("score", mail / "mail.csv", "--user-column", "whom", code=Exit.INPUT)
    assert "'whom'" in bad.stderr


def test_the_user_counts(taught, mail):
    taught("learn", "ham", mail / "spam.mbox", "--user", "ann", "--group", "firm")
    ann, bob = (
        rows(taught("score", mail / "spam.eml", "--user", user, "--format", "ndjson"))[0]
        for user in ("ann", "bob")
    )
    assert ann["personal"] < 0 == bob["personal"]
    (firm,) = rows(taught("score", mail / "spam.eml", "--group", "firm", "--format", "ndjson"))
    assert firm["group"] < 0 == bob["group"]


def test_standard_input(program, taught, mail):
    process = program("score", "-", "--format", "ndjson")
    out, err = process.communicate((mail / "spam.mbox").read_bytes())
    assert (process.returncode, err) == (0, b"")
    assert [json.loads(line)["name"] for line in out.splitlines()] == [
        f"-:{i}" for i in range(1, 13)
    ]


def test_without_a_state_the_starter_judges(run, mail, environment):
    (found,) = rows(run("score", mail / "spam.eml", "--format", "ndjson"))
    assert found["score"] == found["shared"]
    assert not environment.exists()


@pytest.mark.parametrize("kind", ["mbox", "parquet"])
def test_many_processes_say_the_same_as_one(program, taught, mail, kind):
    texts = [
        text for pair in zip(messages(SPAM, 700), messages(HAM, 700), strict=True) for text in pair
    ]
    if kind == "mbox":
        (mail / "many.mbox").write_bytes(mbox(texts))
    else:
        users = [f"user{i % 7}" for i in range(len(texts))]
        pl.DataFrame({"raw": texts, "user": users}).write_parquet(mail / "many.parquet")
    outs = []
    for jobs in (1, 2):
        process = program("score", mail / f"many.{kind}", "--jobs", jobs, "--format", "csv")
        out, err = process.communicate()
        assert (process.returncode, err) == (0, b"")
        outs.append(out)
    assert outs[0].count(b"\n") == 1401
    assert outs[0] == outs[1]


def workers(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def scoring_apart(program):
    """A run whose workers have given some results and wait for more messages."""
    process = program("score", "-", "--jobs", "2", "--format", "ndjson")
    texts = mbox(messages(HAM, 2560))
    # By a thread: the run writes while it reads, and both pipes are short.
    feeder = threading.Thread(target=lambda: process.stdin.write(texts) and process.stdin.flush())
    feeder.start()
    for _ in range(600):
        assert process.stdout.readline()
    feeder.join()
    found = workers(process)
    assert len(found) == 2
    return process, found


def test_a_worker_that_dies_is_an_error(program, environment):
    process, found = scoring_apart(program)
    os.kill(found[0], signal.SIGKILL)
    _, err = process.communicate(mbox(messages(HAM, 256)))
    assert process.returncode == Exit.FAILED_WORK
    assert err.startswith(b"mtspam: a worker process died")
    assert err.count(b"\n") == 1


def begin_a_result_and_die(*_):
    """In place of a worker's work: a part of a result goes into the pipe, and no more."""
    frame = inspect.currentframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    pipe = frame.f_locals["result_queue"]._writer.fileno()
    os.write(pipe, (1000).to_bytes(4, "big") + b"part")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_in_the_middle_of_a_result_is_an_error(
    taught, environment, monkeypatch
):
    monkeypatch.setattr(scoring, "_work", begin_a_result_and_die)
    # Only a forked worker sees what was put in its work's place.
    monkeypatch.setattr(scoring, "_start_method", lambda: "fork")
    many = [SourceMessage("ham", HAM.encode(), None)] * 600
    settings = Settings.from_toml(os.environ["MTSPAM_CONFIG"])
    plan = scoring.Plan(state=environment, settings=settings, user=None, group=None)
    with pytest.raises(MtspamError, match="a worker process died"):
        list(scoring.score_all(many, plan, 2))


def test_workers_end_with_their_parent(program, environment):
    process, found = scoring_apart(program)
    ends = [os.pidfd_open(pid) for pid in found]
    process.kill()
    for end in ends:
        assert select.select([end], [], [], 20)[0], "still running"
        os.close(end)


def test_scores_are_numbers(taught, mail):
    for row in rows(taught("score", mail / "ham.mbox", "--format", "ndjson")):
        assert 0 <= row["probability"] <= 1
        assert row["probability"] == pytest.approx(1 / (1 + math.exp(-row["score"])))
