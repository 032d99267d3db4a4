"""Vectors of documents: what they learn, and that the same draws come again."""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels.factors import begin_factors, learn_factors, read_factors, repeat_factors

_N_ITEMS = 12
_Factors = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _factors(size: int = 8) -> _Factors:
    given, wanted = np.zeros((2, _N_ITEMS, size), np.float32)
    bias = np.ones(_N_ITEMS, np.float32)
    for slot in range(_N_ITEMS):
        begin_factors(given, wanted, bias, slot, np.uint64(slot + 1), 0.1)
    return given, wanted, bias


def _read(factors: _Factors, taken: list[int], candidates: list[int]) -> NDArray[np.float64]:
    out = np.empty(len(candidates))
    read_factors(*factors, np.array(taken, np.int64), np.array(candidates), out)
    return out


def _learnt(n_steps: int, taken: list[int], *, homes: NDArray[np.int32], home: int) -> _Factors:
    factors = _factors()
    state = np.array([7], np.uint64)
    learn_factors(
        *factors, np.array(taken), homes, home, _N_ITEMS, n_steps, 0.1, 0.002, state
    )  # fmt: skip
    return factors


def test_a_key_alone_decides_where_a_document_begins() -> None:
    given, wanted, bias = _factors()
    again = _factors()
    np.testing.assert_array_equal(given, again[0])
    np.testing.assert_array_equal(wanted, again[1])
    assert not bias.any()
    assert 0.0 < np.abs(given).max() <= 0.1
    assert len(np.unique(np.concatenate([given, wanted]), axis=0)) == 2 * _N_ITEMS


def test_what_is_taken_together_is_foreseen_from_each_other() -> None:
    everywhere = np.zeros(_N_ITEMS, np.int32)
    factors = _learnt(4_000, [0, 1, 2], homes=everywhere, home=0)
    said = _read(factors, [0], [1, 2, 3, 4, 5])
    assert said[:2].min() > said[2:].max() + 1.0


def test_only_documents_of_the_users_market_are_pushed_down() -> None:
    homes = np.arange(_N_ITEMS, dtype=np.int32) % 2
    _, wanted, bias = _learnt(500, [0, 2], homes=homes, home=0)
    begun = _factors()[1]
    moved = np.abs(wanted - begun).max(axis=1) > 0.02
    assert moved[homes == 0].all()
    assert bias[homes == 0][2:].max() < bias[homes == 1].min()


def test_one_document_alone_teaches_nothing() -> None:
    given, wanted, bias = _learnt(10, [3], homes=np.zeros(_N_ITEMS, np.int32), home=0)
    begun = _factors()
    np.testing.assert_array_equal(given, begun[0])
    np.testing.assert_array_equal(wanted, begun[1])
    assert not bias.any()


def test_a_candidate_that_was_taken_is_foreseen_from_the_others() -> None:
    factors = _factors()
    given, wanted, bias = factors
    bias[:] = np.arange(_N_ITEMS)
    both, unknown = _read(factors, [0, 1], [1, -1])
    np.testing.assert_allclose(both, given[0] @ wanted[1] + 1.0, rtol=1e-5)
    assert unknown == 0.0
    np.testing.assert_allclose(_read(factors, [], [5]), [5.0])


def test_repeats_leave_out_places_that_are_somebody_elses_now() -> None:
    taken = np.array([[0, 1, 2]])
    generations = np.zeros((1, 3), np.int64)
    generation = np.zeros(_N_ITEMS, np.int64)
    homes = np.zeros(_N_ITEMS, np.int32)
    for gone, moves in ((1, True), (2, False)):  # of three documents two or one are left
        factors = _factors()
        now = generation.copy()
        now[:gone] = 1
        repeat_factors(
            *factors, taken, generations, np.array([3]), now, homes, np.zeros(1, np.int32),
            1, _N_ITEMS, 20, 4, 0.1, 0.0, np.array([3], np.uint64),
        )  # fmt: skip
        begun = _factors()
        np.testing.assert_array_equal(factors[0][:gone], begun[0][:gone])
        assert bool((factors[0] != begun[0]).any()) is moves
