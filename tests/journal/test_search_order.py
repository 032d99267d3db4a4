"""Events of searches are read back in the order of folding, however they came."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtspam.journal.search import SearchJournal
from mtspam.search.events import Interaction, Item, RankingShown
from mtspam.search.ordering import in_order

SECRET = bytes(range(32))
TIMES = st.integers(0, 8)
RANKINGS = st.sampled_from(["r0", "r1", "r2", "nowhere", ""])
EVENTS = st.lists(
    st.one_of(
        st.builds(lambda time: ("item", time), TIMES),
        st.builds(lambda time: ("ranking", time), TIMES),
        st.builds(lambda time, ranking: ("click", time, ranking), TIMES, RANKINGS),
    ),
    max_size=14,
)


def made(said):
    """Events of which each is told by its item or, a ranking, by its query."""
    n_rankings = 0
    for n, (kind, time, *ranking) in enumerate(said):
        if kind == "item":
            yield Item(id=f"e{n}", time=time, item=f"e{n}")
        elif kind == "click":
            yield Interaction(
                id=f"e{n}", time=time, kind="click", item=f"e{n}", ranking=ranking[0]
            )
        else:
            yield RankingShown(id=f"r{n_rankings}", time=time, items=(), query=f"e{n}")
            n_rankings += 1


def name(event):
    return event.query if isinstance(event, RankingShown) else event.item


@given(EVENTS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_journal_has_the_order_of_folding(tmp_path_factory, said):
    events = list(made(said))
    path = tmp_path_factory.mktemp("order") / "journal.sqlite"
    with SearchJournal.open(path, SECRET) as journal:
        for event in events:
            journal.append([event])
        found = [name(event) for _, event in journal.events()]
        assert found == [name(event) for event in in_order(events)]
        as_they_came = [name(event) for _, event in journal.events(by_time=False)]
        assert as_they_came == [name(event) for event in events]


def test_a_ranking_read_before_still_counts_for_its_clicks(tmp_path):
    shown = RankingShown(id="r", time=9, items=(), query="r")
    clicks = [
        Interaction(id=f"c{n}", time=n, kind="click", item=f"c{n}", ranking="r") for n in (5, 3)
    ]
    other = Item(id="i", time=7, item="i")
    with SearchJournal.open(tmp_path / "journal.sqlite", SECRET) as journal:
        journal.append([shown, *clicks, other])
        assert [name(event) for _, event in journal.events(after=1)] == ["i", "c3", "c5"]
