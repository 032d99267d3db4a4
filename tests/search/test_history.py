"""History: writes by events, reads as of a moment, forgets by folding anew."""

import numpy as np
import pytest

from mtspam.config.history import HistorySettings
from mtspam.search.events import Event, Interaction, Item, RankingShown, ShownItem
from mtspam.search.history import History
from mtspam.search.historystate import MOST_ACTED

_SMALL = HistorySettings(items=64, users=16, counter_bits=12, pair_bits=12)
_NAMES = [f"d{n}" for n in range(20)]


def _item(name: str, time: int = 0, **fields: tuple[str, ...]) -> Item:
    return Item(id=f"i{name}", time=time, item=name, fields=fields)


def _shown(id_: str, names: list[str], *, time: int, user: str = "", **more: str) -> RankingShown:
    items = tuple(ShownItem(name) for name in names)
    return RankingShown(id=id_, time=time, items=items, user=user, **more)


def _click(ranking: str, item: str, *, time: int, **more: str) -> Interaction:
    more.setdefault("kind", "click")
    return Interaction(id=f"{ranking}-{item}", time=time, item=item, ranking=ranking, **more)


def _stream(n: int = 60, seed: int = 0) -> list[Event]:
    rng = np.random.default_rng(seed)
    events: list[Event] = [
        _item(name, kind=("odd" if k % 2 else "even",)) for k, name in enumerate(_NAMES)
    ]
    for k in range(n):
        names = [_NAMES[i] for i in rng.permutation(20)[:6]]
        user, market = f"u{k % 5}", "nm"[k % 2]
        events.append(_shown(f"r{k}", names, time=10 * k, user=user, market=market))
        wanted = [name for name in names if int(name[1:]) % 2 == (k % 5) % 2]
        events.extend(
            _click(f"r{k}", name, time=10 * k + 1, user=user, market=market) for name in wanted
        )
    return events


def _column(history: History, ranking: RankingShown, name: str) -> list[float]:
    place = history.columns.index(f"history {name}")
    return [float(value) for value in history.read(ranking)[:, place]]


def _folded(events: list[Event]) -> History:
    history = History(_SMALL)
    for event in events:
        history.observe(event)
    return history


def test_reads_never_know_what_comes_later() -> None:
    events = _stream()
    running, reads = History(_SMALL), []
    for n, event in enumerate(events):
        if isinstance(event, RankingShown):
            reads.append((n, event, running.read(event)))
        running.observe(event)
    for n, event, then in reads[::7]:
        np.testing.assert_array_equal(_folded(events[:n]).read(event), then)


def test_a_read_changes_nothing() -> None:
    events = _stream()
    asked, unasked = History(_SMALL), History(_SMALL)
    for event in events:
        if isinstance(event, RankingShown):
            asked.read(event)
        asked.observe(event)
        unasked.observe(event)
    query = _shown("q", _NAMES, time=10_000, user="u1", market="n")
    np.testing.assert_array_equal(asked.read(query), unasked.read(query))


def test_forgetting_is_folding_without() -> None:
    events = _stream()
    kept = [
        event
        for event in events
        if not (isinstance(event, RankingShown | Interaction) and event.user == "u1")
    ]
    query = _shown("q", _NAMES, time=10_000, user="u1", market="n")
    never = _folded(kept).read(query)
    again = _folded(list(kept)).read(query)
    np.testing.assert_array_equal(never, again)
    assert _column(_folded(kept), query, "your shown") == [0.0] * 20
    assert _column(_folded(events), query, "your shown") != [0.0] * 20


def test_rates_shrink_level_by_level() -> None:
    history = History(HistorySettings(items=16, users=16, counter_bits=10, pair_bits=10))
    for n in range(10):
        history.observe(_shown(f"r{n}", ["a", "b"], time=n, user="ana", market="n"))
        history.observe(_click(f"r{n}", "a", time=n, user="ana", market="n"))
    query = _shown("q", ["a", "b", "c"], time=10, user="ana", market="n")
    everyone = _column(history, query, "rate everyone")
    market = _column(history, query, "rate market")
    mine = _column(history, query, "rate you")
    mean = (10 + 1) / (20 + 10)
    assert everyone[2] == pytest.approx(mean)
    assert everyone[0] > mean > everyone[1]
    assert mine[0] > market[0] > everyone[0]
    assert mine[1] < market[1] < everyone[1]
    stranger = _shown("q", ["a"], time=10, user="bob", market="n")
    assert _column(history, stranger, "rate you") == _column(history, stranger, "rate market")


def test_counters_fade_by_half_life() -> None:
    history = History(HistorySettings(half_life_days=1.0, items=16, counter_bits=10))
    day = 86_400_000
    history.observe(_shown("r", ["a"], time=0))
    for days in (0, 1, 3):
        query = _shown("q", ["a"], time=days * day)
        shown = np.expm1(_column(history, query, "shown everyone")[0])
        assert shown == pytest.approx(0.5**days, rel=1e-5)


def test_a_late_event_counts_as_of_its_own_time() -> None:
    day = 86_400_000
    settings = HistorySettings(half_life_days=1.0, items=16, counter_bits=10)
    inorder, late = History(settings), History(settings)
    events = [_shown("r0", ["a"], time=0), _shown("r1", ["a"], time=2 * day)]
    for event in events:
        inorder.observe(event)
    for event in reversed(events):
        late.observe(event)
    query = _shown("q", ["a"], time=3 * day)
    assert _column(late, query, "shown everyone") == pytest.approx(
        _column(inorder, query, "shown everyone"), rel=2e-3
    )


def test_a_click_before_its_ranking_waits_for_it() -> None:
    shown, click = _shown("r", ["a", "b"], time=0, user="ana"), _click("r", "b", time=1)
    query = _shown("q", ["a", "b"], time=2, user="ana")
    inorder, swapped = History(_SMALL), History(_SMALL)
    for event in (shown, click):
        inorder.observe(event)
    for event in (click, shown):
        swapped.observe(event)
    np.testing.assert_array_equal(inorder.read(query), swapped.read(query))


def test_the_same_ranking_or_click_twice_is_one() -> None:
    shown, click = _shown("r", ["a", "b"], time=0, user="ana"), _click("r", "b", time=1)
    query = _shown("q", ["a", "b"], time=2, user="ana")
    once, twice = History(_SMALL), History(_SMALL)
    for event in (shown, click):
        once.observe(event)
    for event in (shown, click, shown, click):
        twice.observe(event)
    np.testing.assert_array_equal(once.read(query), twice.read(query))


def test_affinity_follows_what_a_user_likes_among_documents_never_shown() -> None:
    history = _folded(_stream())
    for name in ("new0", "new1"):
        history.observe(_item(name, kind=("odd" if name.endswith("1") else "even",)))
    for user, likes in (("u0", 0), ("u1", 1)):
        found = _column(history, _shown("q", ["new0", "new1"], time=9_000, user=user), "affinity")
        assert found[likes] > 0.0 > found[1 - likes]


def test_places_are_looked_at_less_and_less() -> None:
    history = History(_SMALL)
    rng = np.random.default_rng(1)
    for n in range(2_000):
        names = [_NAMES[i] for i in rng.permutation(20)[:5]]
        history.observe(_shown(f"r{n}", names, time=n))
        for place, name in enumerate(names):
            if rng.random() < 0.5 / (place + 1):
                history.observe(_click(f"r{n}", name, time=n))
    looked = history.examination(5)
    np.testing.assert_allclose(looked / looked[0], 1.0 / np.arange(1, 6), rtol=0.25)


def test_purchases_that_others_took_together_are_found() -> None:
    history = History(_SMALL)
    for n in range(6):
        for item in ("a", "b"):
            history.observe(
                Interaction(id=f"{n}{item}", time=n, kind="purchase", item=item, user=f"p{n}")
            )
    history.observe(Interaction(id="x", time=9, kind="purchase", item="a", user="ana"))
    query = _shown("q", ["b", "c"], time=10, user="ana")
    for name in ("cosine", "conditional", "ridge", "jaccard", "nearest jaccard"):
        b, c = _column(history, query, f"together everyone {name}")
        assert b > c == 0.0


def _bought(rng: np.random.Generator, markets: dict[str, int]) -> list[Event]:
    """Purchases of ten things of two tastes, in markets of so many users."""
    events: list[Event] = []
    for market, n in markets.items():
        for user in range(n):
            first = 5 * (user % 2)
            events.extend(
                Interaction(
                    id=f"{market}{user}-{item}",
                    time=len(events) + place,
                    kind="purchase",
                    item=f"x{first + item}",
                    user=f"{market}{user}",
                    market=market,
                )
                for place, item in enumerate(rng.permutation(5)[:3].tolist())
            )
    return events


def test_taste_learns_what_goes_together_in_other_markets_too() -> None:
    rng = np.random.default_rng(3)
    history = _folded(_bought(rng, {"large": 60}))
    history.observe(
        Interaction(id="x", time=999, kind="purchase", item="x0", user="ana", market="small")
    )
    names = ["x1", "x2", "x6", "x7", "never seen"]
    query = _shown("q", names, time=1_000, user="ana", market="small")
    taste = _column(history, query, "taste")
    assert min(taste[:2]) > max(taste[2:4])
    assert taste[4] == 0.0
    behind = _column(history, query, "taste behind best")
    np.testing.assert_allclose(behind, np.array(taste) - max(taste), rtol=1e-5)


def test_memory_is_bounded_and_the_latest_are_kept() -> None:
    history = History(HistorySettings(items=16, users=16, counter_bits=8, pair_bits=8))
    for n in range(200):
        history.observe(_item(f"x{n}", kind=(f"k{n % 3}",)))
        history.observe(_shown(f"r{n}", [f"x{n}", f"x{n - 1}"], time=n, user=f"u{n}"))
        history.observe(_click(f"r{n}", f"x{n}", time=n))
    latest = _column(history, _shown("q", ["x199"], time=200, user="u199"), "your shown")
    first = _column(history, _shown("q", ["x0"], time=200, user="u0"), "your shown")
    assert latest[0] > 0.0
    assert first[0] == 0.0


def test_dwelling_is_a_feature() -> None:
    history = History(_SMALL)
    history.observe(_shown("r", ["a", "b"], time=0))
    history.observe(
        Interaction(id="d", time=1, kind="dwell", item="a", ranking="r", value=np.e - 1.0)
    )
    a, b = _column(history, _shown("q", ["a", "b"], time=2), "dwell")
    assert a == pytest.approx(1.0)
    assert np.isnan(b)


def _acts(history: History, names: list[str], *, time: int, **more: str) -> dict[str, list[float]]:
    values = history.read_acts(_shown("q", names, time=time, **more))
    short = [name.removeprefix("history ") for name in history.act_columns]
    return dict(zip(short, values.T.tolist(), strict=True))


def _act(n: int, item: str, kind: str = "view", **more: str) -> Interaction:
    return Interaction(id=f"a{n}", time=1_000 * n, kind=kind, item=item, **more)


def test_what_a_user_looked_at_is_known_until_then() -> None:
    history = History(_SMALL)
    assert not history.has_acts
    for n, (item, kind) in enumerate([("a", "view"), ("b", "cart"), ("a", "cart"), ("d", "view")]):
        history.observe(_act(n, item, kind, user="ana", market="n"))
    assert history.has_acts
    found = _acts(history, ["a", "b", "c", "never told of"], time=5_000, user="ana", market="n")
    nan = float("nan")
    for name, expected in {
        "acts you": np.log1p([2, 1, 0, 0]),
        "acts you here": np.log1p([3, 3, 3, 3]),
        "your acts": np.log1p([4, 4, 4, 4]),
        "age acted you": [np.log1p(3), np.log1p(4), nan, nan],
        "acts since": [1, 2, nan, nan],
        "acts everyone": np.log1p([2, 1, 0, 0]),
        "acts market": np.log1p([2, 1, 0, 0]),
    }.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, err_msg=name)
    carts = found["latest act"]
    assert carts[0] == carts[1]
    assert np.isnan(carts[2:]).all()
    history.observe(_act(5, "b", "view", user="ana"))
    assert _acts(history, ["b"], time=5_000, user="ana")["latest act"] != carts[:1]
    stranger = _acts(history, ["a", "b", "c"], time=5_000, user="bo", market="m")
    assert stranger["acts you"] == stranger["your acts"] == stranger["acts market"] == [0.0] * 3
    assert stranger["acts everyone"] == pytest.approx(np.log1p([2, 2, 0]))
    assert np.isnan(stranger["age acted you"]).all()


def test_other_acts_leave_clicks_alone_and_impressions_are_none() -> None:
    events = _stream()
    plain, acted = _folded(events), _folded(events)
    acted.observe(_act(1, "d3", "impression", user="u1"))
    assert not acted.has_acts
    acted.observe(_act(2, "d3", "cart", user="u1"))
    query = _shown("q", _NAMES, time=10_000, user="u1", market="n")
    without = [name for name in acted.columns if name != "history dwell"]
    places = [acted.columns.index(name) for name in without]
    np.testing.assert_array_equal(plain.read(query)[:, places], acted.read(query)[:, places])


def test_acts_are_bounded_by_user_and_of_documents_that_are_still_kept() -> None:
    history = History(HistorySettings(items=16, users=16, counter_bits=8, pair_bits=8))
    for n in range(MOST_ACTED + 5):
        history.observe(_act(n, f"x{n % 3}", user="ana"))
    found = _acts(history, ["x0", "x1", "x2"], time=99_000, user="ana")
    assert np.expm1(found["acts you"]).sum() == pytest.approx(MOST_ACTED, rel=1e-5)
    assert sorted(found["acts since"]) == [0.0, 1.0, 2.0]
    for n in range(20):
        history.observe(_item(f"y{n}"))
    assert _acts(history, ["x0", "y19"], time=99_000, user="ana")["your acts"] == [0.0, 0.0]
    for n in range(20):
        history.observe(_act(100 + n, "y19", user=f"u{n}"))
    assert _acts(history, ["y19"], time=999_000, user="ana")["your acts"] == [0.0]


def test_no_candidates_give_no_rows() -> None:
    history = History(_SMALL)
    assert history.read_acts(_shown("q", [], time=0)).shape == (0, len(history.act_columns))
    assert history.read(_shown("q", [], time=0)).shape == (0, len(history.columns))
