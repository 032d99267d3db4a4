"""The corpora of the ranking benchmark, made and fetched, and its tables."""

import json
import sys
import zipfile

import numpy as np
import pytest
import quality_rank
import rank_films
import results
from corpora import MissingDataError
from rank_films import film_events, films_wheel
from rank_gaps import gap_of
from rank_hosts import by_history, made_noise, made_queries, reordered
from rank_visits import made_visits

from mtspam.config import RankingSettings
from mtspam.ranking.memory import Memory
from mtspam.ranking.tables import table_of
from mtspam.search.events import Interaction, RankingShown

N_FILMS, N_USERS, N_RATED = 150, 200, 40


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel with ratings like MovieLens': users rate what they like best among what they saw."""
    generator = np.random.default_rng(0)
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(1, N_USERS + 1):
        seen = generator.choice(N_FILMS, N_RATED, replace=False) + 1
        for number, film in enumerate(seen.tolist()):
            ratings.append(f"{user}\t{film}\t{1 + film % 5}\t{1000 * user + number // 3}")
    films = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    years = {9: "V"}
    films += [f"{n}\tFilm\t{years.get(n, 1990)}\tDrama War" for n in range(1, N_FILMS + 1)]
    path = tmp_path_factory.mktemp("wheel") / "films.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for ending, lines in ((".inter", ratings), (".item", films)):
            archive.writestr(rank_films.FILES + ending, "\n".join(lines) + "\n")
    return path


def rankings(events):
    return [event for event in events if isinstance(event, RankingShown)]


def test_films_watched_one_after_another_stand_among_films_never_rated(wheel):
    events = film_events(wheel, seed=3, share=0.2)
    shown = rankings(events)
    assert len(shown) == N_USERS * N_RATED // 10 // 5
    done: dict[str, dict[str, set[str]]] = {}
    rated: dict[str, set[str]] = {}
    for event in events:
        if isinstance(event, Interaction):
            done.setdefault(event.ranking, {}).setdefault(event.kind, set()).add(event.item)
            rated.setdefault(event.user, set()).add(event.item)
    for one in shown:
        names = {item.item for item in one.items}
        assert len(names) == len(one.items) == 30
        assert names & rated[one.user] == done[one.id]["click"]
        assert len(done[one.id]["click"]) == 10
        best = {film for film in done[one.id]["click"] if int(film) % 5 == 4}
        assert done[one.id].get("conversion", set()) == best
    assert [one.time for one in shown] == sorted(one.time for one in shown)


def test_the_seed_draws_other_candidates_and_keeps_what_was_done(wheel):
    one, again, other = (film_events(wheel, seed=seed, share=0.1) for seed in (1, 1, 2))
    assert one == again
    assert rankings(one) != rankings(other)
    clicks = [{e.id for e in made if isinstance(e, Interaction)} for made in (one, other)]
    assert clicks[0] == clicks[1]


def test_why_films_are_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(MissingDataError, match="nowhere"):
        films_wheel(tmp_path / "nowhere.whl")
    monkeypatch.setattr(rank_films, "FOLDER", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingDataError, match="pip download recbole"):
        films_wheel()


def test_a_host_ranks_by_what_it_was_told_before(wheel):
    events = film_events(wheel, share=0.1)
    told: list[object] = []
    score, learn = by_history("history clicks everyone")

    def asked(ranking):
        assert ranking.id not in {getattr(event, "id", "") for event in told}
        return score(ranking)

    def taught(event):
        told.append(event)
        learn(event)

    found = reordered(events, asked, taught)
    assert len(found) == len(events)
    for before, after in zip(rankings(events), rankings(found), strict=True):
        assert {one.item for one in before.items} == {one.item for one in after.items}
        scores = [one.score for one in after.items]
        assert scores == sorted(scores, reverse=True)


def test_made_hosts_are_as_right_as_they_were_made():
    settings = RankingSettings()
    gaps = []
    for strength in (0.7, 4.0):
        made = made_noise(60, strength=strength, seed=1)
        table = table_of(made, Memory(settings, bytes(32)), settings)
        host = -table.column("host place").astype(float)
        gaps.append(gap_of("host over its reverse", table, (host, -host)))
    assert gaps[0].low > 0.0
    assert gaps[1].value > gaps[0].value + 0.2
    assert gaps[0].n_queries == 60


def test_late_queries_are_new_every_other_time():
    queries = [one.query for one in rankings(made_queries(60, n_before=40, seed=1))]
    is_new = [int(query[1:]) >= 50 for query in queries]
    assert is_new == [False] * 40 + [False, True] * 10


def test_most_visitors_look_before_they_click_and_looks_tell():
    made = made_visits(200, seed=1)
    assert [one.time for one in made] == sorted(one.time for one in made)
    looked: dict[str, set[str]] = {}
    n_after_looks = n_of_looked = 0
    for event in made:
        if isinstance(event, RankingShown):
            continue
        if event.kind == "click":
            n_after_looks += event.user in looked
            n_of_looked += event.item in looked.get(event.user, ())
        else:
            looked.setdefault(event.user, set()).add(event.item)
    assert 0.6 < len(looked) / 200 < 0.8
    assert n_of_looked > 0.5 * n_after_looks


def test_an_order_is_no_better_than_itself():
    settings = RankingSettings()
    table = table_of(made_noise(30, strength=1.0, seed=2), Memory(settings, bytes(32)), settings)
    scores = np.random.default_rng(0).random(table.n_rows)
    gap = gap_of("same", table, (scores, scores), chosen=np.arange(30) < 10)
    assert (gap.value, gap.low, gap.high, gap.n_queries) == (0.0, 0.0, 0.0, 10)


def test_tables_and_files(wheel, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    asked = ["quality_rank.py", "--task", "movielens", "--task", "ranklens"]
    monkeypatch.setattr(
        sys, "argv", [*asked, "--wheel", str(wheel), "--data", str(tmp_path / "none")]
    )
    quality_rank.main()
    said = capsys.readouterr()
    assert "joint over conversion only, seed 0" in said.out
    assert "ranklens: " in said.err
    assert max(map(len, said.out.splitlines())) <= 100
    [path] = tmp_path.glob("quality_rank/tiny/*.json")
    record = json.loads(path.read_text())
    assert {row["name"] for row in record["rows"]} >= {"joint", "conversion only", "popularity"}
    assert record["gaps"][0]["n_queries"] > 0
