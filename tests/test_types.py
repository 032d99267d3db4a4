"""Examples as one block."""

import numpy as np

from mtspam.types import Example, Features


def _example(*views):
    return Example(tuple(np.array(view, np.uint32) for view in views))


def test_examples_lie_one_after_the_other():
    features = Features.from_examples([_example([1, 2], []), _example([], [7, 8, 9])])
    assert features.values.tolist() == [1, 2, 7, 8, 9]
    assert features.offsets.tolist() == [[0, 2, 2], [2, 2, 5]]
    assert (features.values.dtype, features.offsets.dtype) == (np.uint32, np.int64)
    assert len(features) == 2


def test_no_example_is_an_empty_block():
    features = Features.from_examples([])
    assert (len(features), len(features.values)) == (0, 0)
    assert features.values.dtype == np.uint32
