"""`mtspam rank` over made-up searches: taken in, trained on, asked."""

import json

import numpy as np
import polars as pl
import pytest

N_RANKINGS = 60
SMALL = """\
[ranking]
rounds = 20
min_leaf_rows = 5
residual_bits = 12
threads = 1
[history]
items = 1000
users = 1000
counter_bits = 12
pair_bits = 12
"""


@pytest.fixture
def run(run, tmp_path):
    with (tmp_path / "small.toml").open("a") as config:
        config.write(SMALL)
    return run


def table(n_rankings, seed=0):
    """Candidates of which the best match is clicked."""
    rng = np.random.default_rng(seed)
    rows = []
    for query in range(n_rankings):
        match = rng.normal(size=6)
        rows += [
            {
                "query_id": f"q{seed}-{query}", "item": f"d{place}", "user": f"u{query % 5}",
                "time": 1_700_000_000 + query, "match": match[place],
                "label": float(match[place] == match.max()),
            }
            for place in range(6)
        ]  # fmt: skip
    return pl.DataFrame(rows)


@pytest.fixture
def files(tmp_path):
    table(N_RANKINGS).write_csv(tmp_path / "shown.csv")
    asked = table(20, seed=1)
    for path, write in (
        ("asked.csv", asked.write_csv),
        ("asked.parquet", asked.write_parquet),
        ("asked.ndjson", asked.write_ndjson),
    ):
        write(tmp_path / path)
    return tmp_path


def test_learn_train_score(run, files):
    said = run("rank", "learn", files / "shown.csv").output
    assert said == f"{2 * N_RANKINGS} events taken in, 0 were known\n"
    said = run("rank", "learn", files / "shown.csv").output
    assert said == f"0 events taken in, {2 * N_RANKINGS} were known\n"
    found = json.loads(run("rank", "train", "--json").output)
    assert (found["version"], found["n_queries"]) == ("0001", N_RANKINGS)
    assert "match" in found["columns"]
    run("rank", "score", files / "asked.csv", "-o", files / "scored.parquet")
    scored = pl.read_parquet(files / "scored.parquet")
    first = scored.filter(pl.col("mtspam_rank") == 1)
    assert first.height == 20
    assert first["label"].mean() > 0.4  # a sixth by chance
    assert scored.columns[:-2] == table(1).columns


@pytest.mark.parametrize("name", ["asked.csv", "asked.parquet", "asked.ndjson"])
def test_without_a_state_the_hosts_order_is_kept(run, files, name, environment):
    result = run("rank", "score", files / name)
    said = result.stdout
    assert "no trees were grown here yet" in result.stderr
    ranks = [int(line.rpartition(",")[2]) for line in said.splitlines()[1:]]
    assert ranks == [1, 2, 3, 4, 5, 6] * 20
    assert list(environment.glob("*")) == []


def test_versions_are_listed_and_brought_back(run, files):
    run("rank", "learn", files / "shown.csv")
    assert "60 rankings" in run("rank", "train").output
    run("rank", "train")
    listed = run("rank", "use").output.splitlines()
    assert [line[:6] for line in listed] == ["  0001", "* 0002"]
    assert all(line.endswith(" UTC  60 rankings") for line in listed)
    for name in ("0001", "2", "1"):
        listed = run("rank", "use", name).output.splitlines()
        assert [line for line in listed if line.startswith("*")] == [listed[int(name) - 1]]
    result = run("rank", "use", "0009", code=4)
    assert "0001, 0002" in result.stderr


def test_explain(run, files):
    run("rank", "learn", files / "shown.csv")
    run("rank", "train")
    said = run("rank", "explain", files / "asked.csv", "--limit", 2, "--format", "ndjson").output
    lines = [json.loads(line) for line in said.splitlines()]
    assert len(lines) == 40
    parts = ("host", "click", "conversion", "everyone", "market", "you")
    for line in lines:
        assert sum(line[part] for part in parts) == pytest.approx(line["score"])
    told = run("rank", "explain", files / "asked.csv", "--limit", 2).output.splitlines()
    assert told[0] == "request q1-0"
    assert told[1].split() == ["item", "score", *parts]
    assert told[2].split()[:3] == ["1", lines[0]["item"], f"{lines[0]['score']:+.2f}"]
    feature, value = next(iter(lines[0]["features"].items()))
    assert told[3].split(maxsplit=1) == [f"{value:+.2f}", feature]
    assert max(map(len, told)) <= 80


def test_before_anything_is_known(run):
    assert "nothing was trained yet" in run("rank", "use").output
    assert "there are: none" in run("rank", "use", "1", code=4).stderr
    assert run("status").stdout.splitlines()[-1].split(maxsplit=1) == [
        "ranking",
        "nothing taken in yet",
    ]


def test_status_tells_of_rankings(run, files):
    run("rank", "learn", files / "shown.csv")
    line = run("status").stdout.splitlines()[-1]
    assert "60 interactions, 60 rankings, 5 users; no trees" in line
    run("rank", "train")
    run("rank", "train")
    run("rank", "use", 1)
    assert "version 0001 of 2 is asked" in run("status").stdout.splitlines()[-1]
    assert json.loads(run("status", "--json").output)["ranking"] == {
        "events": {"interaction": 60, "ranking": 60},
        "n_users": 5,
        "version": "0001",
        "versions": ["0001", "0002"],
    }


def test_what_is_odd_about_a_table_is_told(run, files):
    run("rank", "learn", files / "shown.csv")
    run("rank", "train")
    assert run("rank", "score", files / "asked.csv").stderr == ""
    table(3).rename({"match": "Match"}).write_csv(files / "odd.csv")
    said = run("rank", "score", files / "odd.csv").stderr
    assert "no feature 'Match'; did you mean 'match'?" in said
    (files / "text.csv").write_text("query_id,item,match\nq,a,1\nq,b,NA\nq,c,high\n")
    said = run("rank", "score", files / "text.csv").stderr
    assert "row 3: 'match' is 'high'; the trees know numbers of that name" in said
    (files / "empty.csv").write_text("query_id,item,match\n")
    said = run("rank", "score", files / "empty.csv").stdout
    assert said == "query_id,item,match,mtspam_score,mtspam_rank\n"
    (files / "twice.csv").write_text("query_id,item,match\nq,a,NaN\nq,a,\nq,b,2\n")
    said = run("rank", "score", files / "twice.csv").stdout.splitlines()
    assert sorted(line[-1] for line in said[1:]) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "1 qid:1 1:2\n"),
        ("e.jsonl", '{"event": "item", "id": "1", "timestamp": 5, "item": "a"}\n'),
    ],
)
def test_events_are_no_table_to_score(run, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    for command in ("score", "explain"):
        said = run("rank", command, tmp_path / name, code=3).stderr
        assert f"{name}: no table; it must have a row for each candidate" in said


def test_standard_input_is_csv_or_json_lines(run, files):
    for name in ("asked.csv", "asked.ndjson"):
        said = run("rank", "score", "-", stdin=(files / name).read_text()).stdout
        assert len(said.splitlines()) == 121


@pytest.mark.parametrize("command", ["learn", "train", "score", "explain", "use", "evaluate"])
def test_every_help_has_an_example(run, command):
    assert f"\n  mtspam rank {command}" in run("rank", command, "--help").output


def test_what_is_wrong_is_said_in_a_line(run, files):
    result = run("rank", "score", files / "asked.csv", "--item-column", "doc", code=3)
    assert "no column 'doc'" in result.stderr
    result = run("rank", "score", files / "asked.csv", "-o", "x.txt", code=2)
    assert ".parquet" in result.stderr
    assert "no ranking" in run("rank", "train", code=3).stderr
