import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import DataError
from mtspam.ranking.interleaving import Draft, preference, team_draft


@given(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 99))
def test_every_candidate_once_and_teams_of_one_size(first, second, seed):
    draft = team_draft(first, second, np.random.default_rng(seed))
    assert sorted(draft.order) == list(range(9))
    for pair in range(0, 8, 2):
        assert sorted(draft.team[pair : pair + 2]) == [0, 1]
    assert draft.order[0] in (first[0], second[0])


def test_both_begin_equally_often():
    rng = np.random.default_rng(0)
    begins = [team_draft([0, 1, 2], [2, 1, 0], rng).team[0] for _ in range(2_000)]
    assert np.mean(begins) == pytest.approx(0.5, abs=0.04)


def test_credit():
    draft = Draft(np.array([4, 7, 1]), np.array([0, 1, 0], np.int8))
    assert [draft.credit(clicked) for clicked in ([4], [7], [4, 7], [4, 1, 7], [])] == [
        1, -1, 0, 1, 0,
    ]  # fmt: skip


def test_the_better_ranking_wins_and_equals_do_not():
    rng = np.random.default_rng(3)

    def compare(first, second):
        credits_ = []
        for _ in range(400):
            draft = team_draft(first, second, rng)
            # People look at three, and click what they like: low numbers.
            likes = [n for n in draft.order[:3].tolist() if rng.random() < 0.5 / (n + 1)]
            credits_.append(draft.credit(likes))
        return preference(credits_)

    better = compare([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0])
    assert better.delta > 0.05
    assert better.p_value < 0.01
    assert compare([0, 1, 2, 3], [0, 1, 2, 3]).p_value > 0.01
    assert preference([]).delta == 0.0


def test_other_candidates_are_refused():
    with pytest.raises(DataError, match="same candidates"):
        team_draft([0, 1], [0, 2], np.random.default_rng(0))
