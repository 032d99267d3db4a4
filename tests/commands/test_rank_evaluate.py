"""`mtspam rank evaluate` over made-up searches: rows, splits, files, refusals."""

import json

import numpy as np
import polars as pl
import pytest

N_RANKINGS = 160
N_PLACES = 6
ORDERS = {"engine order", "popularity", "smoothed CTR", "trunk", "trunk + history", "full"}
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


def table(n_rankings=N_RANKINGS, *, start=0, n_users=5):
    """Candidates of which the best match is clicked, whatever its place."""
    rng = np.random.default_rng(start)
    rows = []
    for query in range(start, start + n_rankings):
        match = rng.normal(size=N_PLACES)
        rows += [
            {
                "query_id": f"q{query}", "item": f"d{place}", "user": f"u{query % n_users}",
                "time": 1_700_000_000 + query, "match": match[place],
                "label": float(match[place] == match.max()),
            }
            for place in range(N_PLACES)
        ]  # fmt: skip
    return pl.DataFrame(rows)


@pytest.fixture
def shown(tmp_path):
    path = tmp_path / "shown.csv"
    table().write_csv(path)
    return path


def rows_of(path):
    return {(row["name"], row["split"]): row for row in json.loads(path.read_text())}


def test_the_latest_are_held_out_and_trees_find_the_match(run, shown, tmp_path):
    answer = run("rank", "evaluate", shown, "--held-out", "0.25", "--json", tmp_path / "rows.json")
    assert "trunk + history" in answer.output
    rows = rows_of(tmp_path / "rows.json")
    assert {name for name, split in rows if split == "all"} == ORDERS
    full = rows["full", "all"]
    assert full["n_queries"] == N_RANKINGS // 4
    assert full["ndcg_at_10"]["value"] > rows["engine order", "all"]["ndcg_at_10"]["value"] + 0.1
    for figure in ("ndcg_at_10", "ndcg_at_5", "mrr", "map"):
        found = full[figure]
        assert 0.0 < found["low"] <= found["value"] <= found["high"] <= 1.0


def test_a_narrow_terminal_cuts_nothing_off(run, shown, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = run("rank", "evaluate", shown).stdout
    assert "trunk + history" in table
    assert "…" not in table


@pytest.mark.parametrize(("columns", "n_intervals"), [(80, 1), (120, 4)])
def test_each_order_is_one_line_of_the_terminal(run, shown, monkeypatch, columns, n_intervals):
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = run("rank", "evaluate", shown, "--held-out", "0.25")
    lines = answer.output.splitlines()
    assert max(map(len, lines)) <= columns
    full = next(line for line in lines if line.startswith("  full "))
    assert full.count("[") == n_intervals
    assert f"all, {N_RANKINGS // 4}" in answer.output


def test_users_are_told_apart_by_their_number_of_rankings(run, tmp_path):
    # Forty users of four rankings each: those held out are everybody's fourth.
    path = tmp_path / "fourth.csv"
    table(n_users=40).write_csv(path)
    run("rank", "evaluate", path, "--held-out", "0.25", "--json", tmp_path / "rows.json")
    splits = {split for _, split in rows_of(tmp_path / "rows.json")}
    assert splits == {"all", "history 3-5", "ranking 4"}


def test_a_file_to_test_on_takes_the_place_of_the_latest(run, shown, tmp_path):
    other = tmp_path / "other.csv"
    table(30).write_csv(other)  # queries of the same names
    run("rank", "evaluate", shown, "--test", other, "--json", tmp_path / "rows.json")
    assert rows_of(tmp_path / "rows.json")["trunk", "all"]["n_queries"] == 30


def test_growing_stops_by_the_file_that_is_given_for_it(run, shown, tmp_path):
    same, contrary, test = (tmp_path / f"{name}.csv" for name in ("same", "contrary", "test"))
    rows = table(60, start=500)
    rows.write_csv(same)
    rows.with_columns(match=-pl.col("match")).write_csv(contrary)
    table(60, start=900).write_csv(test)
    found = {}
    for valid in (same, contrary):
        into = tmp_path / f"{valid.stem}.json"
        run("rank", "evaluate", shown, "--valid", valid, "--test", test, "--json", into)
        found[valid.stem] = rows_of(into)["trunk", "all"]
    assert found["same"]["n_queries"] == 60
    assert found["same"]["ndcg_at_10"]["value"] > found["contrary"]["ndcg_at_10"]["value"]


def test_a_file_to_stop_by_without_one_to_test_on_is_refused(run, shown):
    assert "--test" in run("rank", "evaluate", shown, "--valid", shown, code=2).stderr


def test_the_state_stays_as_it_was(run, shown, environment):
    run("rank", "evaluate", shown)
    assert not environment.exists()


def test_the_same_seed_gives_the_same_rows(run, shown, tmp_path):
    for name in ("one.json", "two.json"):
        run("rank", "evaluate", shown, "--seed", "7", "--json", tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_plot_is_drawn(run, shown, tmp_path):
    run("rank", "evaluate", shown, "--plot", tmp_path / "gain.svg")
    assert "<svg" in (tmp_path / "gain.svg").read_text()


def test_one_ranking_is_too_few(run, tmp_path):
    path = tmp_path / "one.csv"
    table(1).write_csv(path)
    answer = run("rank", "evaluate", path, code=3)
    assert "1 rankings" in answer.output
