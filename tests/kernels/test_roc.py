"""Three witnesses: a case by hand, the plain-Python twin, and laws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels.roc import count_errors, twice_area
from tests.reference import roc as twin

# Few distinct values, so that ties are common.
MESSAGES = st.lists(st.tuples(st.booleans(), st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.0])))


def _sorted(messages):
    messages = sorted(messages, key=lambda message: message[1])
    return (
        np.array([score for _, score in messages], np.float64),
        np.array([truth for truth, _ in messages], np.bool_),
    )


def test_by_hand():
    scores = np.array([-2.0, 0.5, 0.5, 3.0])
    is_spam = np.array([False, True, False, True])
    cuts, n_ham_wrong, n_spam_wrong = count_errors(scores, is_spam)
    assert cuts.tolist() == [0, 1, 3, 4]
    assert n_ham_wrong.tolist() == [2, 1, 0, 0]
    assert n_spam_wrong.tolist() == [0, 0, 1, 2]
    # Four pairs: three right, one tied.
    assert twice_area(cuts, is_spam, np.ones(4, np.int64)) == (2 * 3 + 1, 2, 2)


def test_nothing():
    cuts, n_ham_wrong, n_spam_wrong = count_errors(np.empty(0), np.empty(0, np.bool_))
    assert (cuts.tolist(), n_ham_wrong.tolist(), n_spam_wrong.tolist()) == ([0], [0], [0])
    assert twice_area(cuts, np.empty(0, np.bool_), np.empty(0, np.int64)) == (0, 0, 0)


@given(MESSAGES)
def test_errors_are_the_twins(messages):
    scores, is_spam = _sorted(messages)
    _, n_ham_wrong, n_spam_wrong = count_errors(scores, is_spam)
    expected = twin.errors(is_spam.tolist(), scores.tolist())
    assert list(zip(n_ham_wrong.tolist(), n_spam_wrong.tolist(), strict=True)) == expected


@given(MESSAGES.filter(lambda messages: len({truth for truth, _ in messages}) == 2))
def test_area_is_the_twins(messages):
    scores, is_spam = _sorted(messages)
    cuts, _, _ = count_errors(scores, is_spam)
    twice, n_ham, n_spam = twice_area(cuts, is_spam, np.ones(scores.size, np.int64))
    assert twice / (2 * n_ham * n_spam) == twin.roca(is_spam.tolist(), scores.tolist())


@given(st.lists(st.tuples(MESSAGES.map(lambda m: m[:1]), st.integers(0, 3)), max_size=12))
def test_a_count_is_that_many_copies(drawn):
    pairs = [(messages[0], count) for messages, count in drawn if messages]
    pairs.sort(key=lambda pair: pair[0][1])
    scores, is_spam = _sorted([message for message, _ in pairs])
    counts = np.array([count for _, count in pairs], np.int64)
    cuts, _, _ = count_errors(scores, is_spam)
    copied_scores, copied_truth = np.repeat(scores, counts), np.repeat(is_spam, counts)
    copied_cuts, _, _ = count_errors(copied_scores, copied_truth)
    ones = np.ones(copied_scores.size, np.int64)
    assert twice_area(cuts, is_spam, counts) == twice_area(copied_cuts, copied_truth, ones)
