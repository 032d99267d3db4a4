"""The starter model: cut down from a learner, kept, brought back."""

import numpy as np
import pytest

from mtspam.config import ModelSettings
from mtspam.errors import ModelError
from mtspam.model import Batch, Learner, Starter
from mtspam.types import Example, Features

SMALL = ModelSettings(
    shared_bits=10, personal_bits=8, group_bits=8, auxiliary_bits=8, max_users=4, max_groups=4
)


def _mail(seed, n=200):
    rng = np.random.default_rng(seed)
    is_spam = rng.integers(0, 2, n).astype(np.int8)
    words = [
        tuple((rng.choice(60, 12, replace=False) + 40 * spam).astype(np.uint32) for _ in range(2))
        for spam in is_spam
    ]
    return Features.from_examples([Example(views) for views in words]), is_spam


@pytest.fixture(scope="module")
def learner():
    features, is_spam = _mail(1)
    learner = Learner(SMALL, 2)
    learner.learn_many(Batch(features=features, values=is_spam))
    return learner


def test_a_cut_down_learner_says_nearly_the_same(learner):
    features, _ = _mail(2)
    starter = Starter.distil(learner, bits=10, shares=np.array([0.4, 0.4]), bias=0.0)
    said, whole = starter.margins(features), learner.predict_many(Batch(features=features)).shared
    assert np.corrcoef(said, whole)[0, 1] > 0.99


def test_tables_fold_onto_each_other(learner):
    starter = Starter.distil(learner, bits=7, shares=np.array([0.4, 0.4]), bias=0.0)
    whole = learner.arrays()["shared_weights"].reshape(2, 8, 128).sum(axis=1)
    kept = starter.arrays()
    # Half a step of rounding, but for the few that were cut off.
    rounded = kept["weights"] * kept["scales"][:, None] / 0.4
    assert np.median(np.abs(rounded - whole)) <= 0.5 * np.abs(whole).max() / 127


def test_a_view_without_a_share_is_left_out(learner):
    starter = Starter.distil(learner, bits=10, shares=np.array([0.0, 1.0]), bias=0.5)
    example = Example((np.arange(50, dtype=np.uint32), np.empty(0, np.uint32)))
    assert starter.margins(Features.from_examples([example])).tolist() == [0.5]


def test_it_comes_back_as_it_was(learner):
    starter = Starter.distil(learner, bits=8, shares=np.array([0.3, 0.7]), bias=-0.25)
    again = Starter.from_arrays(starter.arrays())
    features, _ = _mail(3)
    assert again.margins(features).tolist() == starter.margins(features).tolist()


def test_what_does_not_fit_is_refused(learner):
    weights, scales = np.zeros((2, 8), np.int8), np.zeros(2)
    with pytest.raises(ModelError, match="starter weights"):
        Starter(np.zeros((2, 6), np.int8), scales, 0.0)
    with pytest.raises(ModelError, match="starter weights"):
        Starter(weights.astype(np.int16), scales, 0.0)
    with pytest.raises(ModelError, match="starter scales"):
        Starter(weights, np.zeros(3), 0.0)
    with pytest.raises(ModelError, match="lacks its array 'bias'"):
        Starter.from_arrays({"weights": weights, "scales": scales})
    with pytest.raises(ModelError, match="1 views; this model has 2"):
        Starter(weights, scales, 0.0).margins(
            Features.from_examples([Example((np.array([1], np.uint32),))])
        )
    bases, counts = np.zeros((2, 3), np.uint64), np.zeros(2, np.int64)
    with pytest.raises(ModelError, match="3 views; the starter has 2"):
        Starter(weights, scales, 0.0).margin_of(bases, np.zeros(3, np.int64))
    with pytest.raises(ModelError, match="1 views; the starter has 2"):
        Starter(weights, scales, 0.0).margin_of(bases[:1], counts)
    with pytest.raises(ModelError, match="more hashes are counted than the 3 of a view"):
        Starter(weights, scales, 0.0).margin_of(bases, counts + 4)
    with pytest.raises(ModelError, match="must be 0 to 10"):
        Starter.distil(learner, bits=11, shares=scales, bias=0.0)
