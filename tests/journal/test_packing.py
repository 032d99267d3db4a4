import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.errors import DataError, JournalError
from mtspam.journal.packing import (
    block_of,
    pack_example,
    pack_many,
    unpack_example,
    unpack_many,
)
from mtspam.types import Example


def example_of(*views):
    return Example(tuple(np.array(view, dtype=np.uint32) for view in views))


def lists_of(example):
    return [view.tolist() for view in example.views]


views = st.lists(st.sets(st.integers(0, 2**32 - 1), max_size=30).map(sorted), max_size=5)


@given(views)
@settings(deadline=None)
def test_unpacking_undoes_packing(lists):
    back = unpack_example(pack_example(example_of(*lists)))
    assert lists_of(back) == lists
    assert all(view.dtype == np.uint32 and view.flags.c_contiguous for view in back.views)


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_an_example_or_refused(junk):
    try:
        example = unpack_example(junk)
    except JournalError:
        return
    assert pack_example(example) == junk


def test_many_are_columns():
    packed = [pack_example(example_of([1, 2], [3])), pack_example(example_of([], [4, 5, 6]))]
    features, offsets = unpack_many(packed)
    assert features.tolist() == [1, 2, 3, 4, 5, 6]
    assert offsets.tolist() == [[0, 2, 3], [3, 3, 6]]


def blocks(n_views):
    view = st.sets(st.integers(0, 2**32 - 1), max_size=30).map(sorted)
    return st.lists(st.lists(view, min_size=n_views, max_size=n_views), max_size=5)


@given(st.integers(0, 4).flatmap(blocks))
@settings(deadline=None)
def test_many_are_packed_as_each_of_them_is(block):
    examples = [example_of(*lists) for lists in block]
    assert pack_many(block_of(examples)) == [pack_example(one) for one in examples]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (example_of([], [7, 6]), "view 1 of an example is not distinct and rising at its hash nu"),
        (example_of([2, 3, 3], []), "view 0 of an example is not distinct and rising"),
        (example_of([1]), "an example has 1 views where the first has 2"),
    ],
)
def test_one_of_many_may_be_no_example(second, words):
    good = example_of([9], [1])
    with pytest.raises(DataError) as caught:
        pack_many(block_of([good, second, good]))
    assert words in str(caught.value)


def test_none_at_all():
    features, offsets = unpack_many([])
    assert features.shape == (0,)
    assert offsets.shape == (0, 1)


def test_about_three_and_a_third_bytes_a_hash():
    rng = np.random.default_rng(1)
    sizes = (1500, 1400, 300, 770, 30)
    lists = [np.unique(rng.integers(0, 2**32, size, dtype=np.uint32)) for size in sizes]
    packed = pack_example(Example(tuple(lists)))
    assert len(packed) < 3.35 * sum(sizes)


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        ([b""], "example 1 of 1 is torn or damaged (0 bytes)"),
        ([pack_example(example_of([1])), b"\x02\x01aaaabbbb"], "example 2 of 2 has format 2"),
        ([pack_example(example_of([1])), pack_example(example_of())], "0 views where the first"),
    ],
)
def test_refusals_say_which_and_why(packed, words):
    with pytest.raises(JournalError) as caught:
        unpack_many(packed)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (example_of([1], [2, 2]), "view 1 of an example is not distinct and rising"),
        (example_of([3, 1], [2]), "view 0 of an example is not distinct and rising"),
        (example_of([], [], [9, 8]), "view 2 of an example is not distinct and rising"),
        (Example((np.array([1], dtype=np.int64),)), "view 0 of an example is int64"),
        (Example((np.zeros((1, 1), dtype=np.uint32),)), "of shape (1, 1)"),
        (Example((np.zeros(1, dtype=np.uint32),) * 256), "has 256 views"),
    ],
)
def test_what_is_no_example_is_not_packed(example, words):
    with pytest.raises(DataError) as caught:
        pack_example(example)
    assert words in str(caught.value)


def test_a_strided_view_packs_as_its_values():
    strided = np.arange(10, dtype=np.uint32)[::3]
    assert pack_example(Example((strided,))) == pack_example(example_of([0, 3, 6, 9]))
