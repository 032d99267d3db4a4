import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import DataError
from mtspam.metrics.ranking import (
    EmptyQueries,
    Gain,
    average_precision,
    difference_interval,
    mean_figure,
    mean_interval,
    ndcg,
    reciprocal_rank,
)
from tests.reference import rankings as twin

SCORE = st.sampled_from([-1.0, 0.0, 0.5, 0.5, 2.0])
DOCUMENT = st.tuples(SCORE, st.integers(0, 4))
QUERIES = st.lists(st.lists(DOCUMENT, max_size=8), max_size=5)


def columns(queries):
    documents = [document for query in queries for document in query]
    scores, grades = zip(*documents, strict=True) if documents else ((), ())
    return list(scores), list(grades), np.cumsum([0, *map(len, queries)])


def test_ndcg_by_hand():
    # Grades 0, 2, 1 in the order shown; the best order is 2, 1, 0.
    exponential = (3 / math.log2(3) + 1 / math.log2(4)) / (3 / math.log2(2) + 1 / math.log2(3))
    linear = (2 / math.log2(3) + 1 / math.log2(4)) / (2 / math.log2(2) + 1 / math.log2(3))
    given = ([3.0, 2.0, 1.0], [0, 2, 1], [0, 3])
    assert ndcg(*given) == pytest.approx([exponential])
    assert ndcg(*given, gain=Gain.LINEAR) == pytest.approx([linear])
    assert ndcg(*given, cutoff=1).tolist() == [0.0]
    assert ndcg(*given, cutoff=2, gain=Gain.LINEAR) == pytest.approx(
        [(2 / math.log2(3)) / (2 / math.log2(2) + 1 / math.log2(3))]
    )


def test_the_others_by_hand():
    given = ([4.0, 3.0, 2.0, 1.0], [0, 1, 0, 3], [0, 4])
    assert reciprocal_rank(*given).tolist() == [1 / 2]
    assert reciprocal_rank(*given, cutoff=1).tolist() == [0.0]
    assert average_precision(*given).tolist() == [(1 / 2 + 2 / 4) / 2]
    assert average_precision(*given, cutoff=2).tolist() == [(1 / 2) / 2]


def test_ties_stand_in_the_order_given():
    assert reciprocal_rank([1.0, 1.0], [0, 1], [0, 2]).tolist() == [1 / 2]
    assert reciprocal_rank([1.0, 1.0], [1, 0], [0, 2]).tolist() == [1.0]


@given(QUERIES, st.integers(1, 9))
def test_the_twin_says_the_same(queries, cutoff):
    given = columns(queries)
    for ours, theirs in (
        (ndcg(*given, cutoff=cutoff, gain=Gain.LINEAR), twin.ndcg),
        (reciprocal_rank(*given, cutoff=cutoff), twin.reciprocal_rank),
        (average_precision(*given, cutoff=cutoff), twin.average_precision),
    ):
        expected = [
            theirs(*map(list, zip(*query, strict=True)), cutoff) for query in queries if query
        ]
        assert ours[[bool(query) for query in queries]] == pytest.approx(expected, nan_ok=True)


@given(QUERIES)
def test_the_best_order_has_one_and_no_figure_leaves_its_range(queries):
    scores, grades, offsets = columns(queries)
    best = ndcg(grades, grades, offsets)
    assert best[~np.isnan(best)] == pytest.approx(1.0)
    for figure in (ndcg, reciprocal_rank, average_precision):
        found = figure(scores, grades, offsets)
        assert ((found >= 0) & (found <= 1 + 1e-12) | np.isnan(found)).all()


def test_empty_queries_count_as_is_said():
    figures = ndcg([1.0, 2.0, 3.0], [1, 0, 0], [0, 1, 3])
    assert [mean_figure(figures, rule) for rule in EmptyQueries] == [1.0, 0.5, 1.0]
    assert math.isnan(mean_figure(figures[1:]))
    assert math.isnan(mean_interval(figures[1:]).low)


def test_an_interval_holds_the_mean_and_narrows():
    rng = np.random.default_rng(1)
    few, many = rng.random(30), rng.random(3_000)
    for figures in (few, many):
        found = mean_interval(figures, seed=3)
        assert found.low < figures.mean() < found.high
        assert found == mean_interval(figures, seed=3)
    wide, narrow = mean_interval(few), mean_interval(many)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 4


def test_a_difference_is_taken_query_by_query():
    hard = np.random.default_rng(1).random(200)
    found = difference_interval(hard + 0.01, hard)
    assert found.low == pytest.approx(0.01)
    with pytest.raises(DataError, match="200 and of 3 queries"):
        difference_interval(hard, hard[:3])


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (([1.0], [1, 2], [0, 1]), "shape"),
        (([math.nan], [1], [0, 1]), "not a number"),
        (([1.0], [-1], [0, 1]), "from 0 to 60, got -1"),
        (([1.0], [math.nan], [0, 1]), "from 0 to 60"),
        (([1.0], [61], [0, 1]), "from 0 to 60"),
        (([1.0], [1], [0, 2]), "rise from 0 to 1"),
        (([1.0], [1], [1, 1]), "rise from 0"),
        (([1.0, 1.0], [1, 1], [0, 2, 1, 2]), "rise from 0"),
    ],
)
def test_what_does_not_fit_is_refused(given, complaint):
    with pytest.raises(DataError, match=complaint):
        ndcg(*given)


def test_parameters_out_of_range():
    with pytest.raises(DataError, match="cutoff is 0"):
        ndcg([1.0], [1], [0, 1], cutoff=0)
    for bad in ({"n_resamples": 0}, {"level": 1.0}):
        with pytest.raises(DataError, match="bootstrap"):
            mean_interval(np.zeros(3), **bad)
