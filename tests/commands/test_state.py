"""learn, unlearn, forget, users, status, fold, explain: the state by the command line."""

import json
import re
import shutil
import sqlite3

import pytest

from mtspam.commands.exits import Exit
from mtspam.snapshot import read_snapshot
from tests.commands.conftest import HAM, SPAM, mbox, messages


def told(result):
    return json.loads(result.stdout)


def score(run, path, *options):
    return told(run("score", path, "--json", *options))[0]["score"]


def files(state):
    return {path.name: path.read_bytes() for path in state.iterdir() if path.name != "writer.lock"}


def test_learn_counts(run, mail):
    found = told(run("learn", "spam", mail / "spam.mbox", mail / "spam.eml", "--json"))
    ids = found.pop("ids")
    assert found == {"label": "spam", "messages": 13, "new": 13, "same": 0, "changed": 0}
    assert len(set(ids)) == 13
    again = told(run("learn", "spam", mail / "spam.mbox", "--json"))
    assert (again["new"], again["same"], again["ids"]) == (0, 12, ids[:12])
    assert told(run("learn", "ham", mail / "spam.eml", "--json"))["changed"] == 1


def test_learn_for_people(run, mail):
    text = run("learn", "ham", mail / "ham.mbox").stdout
    assert text.startswith("12 messages as ham: 12 new labels")
    lines = run("learn", "ham", mail / "ham.mbox", "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        line.strip() for line in text.splitlines()[1:]
    ]


def test_phishing_and_bulk(run, mail):
    run("learn", "phishing", mail / "spam.mbox")
    run("learn", "bulk", mail / "ham.mbox")
    labels = told(run("status", "--json"))["labels"]
    assert labels == {"bulk": 12, "phishing": 12, "spam": 12}


def test_users_of_a_table(run, mail):
    (mail / "mail.csv").write_text("user,raw\nann,Subject: a\nbob,Subject: b\n,Subject: c\n")
    run("learn", "spam", mail / "mail.csv", "--time", "2025-01-06T12:00")
    found = told(run("users", "--json"))
    assert [user["n_spam"] for user in found] == [1, 1]
    assert {user["first_time"] for user in found} == {1736164800}
    (ann,) = told(run("users", "Ann ", "--json"))
    assert ann in found
    assert "2025-01-06" in run("users").stdout
    assert "nothing known" in run("users", "eve").stdout


def test_all_or_nothing(taught, mail, environment):
    before = files(environment)
    broken = mail / "mail.csv"
    broken.write_text("raw\n" + "Subject: new\n" * 300 + "a,b\n")
    result = taught("learn", "spam", broken, code=Exit.INPUT)
    assert result.stderr.startswith(f"mtspam: {broken}:302: ")
    assert result.stderr.count("\n") == 1
    assert told(taught("status", "--json"))["n_events"] == 24
    assert files(environment)["model.snapshot"] == before["model.snapshot"]


def test_unlearn_by_path_and_by_id(taught, mail):
    ids = told(taught("learn", "spam", mail / "spam.eml", mail / "ham.eml", "--json"))["ids"]
    assert told(taught("unlearn", mail / "spam.eml", "--json")) == {"removed": 1}
    assert taught("unlearn", ids[1][:10]).stdout == "1 label taken back\n"
    assert told(taught("unlearn", ids[1][:10], "--json", code=Exit.FAILED)) == {"removed": 0}
    taught("fold")
    assert told(taught("status", "--json"))["labels"] == {"ham": 12, "spam": 12}


def test_unlearn_reads_all_before_it_takes_back_any(taught, mail):
    taught("learn", "spam", mail / "spam.eml")
    result = taught("unlearn", mail / "spam.eml", mail / "nowhere", code=Exit.INPUT)
    assert result.stderr == f"mtspam: {mail / 'nowhere'}: No such file or directory\n"
    assert told(taught("status", "--json"))["labels"] == {"ham": 12, "spam": 13}


def test_unlearn_brings_back_what_was_before(taught, mail):
    before = score(taught, mail / "ham.eml")
    for _ in range(3):
        taught("learn", "ham", mail / "ham.eml")
        taught("unlearn", mail / "ham.eml")
    assert score(taught, mail / "ham.eml") == before
    taught("fold", "--check")


def test_unlearn_of_whom(taught, mail):
    taught("learn", "ham", mail / "spam.eml", "--user", "ann")
    taught("unlearn", mail / "spam.eml", code=Exit.FAILED)
    taught("unlearn", mail / "spam.eml", "--user", "bob", code=Exit.FAILED)
    taught("unlearn", mail / "spam.eml", "--user", "ann")
    taught("learn", "ham", mail / "spam.eml", "--user", "ann")
    taught("unlearn", mail / "spam.eml", "--everyone")


def test_forget_leaves_no_trace(taught, mail, environment):
    before = score(taught, mail / "spam.eml", "--user", "ann")
    taught("learn", "ham", mail / "spam.mbox", "--user", "ann")
    assert score(taught, mail / "spam.eml", "--user", "ann") < before
    assert told(taught("forget", "ann", "--json"))["forgotten"] == 12
    assert score(taught, mail / "spam.eml", "--user", "ann") == before
    assert told(taught("users", "--json")) == []
    taught("fold", "--check")
    assert "nothing" in taught("forget", "ann", code=Exit.FAILED).stdout


def test_fold_and_check(taught, mail, environment):
    assert "bit for bit" in taught("fold", "--check").stdout
    taught("learn", "ham", mail / "spam.eml")
    assert told(taught("learn", "spam", mail / "spam.eml", "--json"))["changed"] == 1
    found = told(taught("fold", "--check", "--json", code=Exit.FAILED))
    assert not found["is_equal"]
    assert "shared_weights" in found["differences"]
    assert found["n_corrections"] == 1
    assert "taken back or changed" in taught("fold", "--check", code=Exit.FAILED).stdout
    assert told(taught("fold", "--json"))["n_events"] == 25
    assert told(taught("fold", "--check", "--json"))["is_equal"]


def test_a_saved_model_that_is_only_behind_is_no_fault(taught, mail, tmp_path):
    path = tmp_path / "state" / "model.snapshot"
    old = path.read_bytes()
    taught("learn", "ham", mail / "spam.mbox", "--user", "ann")
    path.write_bytes(old)
    found = told(taught("fold", "--check", "--json"))
    assert found["is_equal"]
    assert found["head"] == found["position"] + 12
    shown = taught("fold", "--check").stdout
    assert f"up to place {found['position']}, bit for bit" in shown
    assert f"the journal is at {found['head']}" in shown


def test_fold_at_a_place(taught, mail, tmp_path):
    before = read_snapshot(tmp_path / "state" / "model.snapshot", verify=True)
    taught("learn", "ham", mail / "spam.mbox", "--user", "ann")
    taught("fold", "--at", before.header["position"], "--output", tmp_path / "then.snapshot")
    then = read_snapshot(tmp_path / "then.snapshot", verify=True)
    assert then.header["position"] == before.header["position"]
    for name, array in before.arrays.items():
        assert (then.arrays[name] == array).all()
    result = taught("fold", "--at", 999, "--output", tmp_path / "x", code=Exit.INPUT)
    assert "999" in result.stderr


def test_status(taught, run, mail, environment):
    found = told(taught("status", "--json"))
    assert found["state"] == str(environment)
    assert found["labels"] == {"ham": 12, "spam": 12}
    assert found["is_current"]
    text = taught("status").stdout
    assert "12 ham, 12 spam" in text
    assert "equal to the journal" in text


def test_explain(taught, mail):
    taught("learn", "ham", mail / "spam.mbox", "--user", "ann")
    (found,) = told(taught("explain", mail / "spam.eml", "--user", "ann", "--json"))
    assert found["shared"] + found["personal"] == pytest.approx(found["score"])
    assert found["personal"] < 0
    assert 0 < len(found["reasons"]) <= 15
    assert "pills" in " ".join(reason["text"] for reason in found["reasons"])
    (few,) = taught("explain", mail / "spam.eml", "--limit", 2, "--format", "ndjson").stdout.split(
        "\n"
    )[:-1]
    assert len(json.loads(few)["reasons"]) == 2
    text = taught("explain", mail / "spam.eml", "--user", "ann").stdout
    assert "everybody" in text
    assert "you" in text
    assert "group" not in text
    assert "ann" in text
    assert told(taught("explain", mail / "spam.mbox", "--json"))[11]["name"].endswith(":12")


@pytest.mark.parametrize("width", [60, 80])
def test_numbers_of_an_explanation_are_whole_on_a_narrow_terminal(
    taught, mail, monkeypatch, width
):
    monkeypatch.setenv("COLUMNS", str(width))
    (mail / "long.eml").write_text(f"Subject: {'pills ' * 30}\n\n{'cheap ' * 30}\n")
    taught("learn", "spam", mail / "long.eml")
    text = taught("explain", mail / "long.eml", "--limit", 500).stdout
    head = ["what", "in", "the", "message", "everybody", "you", "together"]
    assert head in [line.split() for line in text.splitlines()]
    assert max(map(len, text.splitlines()[1:])) <= width
    (subject,) = [line.split() for line in text.splitlines() if line.startswith("subject ")]
    assert subject[-4].endswith("…")
    assert all(re.fullmatch(r"[+-]\d\.\d\d", cell) for cell in subject[-3:])


def test_state_and_config_behind_the_command(run, mail, tmp_path):
    other = tmp_path / "other"
    run("learn", "spam", mail / "spam.mbox", "--state", other)
    assert told(run("--state", other, "status", "--json"))["n_events"] == 12
    assert told(run("status", "--json"))["n_events"] == 0
    (tmp_path / "wrong.toml").write_text("[model]\nshared_bitz = 3\n")
    for args in (
        ("--config", tmp_path / "wrong.toml", "status"),
        ("status", "--config", tmp_path / "wrong.toml"),
    ):
        result = run(*args, code=Exit.SETTINGS)
        assert result.stderr.startswith(f"mtspam: {tmp_path / 'wrong.toml'}:2: ")
        assert "shared_bits" in result.stderr


@pytest.mark.parametrize("command", [("learn", "spam"), ("score",), ("explain",), ("unlearn",)])
def test_a_missing_file_is_named(taught, mail, command):
    result = taught(*command, mail / "nowhere", code=Exit.INPUT)
    assert result.stderr == f"mtspam: {mail / 'nowhere'}: No such file or directory\n"


def test_a_torn_archive_is_named(taught, mail):
    (mail / "mail.tar.gz").write_bytes(b"\x1f\x8b\x08\x00torn")
    result = taught("learn", "spam", mail / "mail.tar.gz", code=Exit.INPUT)
    assert result.stderr.startswith(f"mtspam: {mail / 'mail.tar.gz'}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [("status",), ("fold",), ("users",), ("learn", "spam", "ham.eml")]
)
def test_a_journal_of_the_future_is_refused(taught, mail, environment, monkeypatch, command):
    monkeypatch.chdir(mail)
    (environment / "model.snapshot").unlink()
    with sqlite3.connect(environment / "journal.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = files(environment)
    result = taught(*command, code=Exit.STATE)
    assert "newer" in result.stderr
    assert result.stderr.count("\n") == 1
    assert files(environment)["journal.sqlite"] == before["journal.sqlite"]


def test_a_read_only_directory(taught, mail, environment, sealed):
    before = files(environment)
    sealed(environment)
    result = taught("learn", "spam", mail / "spam.eml", code=Exit.STATE)
    assert str(environment) in result.stderr
    assert result.stderr.count("\n") == 1
    assert files(environment) == before
    assert score(taught, mail / "spam.eml") > 0


def test_a_full_disk(run, small_disk, mail):
    state = small_disk / "state"
    run("learn", "spam", mail / "spam.mbox", "--state", state, "--time", "0")
    words = [f"{word:05x}" for word in range(400)]
    texts = [HAM.format(" ".join(f"{i:02x}{word}" for word in words)) for i in range(200)]
    (mail / "many.mbox").write_bytes(mbox(texts))
    result = run("learn", "ham", mail / "many.mbox", "--state", state, code=Exit.STATE)
    assert result.stderr.count("\n") == 1
    assert told(run("status", "--json", "--state", state))["n_events"] == 12


def test_a_disk_too_full_for_the_model_keeps_the_labels(run, small_disk, mail):
    state = small_disk / "state"
    run("learn", "spam", mail / "spam.eml", "--state", state)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 150_000))
    result = run("learn", "ham", mail / "ham.eml", "--state", state, code=Exit.STATE)
    assert "the old one stays; the journal has every label" in result.stderr
    assert result.stderr.count("\n") == 1
    filler.unlink()
    assert told(run("status", "--json", "--state", state))["labels"] == {"ham": 1, "spam": 1}


def test_an_empty_source_teaches_nothing(run, mail):
    (mail / "empty").mkdir()
    assert told(run("learn", "ham", mail / "empty", "--json"))["messages"] == 0


def test_learning_from_standard_input(program, run):
    process = program("learn", "spam", "-", "--json")
    out, err = process.communicate(mbox(messages(SPAM, 3)))
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["new"] == 3


@pytest.mark.parametrize("command", ["score", "explain"])
def test_a_named_state_that_is_not_there_is_told(run, mail, tmp_path, command):
    told = run("--state", tmp_path / "typo", command, mail / "ham.eml").stderr
    assert "typo: nothing is there; judged by the starter model alone" in told
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(
    "command", [("forget", "-y"), ("users",), ("learn", "ham", "x", "--user")]
)
def test_an_empty_name_is_nobody_s(taught, command):
    assert "a name must not be empty" in taught(*command, " ", code=Exit.USAGE).stderr


def test_a_lost_journal(taught, mail, environment):
    before = (environment / "model.snapshot").read_bytes()
    (environment / "journal.sqlite").unlink()
    assert "the journal is missing" in taught("status").stdout
    for command in (("learn", "ham", mail / "ham.eml"), ("fold",), ("rank", "train")):
        (line,) = taught(*command, code=Exit.STATE).stderr.splitlines()
        assert "journal.sqlite: missing" in line
    assert not (environment / "journal.sqlite").exists()
    assert (environment / "model.snapshot").read_bytes() == before
