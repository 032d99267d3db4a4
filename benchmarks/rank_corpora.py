"""The corpora of rankings: events of RankLens, purchases of XMRec."""

import io
import lzma
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from corpora import MissingDataError

from mtspam.search.events import Event, Interaction, RankingShown
from mtspam.search.reading.reader import read_events

__all__ = ["Purchases", "ranklens_events", "xmrec"]


@dataclass(frozen=True, slots=True)
class Purchases:
    """Who bought what in which market, and the candidates to put in order.

    Parameters
    ----------
    bought
        Columns ``user``, ``item``, ``market``; no pair twice.
    taught
        Those of users and of things that were bought often: queries are made of these.
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
    core = [_pairs(folder / f"{name}/train_5core.tsv.xz") for name in ("t1", "t2", "s2", "s3")]
    return Purchases(bought, pl.concat(core), runs)


def _unpacked(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def _pairs(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(io.BytesIO(_unpacked(path)), separator="\t")
    return frame.select(
        user=pl.col("userId"), item=pl.col("itemId"), market=pl.col("userId").str.slice(0, 2)
    )
