"""The reranker over a state: feedback shows at once, everywhere, and can be forgotten."""

import os
from dataclasses import replace

import numpy as np
import pytest

from mtspam.config import Settings
from mtspam.errors import DataError, JournalError, ModelError
from mtspam.journal import Journal
from mtspam.journal.keys import user_key
from mtspam.journal.search import SearchJournal
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.showing import shown
from mtspam.search.events import Interaction, Item, Judgement, RankingShown, ShownItem
from mtspam.state import StateDirectory

NAMES = [f"d{n}" for n in range(8)]


def candidates(seed=0, names=NAMES):
    rng = np.random.default_rng(seed)
    return tuple(ShownItem(name, -float(n), {"match": float(rng.normal())})
                 for n, name in enumerate(names))  # fmt: skip


def clicks(n_rankings, choose, *, user="ana", start=0, market="", kind="click"):
    """Rankings of which the user clicks what `choose` says, with its candidates in any order."""
    rng = np.random.default_rng(start)
    for n in range(start, start + n_rankings):
        names = [NAMES[place] for place in rng.permutation(len(NAMES))]
        items = candidates(n, names)
        name = choose(items)
        yield RankingShown(
            id=f"r{n}", time=n * 1000, items=items, user=user, market=market, query="q"
        )
        yield Interaction(
            id=f"c{n}", time=n * 1000 + 1, kind=kind, item=name, ranking=f"r{n}", user=user
        )


def best_match(items):
    return max(items, key=lambda one: one.fields["match"]).item


def always(name):
    return lambda _: name


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def settings(small):
    return Settings(ranking=small)


@pytest.fixture
def ranker(state, settings):
    with Reranker.open(state, settings) as opened:
        yield opened


def first(ranker, **who):
    items = candidates(12345)
    return items[ranker.rescore("q", items, **who).order[0]].item


def test_without_a_state_the_hosts_order_stands(state, settings):
    with Reranker.open(state, settings, read_only=True) as ranker:
        assert ranker.rescore("q", candidates()).order.tolist() == list(range(8))
        with pytest.raises(JournalError, match="for reading"):
            ranker.feedback([])
    assert not state.exists()


def test_nothing_learnt_nothing_moved(ranker):
    found = ranker.rescore("q", candidates(), user="ana", market="fr")
    assert found.order.tolist() == list(range(8))
    assert found.propensities.tolist() == [1.0] * 8
    assert ranker.rescore("q", ()).order.tolist() == []


def test_a_few_clicks_show_for_their_user_and_less_for_others(ranker):
    ranker.feedback(clicks(6, always("d5")))
    mine = ranker.rescore("", candidates(), user="ana").scores[5]
    theirs = ranker.rescore("", candidates(), user="bo").scores[5]
    nobodys = ranker.rescore("", candidates()).scores[5]
    assert mine > theirs == nobodys > np.log(1 / 7)
    assert first(ranker, user="ana") == "d5"


def test_documents_with_the_same_field_gain_too(ranker):
    ranker.feedback(
        Item(id=f"i{n}", time=0, item=name, fields={"genre": "war" if n % 2 else "love"})
        for n, name in enumerate(NAMES)
    )
    before = ranker.rescore("", candidates(), user="ana").scores
    ranker.feedback(clicks(6, always("d5")))
    gained = ranker.rescore("", candidates(), user="ana").scores - before
    assert gained[[1, 3, 7]].min() > gained[[0, 2, 4, 6]].max()


def test_feedback_given_elsewhere_shows_here(state, settings, ranker):
    with Reranker.open(state, settings) as other:
        other.feedback(clicks(6, always("d5")))
        ours, theirs = (one.rescore("q", candidates(), user="ana") for one in (ranker, other))
    assert np.array_equal(ours.scores, theirs.scores)
    assert ours.order[0] == 5


def test_the_same_feedback_twice_is_one(ranker):
    events = list(clicks(6, always("d5")))
    assert ranker.feedback(events).n_new == 12
    before = ranker.rescore("q", candidates(), user="ana").scores
    assert ranker.feedback(events).n_same == 12
    assert np.array_equal(ranker.rescore("q", candidates(), user="ana").scores, before)


def test_opened_again_it_knows_the_same(state, settings, ranker):
    ranker.feedback(clicks(20, best_match))
    ranker.train()
    ranker.feedback(clicks(5, always("d5"), start=100))
    with Reranker.open(state, settings, read_only=True) as again:
        assert again.version == ranker.version == "0001"
        for user in ("ana", ""):
            ours, theirs = (one.rescore("q", candidates(3), user=user) for one in (ranker, again))
            assert np.array_equal(ours.scores, theirs.scores)


def test_late_events_come_out_as_if_in_time(tmp_path, settings):
    events = list(clicks(30, best_match))
    rng = np.random.default_rng(5)
    scores = []
    for name, given in (("a", events), ("b", [events[n] for n in rng.permutation(60)])):
        with Reranker.open(tmp_path / name, settings) as ranker:
            # The secret is part of every hash.
            (tmp_path / name / "secret").write_bytes(bytes(32))
        with Reranker.open(tmp_path / name, settings) as ranker:
            ranker.feedback(given)
        with Reranker.open(tmp_path / name, settings) as ranker:
            scores.append(ranker.rescore("q", candidates(), user="ana").scores)
    assert np.array_equal(*scores)


def test_who_is_forgotten_leaves_no_trace_in_scores(state, settings, ranker):
    ranker.feedback(clicks(10, best_match, user="bo", start=500))
    before = ranker.rescore("q", candidates(), user="ana").scores
    ranker.feedback(clicks(10, always("d5")))
    assert not np.array_equal(ranker.rescore("q", candidates(), user="ana").scores, before)
    with Journal.open(state / "journal.sqlite") as journal:
        assert journal.forget(user_key("ana", StateDirectory(state).secret())) == 20
    assert np.array_equal(ranker.rescore("q", candidates(), user="ana").scores, before)


def test_trees_learn_what_the_features_say(ranker):
    ranker.feedback(clicks(150, best_match))
    ranker.train()
    hits = sum(
        items[ranker.rescore("q", items, user="new").order[0]].item == best_match(items)
        for items in map(candidates, range(1000, 1100))
    )
    assert hits > 50


def test_a_query_that_nobody_asked_keeps_the_hosts_order(ranker):
    rng = np.random.default_rng(0)
    for n in range(240):
        items = candidates(n, [NAMES[place] for place in rng.permutation(4)])
        wanted, user = NAMES[rng.integers(4)], f"u{n}"
        shown_for = f"where is {wanted}"
        ranker.feedback(
            [
                RankingShown(id=f"r{n}", time=n * 1000, items=items, user=user, query=shown_for),
                Interaction(
                    id=f"c{n}", time=n * 1000 + 1, kind="click", item=wanted, ranking=f"r{n}",
                    user=user,
                ),
            ]
        )  # fmt: skip
    ranker.train()
    asked = candidates(7, NAMES[3::-1])
    known, new = (
        ranker.rescore(query, asked, user="new", now=300_000).order.tolist()
        for query in ("where is d2", "unheard of")
    )
    assert asked[known[0]].item == "d2"
    assert new == [0, 1, 2, 3]


def test_versions_and_back(state, settings, ranker):
    with pytest.raises(DataError, match="no ranking"):
        ranker.train()
    ranker.feedback(clicks(40, best_match))
    ranker.train()
    scores = ranker.rescore("q", candidates(9)).scores
    with Reranker.open(state, settings) as other:
        ranker.feedback(clicks(40, always("d1"), start=50))
        ranker.train()
        assert ranker.versions.names() == ["0001", "0002"]
        assert other.rescore("q", candidates(9)).version == "0002"
        ranker.use("0001")
        assert other.rescore("q", candidates(9)).version == "0001"
    assert not np.array_equal(ranker.rescore("q", candidates(9)).scores, scores)  # clicks since
    with pytest.raises(ModelError, match="0001, 0002"):
        ranker.use("0003")
    assert ranker.version == "0001"


def test_a_torn_version_is_refused(state, settings, ranker):
    ranker.feedback(clicks(40, best_match))
    ranker.train()
    file = state / "rank" / "0001" / "trunk.snapshot"
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(ModelError, match=r"trunk\.snapshot"):
        Reranker.open(state, settings)


def test_reasons_add_up(ranker):
    ranker.feedback(clicks(60, best_match))
    ranker.train()
    before = ranker.rescore("q", candidates(), user="ana", explain=True)
    assert "match" in {name for one in before.reasons for name, _ in one.features}
    ranker.feedback(clicks(5, always("d5"), start=100))
    found = ranker.rescore("q", candidates(), user="ana", explain=True)
    assert [one.total for one in found.reasons] == pytest.approx(found.scores.tolist())
    assert found.reasons[5].you > before.reasons[5].you
    assert ranker.rescore("q", candidates()).reasons == ()


def test_judgements_teach_trees(ranker):
    rng = np.random.default_rng(0)
    events = []
    for n in range(60):
        items = candidates(n)
        events.append(RankingShown(id=f"r{n}", time=n, items=items, query=f"q{n}"))
        events += [
            Judgement(id=f"j{n} {one.item}", time=n + 1, query=f"q{n}", item=one.item,
                      grade=float(one.fields["match"] > rng.normal() * 0.1))
            for one in items
        ]  # fmt: skip
    ranker.feedback(events)
    ranker.train()
    items = candidates(777)
    place = ranker.rescore("q", items).order[0]
    assert items[place].fields["match"] > 0


def test_conversions_are_learnt_as_well(ranker):
    ranker.feedback(clicks(60, best_match))
    ranker.feedback(
        Interaction(id=f"v{n}", time=n * 1000 + 2, kind="purchase", item="d3", ranking=f"r{n}",
                    user="ana")
        for n in range(60)
    )  # fmt: skip
    name = ranker.train()
    assert ranker.versions.load(name).trunk.has_conversion


def test_what_somebody_looked_at_before_comes_first(ranker):
    rng = np.random.default_rng(5)
    for n in range(80):
        liked = NAMES[rng.integers(len(NAMES))]
        user, looked = f"u{n}", 10_000 * n
        ranker.feedback([Interaction(id=f"v{n}", time=looked, kind="view", item=liked, user=user)])
        for event in clicks(1, always(liked), user=user, start=n):
            ranker.feedback([replace(event, time=looked + 1 + event.time - 1000 * n)])
    ranker.train()
    for user, name in (("ana", NAMES[6]), ("bo", NAMES[3])):
        assert first(ranker, user=user) == NAMES[0]
        look = Interaction(id=f"a{name}", time=10**6, kind="view", item=name, user=user)
        ranker.feedback([look])
        assert first(ranker, user=user, now=10**6 + 1) == name


def test_what_was_shown_can_be_logged(state, small):
    exploring = Settings(ranking=replace(small, explore_places=4, explore_rate=0.5))
    with Reranker.open(state, exploring) as ranker:
        asked = RankingShown(id="r", time=1, items=candidates())
        found = [ranker.rescore_ranking(asked) for _ in range(40)]
        orders = {tuple(one.order[:4].tolist()) for one in found}
        assert orders == {(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2)}
        assert all(one.order[4:].tolist() == [4, 5, 6, 7] for one in found)
        logged = shown(asked, found[0])
        assert [one.item for one in logged.items] == [NAMES[n] for n in found[0].order]
        assert [one.fields["propensity"] for one in logged.items] == [0.5] * 4 + [1.0] * 4
        assert ranker.feedback([logged]).n_new == 1
    with pytest.raises(DataError, match="do not fit"):
        shown(replace(asked, items=asked.items[:3]), found[0])


def test_what_was_shown_in_our_order_still_tells_the_hosts(state, settings, ranker):
    asked = RankingShown(id="r", time=10**6, items=candidates(), query="q", user="ana")
    ranker.feedback(clicks(6, always("d5")))
    found = ranker.rescore_ranking(asked, explain=True)
    logged = shown(asked, found)
    assert found.order[0] == 5
    assert [logged.items[0].item, logged.items[0].host_place] == ["d5", 5]
    again = ranker.rescore_ranking(replace(asked, items=logged.items), explain=True)
    assert [one.host for one in again.reasons] == [
        found.reasons[place].host for place in found.order
    ]
    ranker.feedback([logged])
    with SearchJournal.open(
        StateDirectory(state).journal, StateDirectory(state).secret(), read_only=True
    ) as journal:
        kept = [event for _, event in journal.events() if isinstance(event, RankingShown)][-1]
    assert kept.host_places == tuple(found.order.tolist())
    assert [one.score for one in kept.items] == [-float(place) for place in found.order]


def test_it_ranks_after_a_fork(state, settings, ranker):
    ranker.feedback(clicks(40, best_match))
    ranker.train()
    expected = ranker.rescore("q", candidates()).scores
    child = os.fork()
    if child == 0:
        with Reranker.open(state, settings, read_only=True) as own:
            same = np.array_equal(own.rescore("q", candidates()).scores, expected)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_who_opened_lazily_ranks_alike(ranker, state, settings):
    with Reranker.open(state, settings, is_lazy=True) as lazy:
        lazy.feedback(clicks(12, best_match))
        lazy.train()
        ranker.feedback(clicks(4, always("d3"), start=20))
        same, other = (one.rescore("q", candidates(), user="ana", now=9) for one in (ranker, lazy))
        assert same.version == other.version == "0001"
        np.testing.assert_array_equal(same.scores, other.scores)
