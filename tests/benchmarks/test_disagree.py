"""Made streams: noise and users who disagree."""

import numpy as np
import pytest
from disagree import BY_LIST, BY_USER, disagree, perfect_memory
from figures import one_minus_roca_percent
from streams import Message, flip_feedback, parts_of, thin, truth_of


def _stream(n: int) -> tuple[Message, ...]:
    kinds = [b"List-Id: <a.example>\n", b"List-Id: <b.example>\n", b"", b""]
    return tuple(
        Message(
            path=f"m{i}", raw=kinds[i % 4] + b"\nbody", is_spam=i % 4 == 3, said_spam=i % 4 == 3
        )
        for i in range(n)
    )


@pytest.mark.parametrize("mode", [BY_USER, BY_LIST])
def test_half_of_the_users_hate_each_list_and_stay_so(mode: str) -> None:
    made, _ = disagree(_stream(800), mode, n_users=4, seed=1)
    said: dict[tuple[str | None, str], set[bool]] = {}
    for message in made:
        if message.list_name:
            said.setdefault((message.list_name, message.user), set()).add(message.is_spam)
    assert all(len(words) == 1 for words in said.values())
    for name in ("list:a.example", "list:b.example"):
        assert sum(words == {True} for (found, _), words in said.items() if found == name) == 2


def test_all_other_mail_keeps_its_label() -> None:
    before = _stream(400)
    made, _ = disagree(before, BY_LIST, n_users=4, seed=1)
    mask = parts_of(made)["undisputed"]
    assert mask.sum() == 200
    assert (truth_of(made)[mask] == truth_of(before)[mask]).all()


def test_perfect_memory_errs_on_first_words_alone() -> None:
    made, _ = disagree(_stream(800), BY_LIST, n_users=4, seed=1)
    mask = parts_of(made)["disputed"]
    lost = one_minus_roca_percent(truth_of(made)[mask], perfect_memory(made)[mask])
    assert lost is not None
    assert 0 < lost < 2


def test_flips_move_what_is_said_and_never_the_truth() -> None:
    before = _stream(2000)
    small, large = (flip_feedback(before, share, seed=5) for share in (0.05, 0.2))
    assert (truth_of(large) == truth_of(before)).all()
    flipped = [np.array([m.is_spam != m.said_spam for m in made]) for made in (small, large)]
    assert flipped[0].mean() == pytest.approx(0.05, abs=0.02)
    assert flipped[1].mean() == pytest.approx(0.2, abs=0.03)
    assert (flipped[1] | ~flipped[0]).all()


def test_thinning_keeps_order_first_and_last() -> None:
    kept = thin(_stream(100), 10)
    assert [m.path for m in kept][:: len(kept) - 1] == ["m0", "m99"]
    assert [int(m.path[1:]) for m in kept] == sorted(int(m.path[1:]) for m in kept)
