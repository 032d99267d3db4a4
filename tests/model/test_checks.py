"""What does not fit is refused before a kernel sees it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mtspam.config import ModelSettings
from mtspam.errors import ModelError
from mtspam.model import Batch, Learner
from mtspam.types import Example, Features

SMALL = ModelSettings(
    shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8, max_users=4, max_groups=4
)
GOOD = Batch(
    features=Features.from_examples([Example((np.array([1, 2, 3], np.uint32),))] * 2),
    users=[b"u" * 16] * 2,
    values=np.array([1, 0], np.int8),
)


def _features(values=GOOD.features.values, offsets=GOOD.features.offsets):
    return replace(GOOD, features=Features(values, offsets))


BAD = {
    "another type of hash": (
        _features(GOOD.features.values.astype(np.int64)),
        "are int64",
    ),
    "hashes with gaps": (_features(np.zeros(12, np.uint32)[::2]), "one block of uint32"),
    "another type of offset": (_features(offsets=np.zeros((2, 2), np.int32)), "are int32"),
    "offsets behind the end": (_features(offsets=np.array([[0, 3], [3, 7]])), "leave the 6"),
    "offsets before the start": (_features(offsets=np.array([[-1, 3], [3, 6]])), "leave the 6"),
    "offsets that fall": (_features(offsets=np.array([[0, 3], [6, 3]])), "offsets fall"),
    "more views": (_features(offsets=np.zeros((2, 3), np.int64)), "2 views; this model has 1"),
    "too few users": (replace(GOOD, users=[b"u" * 16]), "users has 1 rows for 2 messages"),
    "too many values": (replace(GOOD, values=np.zeros(3, np.int8)), "values has 3 rows"),
    "a value that is no answer": (replace(GOOD, values=np.array([1, 2], np.int8)), "1, 0 or -1"),
    "an unknown kind": (replace(GOOD, kinds=np.array([0, 3], np.int8)), "number from 0 to 2"),
    "a weight of nothing": (replace(GOOD, weights=np.array([1.0, 0.0])), "weight must be above 0"),
    "a weight that is no number": (replace(GOOD, weights=np.array([1.0, np.nan])), "above 0"),
    "an endless prior": (replace(GOOD, priors=np.array([0.0, np.inf])), "must be finite"),
}


@pytest.mark.parametrize(("batch", "message"), BAD.values(), ids=BAD.keys())
def test_a_batch_that_does_not_fit_is_refused_and_leaves_no_trace(batch, message):
    learner = Learner(SMALL, 1)
    before = {name: array.tobytes() for name, array in learner.arrays().items()}
    for verb in (learner.learn_many, learner.predict_many):
        with pytest.raises(ModelError, match=re.escape(message)):
            verb(batch)
    assert {name: array.tobytes() for name, array in learner.arrays().items()} == before


def _array(name, change):
    arrays = Learner(SMALL, 2).arrays()
    return {**arrays, name: change(arrays[name])}


BAD_ARRAYS = {
    "a table of another type": ("shared_weights", lambda a: a.astype(np.float64), "float64"),
    "a table that is no power of two": ("group_weights", lambda a: a[:, :100].copy(), "(2, 100)"),
    "a table with a row too few": ("personal_weights", lambda a: a[:1].copy(), "have 2 rows"),
    "a third head": ("head_weights", lambda a: np.vstack([a, a[:1]]), "have 2 rows"),
    "accumulators of another size": (
        "shared_squares",
        lambda a: a[:, :64].copy(),
        "differ",
    ),
    "a combiner of other views": ("combiner", lambda a: a[:, :4].copy(), "not (2, 5)"),
    "a state of another version": ("state", lambda a: a[:7].copy(), "not (8,)"),
    "more users than allowed": (
        "user_keys",
        lambda _: np.zeros((9, 16), np.uint8),
        "user",
    ),
}


@pytest.mark.parametrize(("name", "change", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_arrays_that_do_not_fit_are_refused(name, change, message):
    with pytest.raises(ModelError, match=re.escape(message)):
        Learner.from_arrays(SMALL, _array(name, change))


@pytest.mark.parametrize("name", Learner(SMALL, 1).arrays())
def test_a_missing_array_is_named(name):
    arrays = Learner(SMALL, 1).arrays()
    del arrays[name]
    with pytest.raises(ModelError, match=name):
        Learner.from_arrays(SMALL, arrays)


def test_arrays_that_nobody_may_write_to_are_refused():
    def seal(array):
        array.flags.writeable = False
        return array

    with pytest.raises(ModelError, match="written to"):
        Learner.from_arrays(SMALL, _array("head_squares", seal))
