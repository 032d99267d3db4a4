"""One person is one user in both halves, and whoever is forgotten is forgotten in both."""

import numpy as np
import pytest

from mtspam.config import IdentitySettings, ModelSettings, Settings
from mtspam.errors import ConfigError
from mtspam.ranking.reranker import Reranker
from mtspam.search.events import Interaction, RankingShown, ShownItem
from mtspam.spam import SpamFilter
from mtspam.types import Label

ITEMS = tuple(ShownItem(name) for name in ("a", "b", "c", "d"))
NAMES = ("Ana+x@Example.org", "ana", "sales@example.org", "info")
"""Of one person, by the settings below."""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def settings(tmp_path, small):
    aliases = tmp_path / "aliases"
    aliases.write_text("sales: ana\ninfo@example.org: sales@example.org\n")
    return Settings(
        ranking=small,
        model=ModelSettings(shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8),
        identity=IdentitySettings(alias_file=str(aliases), default_domain="example.org"),
    )


def clicks(user, start=0, n=6):
    for k in range(start, start + n):
        yield RankingShown(id=f"r{k}", time=2 * k, items=ITEMS, user=user)
        yield Interaction(
            id=f"c{k}", time=2 * k + 1, kind="click", item="d", ranking=f"r{k}", user=user
        )


def scores(ranker, user):
    return ranker.rescore("", ITEMS, user=user, now=1_000).scores


@pytest.mark.parametrize("name", NAMES)
def test_what_is_clicked_under_one_name_shows_under_all(state, settings, name):
    with Reranker.open(state, settings) as ranker:
        ranker.feedback(clicks(name))
        found = [scores(ranker, one) for one in NAMES]
        assert all(np.array_equal(one, found[0]) for one in found)
        assert found[0].argmax() == 3
        assert scores(ranker, "bo").argmax() == 0


@pytest.mark.parametrize("name", NAMES)
def test_forgetting_erases_searches_under_all_names_and_mail_as_well(state, settings, name):
    with Reranker.open(state, settings) as ranker:
        ranker.feedback(clicks("bo", start=100))
        without = [scores(ranker, user) for user in (*NAMES, "bo")]
        for start, alias in enumerate(NAMES):
            ranker.feedback(clicks(alias, start=10 * start))
        with SpamFilter.open(state, settings) as spam_filter:
            spam_filter.learn(b"Subject: pills\n\nBuy them", Label.SPAM, user="info@example.org")
            assert spam_filter.forget(name) == len(NAMES) * 12 + 1
        after = [scores(ranker, user) for user in (*NAMES, "bo")]
        assert all(map(np.array_equal, after, without))


def test_what_was_said_before_an_alias_was_known_goes_as_well(state, settings, small):
    before = Settings(ranking=small, model=settings.model)
    with Reranker.open(state, before) as ranker:
        for start, alias in enumerate(NAMES):
            ranker.feedback(clicks(alias, start=10 * start))
        assert scores(ranker, "info@example.org").argmax() == 0
    with SpamFilter.open(state, settings) as spam_filter:
        assert spam_filter.forget("ana") == len(NAMES) * 12
        assert spam_filter.forget("ana") == 0
    with Reranker.open(state, settings) as ranker:
        assert scores(ranker, "ana").argmax() == 0


def test_an_alias_file_that_does_not_hold_is_told(state, settings, tmp_path):
    (tmp_path / "aliases").write_text("a: b, c\n")
    with pytest.raises(ConfigError, match="aliases:1"):
        Reranker.open(state, settings)
