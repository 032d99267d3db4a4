"""The spam score of documents as a feature: the same wherever it comes from, and told apart."""

import json

import numpy as np
import pytest

from mtspam.config import Settings
from mtspam.spam.documents import scorer_of

SMALL = """\
[ranking]
rounds = 20
min_leaf_rows = 5
residual_bits = 10
threads = 1
"""
SPAM = (
    "Buy cheap pills now! Best prices, order today, no prescription needed. Offer {} is "
    "guaranteed, or your money back. Click here to unsubscribe."
)
HAM = (
    "Function {} returns a sorted copy of the array; the original is left unchanged. See the "
    "reference for the cost in the worst case."
)


@pytest.fixture
def run(run, tmp_path):
    with (tmp_path / "small.toml").open("a") as config:
        config.write(SMALL)
    return run


@pytest.fixture
def shown(tmp_path):
    """Pages of which the one that does not read like spam is clicked."""
    rng = np.random.default_rng(0)
    path = tmp_path / "shown.ndjson"
    with path.open("w") as file:
        for query in range(40):
            good = int(rng.integers(4))
            for place in range(4):
                text = (HAM if place == good else SPAM).format(int(rng.integers(10**6)))
                row = {"query_id": query, "item": f"{query}-{place}", "body": text,
                       "price": float(rng.normal()), "label": int(place == good)}  # fmt: skip
                file.write(json.dumps(row) + "\n")
    return path


def train(run, shown):
    run("rank", "learn", shown)
    return json.loads(run("rank", "train", "--json").output)


def test_trees_learn_what_reads_like_spam(run, shown):
    found = train(run, shown)
    assert "spam_score" in found["columns"]
    assert found["spam_model"] == scorer_of(Settings()).name
    result = run("rank", "score", shown)
    first = [line for line in result.stdout.splitlines() if line.endswith(",1")]
    assert sum("Function" in line for line in first) > 36
    assert result.stderr == ""
    said = run("rank", "explain", shown, "--limit", 1, "--format", "ndjson").output
    assert "spam_score" in json.loads(said.splitlines()[0])["features"]


def test_without_it_nothing_is_known_and_other_scores_are_told(run, shown, tmp_path):
    assert train(run, shown)["spam_model"]
    with (tmp_path / "small.toml").open("a") as config:
        config.write("spam_score = false\n")
    assert "scores of another model" in run("rank", "score", shown).stderr
    other = tmp_path / "other"
    run("--state", other, "rank", "learn", shown)
    found = json.loads(run("--state", other, "rank", "train", "--json").output)
    assert "spam_score" not in found["columns"]
    assert found["spam_model"] == ""
    assert run("--state", other, "rank", "score", shown).stderr == ""
