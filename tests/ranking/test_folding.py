"""A fold that goes on from a snapshot is the fold from nothing, to the last bit."""

import numpy as np
import pytest

from mtspam.config import Settings
from mtspam.config.history import HistorySettings
from mtspam.journal import Journal
from mtspam.journal.keys import user_key
from mtspam.journal.search import SearchJournal
from mtspam.ranking import folding
from mtspam.ranking.folding import FOLD_SNAPSHOTS, JournalFold, state_of
from mtspam.ranking.freezing import freeze
from mtspam.ranking.reranker import Reranker
from mtspam.search.events import Interaction, Item, RankingShown, ShownItem
from mtspam.state import StateDirectory

WHOLE, KNOWN = FOLD_SNAPSHOTS


def told(n, start=0, seed=0):
    """Rankings, clicks and documents; some clicks are told long after, some before."""
    rng = np.random.default_rng((seed, start))
    for k in range(start, start + n):
        name, time = f"d{rng.integers(12)}", 1000 * k
        fields = {"price": float(k), "kind": f"k{k % 3}"}
        yield Item(id=f"i{k}", time=time, item=name, fields=fields)
        names = [f"d{one}" for one in rng.permutation(14)[:5]]
        items = tuple(ShownItem(one, fields={"match": float(rng.normal())}) for one in names)
        yield RankingShown(
            id=f"r{k}", time=time + 1, items=items, user=f"u{k % 4}", market="nm"[k % 2], query="q"
        )
        for name in names[: rng.integers(0, 3)]:
            yield Interaction(
                id=f"c{k}{name}", time=time + int(rng.integers(-2, 9)), kind="click", item=name,
                ranking=f"r{k}",
            )  # fmt: skip
        if k % 3 == 0:
            yield Interaction(
                id=f"v{k}", time=time + 3, kind="view", item=names[-1], user=f"u{k % 4}"
            )


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(folding, "_TAIL_EVENTS", 10)
    monkeypatch.setattr(folding, "_WORTH_EVENTS", 20)
    monkeypatch.setattr(folding, "_BEFORE_LEARNING", 5)


@pytest.fixture
def settings(small):
    ranking = {**vars(small), "replay_rankings": 40, "pending_rankings": 20, "guard_rankings": 10}
    history = HistorySettings(items=16, users=16, counter_bits=10, pair_bits=10)
    return Settings(ranking=type(small)(**ranking), history=history)


@pytest.fixture
def state(tmp_path, settings):
    Reranker.open(tmp_path / "state", settings).close()
    return StateDirectory(tmp_path / "state")


class Folder:
    """Folds the journal of a state with snapshots and without, and compares."""

    def __init__(self, state, settings):
        self.state, self.settings = state, settings
        self.ranker = Reranker.open(state.path, settings, is_lazy=True)

    def tell(self, events):
        self.ranker.feedback(events)

    def _fold(self, folder, *, writes):
        name = self.ranker.versions.current()
        version = None if name is None else self.ranker.versions.load(name)
        with SearchJournal.open(self.state.journal, self.state.secret()) as journal:
            fold = JournalFold(journal, folder, self.settings, writes=writes)
            online = fold.online(lambda: self.ranker._fresh(version), version, journal.head())
        arrays = freeze(state_of(online), folding._RECORDS)
        return fold.helped, {name: array.tobytes() for name, array in arrays.items()}

    def helped(self, *, writes=True):
        """Name the snapshot that helped; what came out must be what nothing helped with."""
        found, state = self._fold(self.state.path / "rank", writes=writes)
        none, expected = self._fold(self.state.path / "nowhere", writes=False)
        assert none == ""
        assert state == expected
        return found


@pytest.fixture
def folder(state, settings):
    made = Folder(state, settings)
    yield made
    made.ranker.close()


def test_the_next_fold_begins_where_the_last_one_ended(folder):
    folder.tell(told(30))
    assert [folder.helped() for _ in range(2)] == ["", WHOLE]
    folder.tell(told(5, 30))
    assert folder.helped() == WHOLE
    assert folder.helped() == WHOLE


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
def test_at_least_half_of_the_rankings_to_replay_are_learnt(folder, most):
    ranking = type(folder.settings.ranking)(
        **{**vars(folder.settings.ranking), "replay_rankings": most}
    )
    fold = JournalFold(None, folder.state.path, Settings(ranking=ranking), writes=False)
    learnt = [n - fold._first_learnt(n) for n in range(20, 40)]
    assert most / 2 <= min(learnt) <= max(learnt) <= most


def test_in_many_steps_with_late_events_and_early_clicks(folder):
    rng = np.random.default_rng(5)
    events, helped = list(told(200)), []
    # Told nearly in order, some much later than they happened.
    delay = rng.exponential(3.0, len(events)) + np.where(rng.random(len(events)) < 0.01, 90, 0)
    order = np.argsort(np.arange(len(events)) + delay)
    for some in np.array_split(order, 25):
        folder.tell([events[place] for place in some])
        helped.append(folder.helped())
    assert {WHOLE, KNOWN, ""} == set(helped)
    assert helped.count("") < len(helped) / 2


def test_what_comes_late_is_folded_where_it_belongs(folder):
    folder.tell(told(30))
    folder.helped()
    folder.tell([Item(id="late", time=3, item="d3", fields={"price": 1.0})])
    assert folder.helped() == ""
    assert folder.helped() == WHOLE


def test_a_ranking_that_comes_after_its_clicks(folder):
    events = list(told(30))
    clicks = (one for one in events[20:] if isinstance(one, Interaction) and one.ranking)
    clicked = next(clicks).ranking
    folder.tell(one for one in events if one.id != clicked)
    folder.helped()
    items = tuple(ShownItem(f"d{n}") for n in range(14))
    folder.tell([RankingShown(id=clicked, time=10**6, items=items, user="u1")])
    assert folder.helped() == ""


def test_who_is_forgotten_is_in_no_snapshot(folder, state, settings):
    folder.tell(told(30))
    folder.helped()
    kept = (state.path / "rank" / WHOLE).read_bytes()
    key = user_key("u1", state.secret())
    assert key.hex().encode() in kept
    with Journal.open(state.journal) as journal:
        assert journal.forget(key) > 0
    assert folder.helped() == ""
    assert key.hex().encode() not in (state.path / "rank" / WHOLE).read_bytes()
    assert folder.helped() == WHOLE
    state.drop_snapshot()
    assert not list((state.path / "rank").glob("*.snapshot*"))


def test_other_trees_and_other_settings(folder, state, settings):
    folder.tell(told(150))
    folder.helped()
    assert folder.ranker.train() == "0001"
    assert [folder.helped(), folder.helped()] == [KNOWN, WHOLE]
    other = Folder(state, Settings(ranking=settings.ranking, history=HistorySettings(items=32)))
    assert other.helped() == ""
    other.ranker.close()


def test_damaged_snapshots_are_no_harm(folder, state):
    folder.tell(told(30))
    folder.helped()
    path = state.path / "rank" / WHOLE
    path.write_bytes(path.read_bytes()[:-5000])
    assert folder.helped(writes=False) == ""
    path.unlink()
    assert folder.helped() == ""


def test_nothing_learnt_is_left_out_of_a_snapshot(folder):
    # What is new in one of these classes must be kept, or be named as given.
    folder.tell(told(3))
    online = folder.ranker._fresh(None)
    for part in folding._parts(online).values():
        given = folding._GIVEN[type(part)]
        assert given <= vars(part).keys()
    assert vars(online.memory.history._reader).keys() == {"_state"}
    freeze(state_of(online), folding._RECORDS)


def test_a_reader_writes_nothing(folder, state, settings):
    folder.tell(told(30))
    with Reranker.open(state.path, settings, read_only=True) as reader:
        reader.rescore("q", [ShownItem("d1")])
    assert not list((state.path / "rank").glob("*.snapshot"))
    with Reranker.open(state.path, settings) as writer:
        scores = writer.rescore(
            "q", [ShownItem("d1"), ShownItem("d2")], user="u1", now=10**6
        ).scores
    assert (state.path / "rank" / WHOLE).exists()
    with Reranker.open(state.path, settings, read_only=True) as reader:
        again = reader.rescore(
            "q", [ShownItem("d1"), ShownItem("d2")], user="u1", now=10**6
        ).scores
    assert again.tolist() == scores.tolist()
