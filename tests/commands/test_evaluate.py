"""`mtspam evaluate`: over mail, over word counts, from files to files."""

import json

import polars as pl
import pytest

from mtspam.commands.exits import Exit
from tests.commands.conftest import HAM, SPAM


@pytest.fixture
def index(mail):
    """Sixty messages of two users who agree, the last ten without feedback."""
    lines = []
    for i in range(60):
        is_spam = i % 3 == 0
        (mail / f"{i}.eml").write_text((SPAM if is_spam else HAM).format(i))
        label = "spam" if is_spam else "ham"
        lines.append(f"{label if i < 50 else label.upper()} {i}.eml user{i % 2}")
    path = mail / "index"
    path.write_text("\n".join(lines))
    return path


def report(path):
    return json.loads(path.read_text())


def test_mail(run, index, mail, environment):
    result = run(
        *("evaluate", "mail", "--index", index, "--json", mail / "r.json"),
        *("--scores", mail / "s.parquet", "--plot", mail / "p.svg"),
    )
    found = report(mail / "r.json")
    assert found["n"] == 60
    for key in (
        *("one_minus_roca_percent", "error_percent", "hm_percent", "sm_percent", "lam_percent"),
        *("sm_at_hm_0_01_percent", "sm_at_hm_0_1_percent", "sm_at_hm_1_percent", "logloss"),
        *("calibration_error", "score_per_second", "learn_per_second", "learning_curve"),
    ):
        assert key in found
    assert found["no_feedback"]["n"] == 10
    assert found["no_feedback"]["error_percent"] == 0
    assert set(found["levels"]) == {"shared", "personal", "blend"}
    assert found["levels"]["blend"]["one_minus_roca_percent"] == found["one_minus_roca_percent"]
    assert {user["user"] for user in found["per_user"]} == {"user0", "user1"}
    assert len(found["settings_digest"]) == 64
    table = pl.read_parquet(mail / "s.parquet")
    assert table.columns == ["path", "label", "user", "score", "probability", "feedback"]
    assert table["feedback"].sum() == 50
    assert (mail / "p.svg").read_text().startswith("<?xml")
    assert "60 messages" in result.stdout
    assert not environment.exists()


def test_the_seed_repeats_and_matters(run, index, mail):
    scores = []
    for seed in (0, 0, 1):
        target = mail / "s.parquet"
        run("evaluate", "mail", "--index", index, "--scores", target, "--seed", seed)
        scores.append(pl.read_parquet(target)["score"].to_list())
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]


def test_warm_and_no_learn(run, index, mail):
    (mail / "cold").write_text("spam spam.eml\nham ham.eml\n")
    run("evaluate", "mail", "--index", mail / "cold", "--no-learn", "--json", mail / "r.json")
    assert report(mail / "r.json")["one_minus_roca_percent"] == 50
    run(
        *("evaluate", "mail", "--index", mail / "cold", "--no-learn", "--json", mail / "r.json"),
        *("--warm", index, "--warm-root", mail),
    )
    found = report(mail / "r.json")
    assert found["one_minus_roca_percent"] == 0
    assert found["no_feedback"]["n"] == 2
    assert found["learn_per_second"] is None


def test_users_file(run, index, mail):
    (mail / "users").write_text("0.eml ann\n1.eml ann\n")
    run("evaluate", "mail", "--index", index, "--users", mail / "users", "--json", mail / "r.json")
    found = {user["user"]: user["n"] for user in report(mail / "r.json")["per_user"]}
    assert found == {"ann": 2, "user0": 29, "user1": 29}


def test_settings_count(run, index, mail, tmp_path):
    digests = []
    for bits in (10, 12):
        (tmp_path / "c.toml").write_text(f"[model]\nshared_bits = {bits}\npersonal_bits = 10\n")
        run(
            *("evaluate", "mail", "--index", index, "--json", mail / "r.json"),
            *("--config", tmp_path / "c.toml"),
        )
        digests.append(report(mail / "r.json")["settings_digest"])
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("lines", "where"),
    [("ham ham.eml\nspam\n", "index2:2: "), ("ham nowhere.eml\n", "index2:1: ")],
)
def test_a_broken_index_is_named(run, mail, lines, where):
    (mail / "index2").write_text(lines)
    result = run("evaluate", "mail", "--index", mail / "index2", code=Exit.INPUT)
    assert result.stderr.startswith(f"mtspam: {mail / where}")
    assert result.stderr.count("\n") == 1


def vectors(path, words):
    lines = []
    for i in range(40):
        word, label = (words[0], 1) if i % 2 else (words[1], -1)
        lines.append(f"{label} {word}:1 {100 + i}:2")
    path.write_text("\n".join(lines))
    return path


def test_vectors(run, mail):
    train = [vectors(mail / f"train{i}", (1, 2)) for i in range(2)]
    inboxes = [vectors(mail / f"inbox{i}", (1, 2)) for i in range(3)]
    result = run(
        *("evaluate", "vectors", "--train", *train, "--inbox", *inboxes, "--json", mail / "r.json")
    )
    found = report(mail / "r.json")
    assert (found["n_train"], found["n"], found["n_inboxes"]) == (80, 120, 3)
    for level in ("shared", "personal", "blend"):
        assert set(found[level]) == {"auc_all", "auc_first_50", "auc_second_half"}
    assert found["blend"]["auc_all"] > 0.95
    assert "3 inboxes" in result.stdout


def test_vectors_take_the_option_each_time_as_well(run, mail):
    one, two = (vectors(mail / name, (1, 2)) for name in ("a", "b"))
    args = ("--inbox", one, "--inbox", two, "--seed", 3, "--json", mail / "r.json")
    run("evaluate", "vectors", *args)
    assert (report(mail / "r.json")["n_inboxes"], report(mail / "r.json")["seed"]) == (2, 3)


def test_vectors_name_a_broken_line(run, mail):
    (mail / "a").write_text("1 1:1\n2 1:1\n")
    result = run("evaluate", "vectors", "--inbox", mail / "a", code=Exit.INPUT)
    assert result.stderr.startswith(f"mtspam: {mail / 'a'}:2: ")
    stray = run("evaluate", "vectors", mail / "a", "--inbox", mail / "a", code=Exit.USAGE)
    assert "unexpected extra argument" in stray.stderr


@pytest.mark.parametrize("command", ["mail", "vectors"])
def test_a_seed_is_no_negative_number(run, mail, command):
    option = "--index" if command == "mail" else "--inbox"
    refused = run("evaluate", command, option, mail / "ham.eml", "--seed", "-1", code=Exit.USAGE)
    assert "--seed" in refused.stderr
