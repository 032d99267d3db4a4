"""Versions on disk: one training at a time, no name twice, nothing half of one."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from mtspam.config import Settings
from mtspam.errors import ModelError, StateLockedError
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.showing import shown
from mtspam.ranking.versions import VersionStore
from mtspam.search.events import Interaction, RankingShown, ShownItem

N_RANKINGS = 40


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def ranker(state, small):
    rng = np.random.default_rng(0)
    events = []
    for n in range(N_RANKINGS):
        match = rng.normal(size=4)
        items = tuple(ShownItem(f"d{k}", fields={"match": match[k]}) for k in range(4))
        events += [
            RankingShown(id=f"r{n}", time=n, items=items),
            Interaction(
                id=f"c{n}", time=n, kind="click", item=f"d{match.argmax()}", ranking=f"r{n}"
            ),
        ]
    with Reranker.open(state, Settings(ranking=small)) as opened:
        opened.feedback(events)
        yield opened


def test_two_do_not_train_at_once(ranker, state):
    store = VersionStore.of_state(state)
    with (
        store.training(),
        pytest.raises(StateLockedError, match="another process is training"),
    ):
        ranker.train()
    assert store.names() == []
    assert ranker.train() == "0001"


def test_who_is_killed_while_training_leaves_lock_and_name_to_the_next(ranker, state):
    store = VersionStore.of_state(state)
    child = os.fork()
    if child == 0:
        with store.training():
            (state / "rank" / "0001").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (state / "rank" / "0001").exists()
    assert store.names() == []
    assert ranker.train() == "0001"
    assert ranker.train() == "0002"
    assert store.names() == ["0001", "0002"]
    assert store.current() == "0002"


def test_an_unknown_version_is_answered_with_those_there_are(ranker, state):
    store = VersionStore.of_state(state)
    with pytest.raises(ModelError, match=r"no version '7'; there are: none, since nothing"):
        store.use("7")
    ranker.train()
    for ask in (store.use, store.load, ranker.use):
        with pytest.raises(ModelError, match=r"no version '\.\./0001'; there are: 0001"):
            ask("../0001")
    assert store.load("0001").facts["n_queries"] == N_RANKINGS


def test_what_came_of_a_ranking_is_no_feature(state, small):
    """How likely a place was is known of rankings shown, and not of new ones."""
    settings = Settings(ranking=replace(small, explore_places=4, explore_rate=0.4))
    with Reranker.open(state, settings) as ranker:
        for n in range(N_RANKINGS):
            items = tuple(ShownItem(f"d{k}", fields={"match": (k * n) % 5}) for k in range(4))
            asked = RankingShown(id=f"r{n}", time=n, items=items)
            made = shown(asked, ranker.rescore_ranking(asked))
            assert made.items[0].fields["propensity"] <= 1.0
            best = max(items, key=lambda one: one.fields["match"]).item
            click = Interaction(id=f"c{n}", time=n, kind="click", item=best, ranking=f"r{n}")
            ranker.feedback([made, click])
        columns = ranker.versions.columns(ranker.train())
    assert "match" in columns
    assert "propensity" not in columns
