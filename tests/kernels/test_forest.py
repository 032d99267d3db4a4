"""Three witnesses: trees by hand, LightGBM itself and the plain-Python twin, and laws."""

import os

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtspam.errors import DataError, ModelError
from mtspam.model.forest import Forest
from tests.reference import forest as twin

ODD = [0.0, np.nan, np.inf, -np.inf, 1e-36, -1e-36, 1e-35, 1e300, -1e300, 2.5, -0.5, -1.0, 2.0**31]


def train(seed, n_iterations=6, **given):
    """A model of four numbers and two categories, and rows it was not trained on."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(160, 6))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[rng.random(rows.shape) < 0.2] = 0.0
    rows[:, 4] = rng.integers(0, 70, 160)
    rows[:, 5] = rng.integers(0, 4, 160)
    truth = np.nansum(rows[:, :3], axis=1) + 2 * (rows[:, 4] % 3 == 1) + rng.normal(size=160)
    label = truth
    if given.get("objective") in {"binary", "lambdarank"}:
        label = (truth > 0).astype(int)
    elif given.get("objective") == "multiclass":
        label = np.argsort(np.argsort(truth)) % 3
    params = {
        "objective": "regression",
        "verbose": -1,
        "num_threads": 1,
        "min_data_in_leaf": 2,
        "min_data_per_group": 2,
        "cat_smooth": 1.0,
        "seed": seed,
        **given,
    }
    categories = params.pop("categories", [4, 5])
    data = lightgbm.Dataset(
        rows,
        label,
        group=[16] * 10 if params["objective"] == "lambdarank" else None,
        categorical_feature=categories,
        params={"verbose": -1},
    )
    booster = lightgbm.train(params, data, n_iterations)
    odd = np.array(ODD)[:, None] * np.ones((1, 6))
    return booster, np.concatenate([rows, rng.normal(size=(20, 6)) * 9, odd])


def assert_equal(booster, rows, forest=None, **some):
    forest = forest or Forest.from_text(booster.model_to_string())
    assert np.array_equal(forest.predict(rows), booster.predict(rows, raw_score=True, **some))
    scores, leaves = forest.predict_with_leaves(rows)
    assert np.array_equal(scores, forest.predict(rows))
    theirs = booster.predict(rows, pred_leaf=True, **some)
    assert np.array_equal(leaves, theirs.reshape(len(rows), -1))


PARAMS = st.fixed_dictionaries(
    {
        "objective": st.sampled_from(["regression", "binary", "lambdarank", "multiclass"]),
        "num_leaves": st.integers(2, 24),
        "zero_as_missing": st.booleans(),
        "use_missing": st.booleans(),
        "max_cat_to_onehot": st.integers(1, 8),
        "boosting": st.sampled_from(["gbdt", "dart"]),
        "categories": st.sampled_from([[], [4], [4, 5]]),
        "extra_trees": st.booleans(),
    }
)
SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@SLOW
@given(PARAMS, st.integers(0, 1000), st.integers(1, 20))
def test_equal_to_lightgbm_to_the_last_bit(params, seed, n_iterations):
    if params["objective"] == "multiclass":
        params = {**params, "num_class": 3}
    booster, rows = train(seed, n_iterations, **params)
    assert_equal(booster, rows)


@pytest.mark.parametrize("zero_as_missing", [False, True])
@pytest.mark.parametrize("use_missing", [False, True])
def test_the_twin_says_the_same(zero_as_missing, use_missing):
    booster, rows = train(3, zero_as_missing=zero_as_missing, use_missing=use_missing)
    forest = Forest.from_text(booster.model_to_string())
    dump = booster.dump_model()
    scores, leaves = forest.predict_with_leaves(rows)
    for row, score, found in zip(rows, scores, leaves, strict=True):
        expected, places = twin.raw_scores(dump, row.tolist())
        assert ([score], found.tolist()) == (expected, places)


def test_random_forests_are_sums_too():
    booster, rows = train(1, boosting="rf", bagging_freq=1, bagging_fraction=0.7)
    assert_equal(booster, rows)


def test_a_slice_of_the_iterations():
    booster, rows = train(2, 9, objective="multiclass", num_class=3)
    forest = Forest.from_text(booster.model_to_string(), start=2, n_iterations=4)
    assert forest.n_trees == 12
    assert_equal(booster, rows, forest, start_iteration=2, num_iteration=4)


def test_trees_that_are_one_leaf():
    booster, rows = train(2, min_data_in_leaf=500)
    assert_equal(booster, rows)


@pytest.mark.parametrize("n_leaves", [2, 63, 64, 65, 120])
def test_trees_that_are_sifted_and_trees_that_are_too_large_for_it(n_leaves):
    rng = np.random.default_rng(n_leaves)
    rows = rng.normal(size=(2000, 4))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    booster = lightgbm.train(
        {"num_leaves": n_leaves, "min_data_in_leaf": 1, "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(rows, rng.normal(size=2000), params={"verbose": -1}),
        5,
    )
    forest = Forest.from_text(booster.model_to_string())
    assert {tree["num_leaves"] for tree in booster.dump_model()["tree_info"]} == {n_leaves}
    assert_equal(booster, rows, forest)
    walked = [forest.predict(row[None])[0] for row in rows[:100]]
    assert forest.predict(rows[:100]).tolist() == walked


def test_where_rows_are_parted_into_blocks_shows_nowhere():
    booster, rows = train(4, categories=[])
    many = np.tile(rows, (7, 1))
    forest = Forest.from_text(booster.model_to_string())
    assert_equal(booster, many, forest)
    assert forest.predict(many).tolist() == forest.predict(rows).tolist() * 7


def test_one_row_at_a_time_is_the_same_as_all_at_once():
    booster, rows = train(5, 21)
    forest = Forest.from_text(booster.model_to_string())
    together = forest.predict(rows)
    assert [forest.predict(row[None])[0] for row in rows] == together.tolist()
    assert [len(forest.predict(rows[:n])) for n in range(18)] == list(range(18))


def test_narrow_numbers_are_widened():
    booster, rows = train(5)
    narrow = rows[:180].astype(np.float32)
    forest = Forest.from_text(booster.model_to_string())
    assert np.array_equal(forest.predict(narrow), booster.predict(narrow, raw_score=True))


def test_arrays_there_and_back():
    booster, rows = train(6)
    forest = Forest.from_text(booster.model_to_string())
    again = Forest(forest.arrays())
    assert np.array_equal(forest.predict(rows), again.predict(rows))


def test_works_after_a_fork():
    booster, rows = train(7)
    forest = Forest.from_text(booster.model_to_string())
    expected = forest.predict(rows)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(forest.predict(rows), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_linear_trees_are_refused():
    booster, _ = train(1, linear_tree=True, categories=[])
    with pytest.raises(ModelError, match="linear_tree"):
        Forest.from_text(booster.model_to_string())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("end of trees", ""),
        ("version=v4", "version=v9"),
        ("left_child=", "left_child=7"),
        ("split_feature=", "split_feature=9"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=5"),
        ("leaf_value=", "no_value="),
        ("num_leaves=", "num_leaves=1"),
    ],
)
def test_damaged_texts_are_refused(old, new):
    text = train(1)[0].model_to_string()
    assert old in text
    with pytest.raises(ModelError):
        Forest.from_text(text.replace(old, new, 1))


def test_too_few_columns_are_refused():
    booster, rows = train(1)
    forest = Forest.from_text(booster.model_to_string())
    with pytest.raises(DataError, match="at least 6 columns"):
        forest.predict(rows[:, :5])
    with pytest.raises(ModelError, match="roots"):
        Forest({name: array for name, array in forest.arrays().items() if name != "roots"})
