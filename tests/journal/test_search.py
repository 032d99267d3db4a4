"""Events of searches: written once, read back whole, in the order of their times, forgotten."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.errors import DataError, JournalError
from mtspam.journal import Journal
from mtspam.journal.keys import user_key
from mtspam.journal.search import SearchJournal
from mtspam.journal.searchpacking import pack_event, unpack_event
from mtspam.search.events import (
    Interaction,
    Item,
    Judgement,
    RankingShown,
    ShownItem,
    Subject,
)

SECRET = bytes(range(32))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**40), 2**40)
TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=8)
VALUES = (
    st.booleans()
    | NUMBERS
    | TEXTS
    | st.lists(TEXTS, max_size=3).map(tuple)
    | st.lists(NUMBERS, max_size=3).map(tuple)
)
FIELDS = st.dictionaries(TEXTS, VALUES, max_size=4)
ITEMS = st.builds(
    ShownItem,
    TEXTS,
    NUMBERS,
    FIELDS,
    st.none() | st.floats(0, 5, allow_nan=False),
    st.none() | st.integers(0, 2**30),
)
IDS = {"id": st.just(""), "time": st.integers(0, 2**45)}
NOBODY = {"user": st.just(""), "session": st.just("")}
EVENTS = {
    "item": st.builds(Item, **IDS, item=TEXTS, fields=FIELDS),
    "subject": st.builds(Subject, **IDS, user=st.just(""), fields=FIELDS),
    "ranking": st.builds(
        RankingShown, **IDS, **NOBODY, items=st.lists(ITEMS, max_size=4).map(tuple),
        query=TEXTS, market=TEXTS, fields=FIELDS,
    ),
    "interaction": st.builds(
        Interaction, **IDS, **NOBODY, kind=TEXTS, item=TEXTS, ranking=st.just(""), market=TEXTS,
        value=NUMBERS,
    ),
    "judgement": st.builds(
        Judgement, **IDS, user=st.just(""), query=TEXTS, item=TEXTS, grade=NUMBERS, market=TEXTS
    ),
}  # fmt: skip


def shown(id_, time, *names, user="ana", **fields):
    items = tuple(ShownItem(name, 1.0 - i, {"price": 2.5 * i}) for i, name in enumerate(names))
    return RankingShown(id=id_, time=time, items=items, user=user, **fields)


def click(id_, time, item="a", **more):
    return Interaction(id=id_, time=time, kind="click", item=item, **more)


@pytest.fixture
def searches(path):
    with SearchJournal.open(path, SECRET) as opened:
        yield opened


def times(journal, **limits):
    return [event.time for _, event in journal.events(**limits)]


def plain(event):
    """An event whose mappings are dictionaries, so that two can be compared."""
    if isinstance(event, RankingShown):
        items = [(one.item, one.score, dict(one.fields), one.label) for one in event.items]
        return (event.query, event.market, dict(event.fields), items, event.host_places)
    return event


@pytest.mark.parametrize("kind", EVENTS)
@given(data=st.data())
def test_packing_there_and_back(kind, data):
    event = data.draw(EVENTS[kind])
    again = unpack_event(kind, ("", "", ""), event.time, pack_event(event))
    assert plain(again) == plain(event)
    assert pack_event(again) == pack_event(event)


@given(st.sampled_from(list(EVENTS)), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(kind, data):
    with pytest.raises(JournalError):
        unpack_event(kind, ("", "", ""), 0, data)


def test_a_ranking_in_the_hosts_order_is_packed_as_it_always_was():
    event = shown("1", 5, "a", "b", query="tree")
    packed = bytes.fromhex(
        "01040200020000008b562a294a4d55d25102a3ea5a9d68a5442033492916c82a"
        "28ca4c4e05b24a8a4a53750c740c62192040c18181a1c11ec40600"
    )
    again = unpack_event("ranking", ("", "", ""), 5, packed)
    assert plain(again) == plain(event)
    assert pack_event(event)[0] == packed[0]


def test_missing_numbers_stay_missing():
    items = (ShownItem("a", 1.0, {"x": float("nan")}), ShownItem("b", 2.0, {"x": 1.0}))
    event = RankingShown(id="1", time=1, items=items)
    again = unpack_event("ranking", ("", "", ""), 1, pack_event(event))
    assert again.items[0].fields["x"] != again.items[0].fields["x"]
    assert again.items[1].fields["x"] == 1.0


@pytest.mark.parametrize("value", [float("inf"), {"a": 1}, None])
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(searches, value):
    bad = Item(id="2", time=1, item="a", fields={"odd": value})
    with pytest.raises(DataError, match="odd"):
        searches.append([click("1", 1), bad])
    assert searches.head() == 0


def test_the_same_event_twice_is_one(searches):
    assert searches.append([click("1", 5), click("1", 9)]).n_same == 1
    done = searches.append([click("1", 7), click("2", 7)])
    assert (done.n_new, done.n_same) == (1, 1)
    assert times(searches) == [5, 7]


def test_late_events_come_at_their_time_and_by_number_as_they_came(searches):
    searches.append([click("1", 30), click("2", 10)])
    searches.append([click("3", 20), click("4", 10)])
    assert times(searches) == [10, 10, 20, 30]
    assert [seq for seq, _ in searches.events()] == [2, 4, 3, 1]
    assert times(searches, by_time=False) == [30, 10, 20, 10]
    assert times(searches, after=1, upto=3) == [10, 20]


def test_a_click_names_its_ranking_and_nobody_is_named(searches, path):
    searches.append([
        shown("r1", 1, "a", "b", session="visit-77"),
        click("c1", 2, ranking="r1", user="ana", session="visit-77"),
    ])  # fmt: skip
    (_, ranking), (_, clicked) = searches.events()
    assert clicked.ranking == ranking.id
    assert clicked.user == ranking.user == searches.user_name("Ana ") != "ana"
    assert clicked.session == ranking.session != "visit-77"
    assert [dict(one.fields) for one in ranking.items] == [{"price": 0.0}, {"price": 2.5}]
    assert plain(searches.hashed(shown("r1", 1, "a", "b"))) == plain(ranking)
    raw = b"".join(file.read_bytes() for file in path.parent.glob("journal*"))
    assert b"visit-77" not in raw
    assert b"ana" not in raw


def test_who_is_forgotten_leaves_nothing(searches, path):
    searches.append([
        shown("r1", 1, "a"), shown("r2", 2, "b", user="bo"), click("c1", 3, ranking="r1"),
        click("c2", 4, ranking="r2", user="bo"), click("c3", 5, user="ana"),
    ])  # fmt: skip
    with Journal.open(path) as journal:
        assert journal.forget(user_key("ana", SECRET)) == 3
        assert journal.forget(user_key("ana", SECRET)) == 0
        assert journal.check() == 2
    assert times(searches) == [2, 4]
    assert not searches.is_intact(1)
    assert searches.is_intact(searches.head())
    head = searches.head()
    searches.append([click("c3", 9)])
    assert searches.head() > head > 5  # no number is used twice


def test_labels_and_events_share_a_file(searches, path, make_label):
    searches.append([click("1", 1)])
    with Journal.open(path) as journal:
        journal.append([make_label(1)])
        assert journal.head() == 1
        assert journal.identity == searches.identity
    assert searches.head() == 1


def test_an_older_journal_is_brought_up_to_date(path, make_label):
    with Journal.open(path) as journal:
        journal.append([make_label(1)])
    older = sqlite3.connect(path)
    older.executescript(
        "DROP TABLE search_events; PRAGMA user_version = 1;"
        "UPDATE meta SET value = '1' WHERE name = 'schema_version';"
    )
    older.close()
    with SearchJournal.open(path, SECRET, read_only=True) as searches:
        assert (searches.head(), list(searches.events()), searches.is_intact(0)) == (0, [], True)
    with Journal.open(path, read_only=True) as journal:
        assert journal.check() == 1
    with SearchJournal.open(path, SECRET) as searches:
        searches.append([click("1", 1)])
    with Journal.open(path) as journal:
        assert journal.check() == 2


@pytest.mark.parametrize("column", ["time", "user", "packed", "about", "kind"])
def test_damage_is_found(searches, path, column):
    searches.append([shown("r1", 1, "a")])
    raw = sqlite3.connect(path)
    raw.execute(f"UPDATE search_events SET {column} = {column} || '7'")
    raw.commit()
    raw.close()
    with pytest.raises(JournalError, match="damaged"):
        list(searches.events())
