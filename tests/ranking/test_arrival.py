"""Whatever the order in which events come, what is learnt from them is the same."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mtspam.config import Settings
from mtspam.ranking.memory import Memory
from mtspam.ranking.online import OnlineRanker
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.tables import table_of
from mtspam.search.events import Interaction, Item, Judgement, RankingShown, ShownItem
from mtspam.search.ordering import in_order

NAMES = [f"d{n}" for n in range(5)]
SECRET = bytes(32)


def made(n_rankings, seed, skew):
    """Searches of two users, their clicks up to `skew` before or after they were shown.

    No two events are of one moment: of those it is the order of arrival that counts.
    """
    rng = np.random.default_rng(seed)
    for n in range(n_rankings):
        fields = {"genre": f"g{n % 3}"}
        yield Item(id=f"i{n}", time=1_000 * n + 1, item=NAMES[n % 5], fields=fields)
        items = tuple(
            ShownItem(name, fields={"match": float(rng.normal())})
            for name in rng.permutation(NAMES).tolist()
        )
        asked = RankingShown(
            id=f"r{n}", time=1_000 * n + 2, items=items, user=("ana", "bo")[n % 2], query="q"
        )
        yield asked
        for k, place in enumerate(rng.permutation(5)[:2].tolist()):
            time = asked.time + 100 * int(rng.integers(-skew, skew + 1)) + 3 + 2 * n + k
            user = asked.user if k else ""  # who clicks need not say who they are
            yield Interaction(
                id=f"c{n}-{k}", time=time, kind="click", item=items[place].item,
                ranking=asked.id, user=user,
            )  # fmt: skip


def folded(path, settings, batches):
    """Scores for each user of a state that was told events in batches, opened anew."""
    with Reranker.open(path, settings):
        pass
    (path / "secret").write_bytes(SECRET)  # part of every hash
    (path / "journal.sqlite").unlink()
    with Reranker.open(path, settings) as ranker:
        for batch in batches:
            ranker.feedback(batch)
    with Reranker.open(path, settings, read_only=True) as ranker:
        asked = tuple(ShownItem(name, fields={"match": 1.0}) for name in NAMES)
        return np.concatenate(
            [ranker.rescore("q", asked, user=user, now=10**6).scores for user in ("ana", "bo", "")]
        )


@given(seed=st.integers(0, 1_000), skew=st.integers(0, 30), random=st.randoms())
@hypothesis_settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_of_arrival_gives_the_same_state(tmp_path_factory, small, seed, skew, random):
    settings = Settings(ranking=small)
    events = list(made(8, seed, skew))
    shuffled = random.sample(events, len(events))
    cut = random.randrange(len(events))
    base = tmp_path_factory.mktemp("states")
    in_time = folded(base / "a", settings, [events])
    as_it_came = folded(base / "b", settings, [shuffled[:cut], shuffled[cut:]])
    assert np.array_equal(in_time, as_it_came)


@pytest.mark.parametrize("names_user", [True, False])
def test_a_click_told_before_its_ranking_is_learnt_as_if_after(small, names_user):
    asked = RankingShown(id="r", time=5, items=tuple(map(ShownItem, NAMES)), user="ana", query="q")
    click = Interaction(
        id="c", time=7, kind="click", item="d3", ranking="r", user="ana" if names_user else ""
    )
    scores = []
    for events in ([asked, click], [click, asked]):
        online = OnlineRanker(small, Memory(small, SECRET))
        for event in events:
            online.observe(event)
        assert online.memory.n_deeds("ana") == 1
        scores.append(online.look(replace(asked, id="next")).scores)
    assert np.array_equal(*scores)
    unclicked = OnlineRanker(small, Memory(small, SECRET)).look(asked).scores
    assert scores[0][3] - scores[0][0] > unclicked[3] - unclicked[0]


def test_clicks_whose_rankings_never_come_take_bounded_room(small):
    settings = replace(small, pending_rankings=3)
    online = OnlineRanker(settings, Memory(settings, SECRET))
    for n in range(10):
        online.observe(Interaction(id=f"c{n}", time=n, kind="click", item="d", ranking=f"r{n}"))
    assert len(online._early) == len(online.memory._early_deeds) == 3


def test_judgements_grade_rankings_shown_before_and_after_them(small):
    judged = Judgement(id="j", time=5, query="q", item="d1", grade=2.0)
    rankings = [
        RankingShown(id=f"r{time}", time=time, items=tuple(map(ShownItem, NAMES)), query="q")
        for time in (1, 9)
    ]
    events = in_order([judged, *rankings])
    table = table_of(events, Memory(small, SECRET), small)
    assert table.click.reshape(2, 5).tolist() == [[0.0, 2.0, 0.0, 0.0, 0.0]] * 2
