"""The order of folding: by time, no click before its ranking, whatever came first."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mtspam.search.events import Interaction, Item, Judgement, RankingShown
from mtspam.search.ordering import in_order

RANKINGS = [RankingShown(id=f"r{n}", time=10 * n, items=()) for n in (1, 2, 3)]


def click(id_, time, ranking):
    return Interaction(id=id_, time=time, kind="click", item="a", ranking=ranking)


@st.composite
def histories(draw):
    """Events of different times, clicks before their rankings among them."""
    times = draw(st.lists(st.integers(0, 60), unique=True, min_size=1, max_size=12))
    events = []
    for n, time in enumerate(times):
        ranking = draw(st.sampled_from(["", "r1", "r2", "r3", "nowhere"]))
        events.append(
            draw(
                st.sampled_from(
                    [
                        click(f"c{n}", time, ranking),
                        Item(id=f"i{n}", time=time, item="a"),
                        Judgement(id=f"j{n}", time=time, query="q", item="a", grade=1),
                        RankingShown(id=f"r{n}", time=time, items=()),
                    ]
                )
            )
        )
    return events


def test_by_hand():
    early, later, stray = click("c1", 5, "r2"), click("c2", 3, "r2"), click("c3", 15, "nowhere")
    found = in_order([early, RANKINGS[1], later, stray, RANKINGS[0], click("c4", 25, "r1")])
    assert [event.id for event in found] == ["r1", "c3", "r2", "c2", "c1", "c4"]


def test_of_one_moment_each_stands_as_it_came_and_clicks_behind_their_rankings():
    events = [click("c", 0, "b")]
    events += [RankingShown(id=name, time=0, items=()) for name in "abc"]
    assert [event.id for event in in_order(events)] == ["a", "b", "c", "c"]
    assert in_order(events)[2] == events[0]


@given(histories(), st.randoms())
def test_any_order_of_arrival_is_folded_alike(events, random):
    shuffled = random.sample(events, len(events))
    found = in_order(events)
    assert in_order(shuffled) == found
    for before, after in itertools.pairwise(found):
        assert before.time <= after.time or isinstance(after, Interaction)
    place = {event.id: n for n, event in enumerate(found)}
    for event in events:
        if isinstance(event, Interaction) and event.ranking in place:
            assert place[event.ranking] < place[event.id]
