"""Measure how quickly results are ranked and trees are grown, beside LightGBM in the same run.

``python benchmarks/speed_rank.py --size tiny|small|full`` prints one table and leaves a JSON in
``benchmarks/results/``. Everything runs on one core.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from report import print_speed
from results import write_result
from timing import ProcessError, pin_to_one_core, run_process

if TYPE_CHECKING:
    from mtspam.config import Settings

__all__ = ["main"]

BENCHMARK = "speed_rank"
LIGHTGBM = "LightGBM"
_METRIC = (
    "one core, one thread; p50 and p99 over requests that are all different, after warm ones; "
    "*ratio*: LightGBM's time over ours at the same work; *rescore*: 100 candidates with 30 "
    "features of their own, a user, 500 trees, history and personal part, from the call to the "
    "order, against LightGBM's predict alone on the finished matrix; *train*: processes, from the "
    "journal to a version in use, against `lightgbm.train` on a ready matrix of the same numbers, "
    "in as many rounds: 40 numbers of a candidate, or these and what history says as of each "
    "ranking; *open*: in a process that has run before, until it could rank"
)
_N_FEATURES, _N_TRAINED = 30, 40
_NAMES = tuple(f"f{place}" for place in range(_N_TRAINED))
_CANDIDATES, _PER_RANKING = 100, 20
_DOCUMENTS, _STEP, _USERS = 5_000, 7_919, 3_000

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    n_trees: int
    n_learnt: int
    n_calls: int
    n_rows: int
    n_rounds: int


_SCALES = {
    "tiny": Scale(n_trees=20, n_learnt=60, n_calls=30, n_rows=4_000, n_rounds=5),
    "small": Scale(n_trees=500, n_learnt=600, n_calls=500, n_rows=100_000, n_rounds=50),
    "full": Scale(n_trees=500, n_learnt=2_000, n_calls=3_000, n_rows=1_000_000, n_rounds=200),
}


def _row(what: str, who: str, value: float, unit: str, ratio: float | None = None) -> Row:
    return {"what": what, "who": who, "value": value, "unit": unit, "ratio": ratio}


def _times(call: Callable[[int], object], n: int) -> NDArray[np.float64]:
    """Return the milliseconds of calls, after a tenth as many warm ones."""
    for number in range(n // 10 + 2):
        call(number)
    found = np.empty(n)
    for number in range(n):
        start = time.perf_counter()
        call(number)
        found[number] = (time.perf_counter() - start) * 1e3
    return found


def _both(what: str, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> Iterator[Row]:
    for point in (50, 99):
        mine, other = float(np.percentile(ours, point)), float(np.percentile(theirs, point))
        yield _row(f"{what}, p{point}", "mtspam", mine, "ms", other / mine)
        yield _row(f"{what}, p{point}", LIGHTGBM, other, "ms", 1.0)


def _walks(scale: Scale, rng: np.random.Generator) -> Iterator[Row]:
    """Race our kernel with LightGBM's predict over lists of several lengths."""
    import lightgbm

    from mtspam.model.forest import Forest

    for kind, n_categories in (("numbers", 0), ("numbers and categories", 6)):
        rows = rng.normal(size=(20_000, 100))
        rows[:, :n_categories] = rng.integers(0, 200, (20_000, n_categories))
        truth = rows[:, 10] + rows[:, :6].sum(axis=1) % 7 + rng.normal(size=20_000)
        data = lightgbm.Dataset(
            rows, truth, categorical_feature=list(range(n_categories)), params={"verbosity": -1}
        )
        parameters = {"num_leaves": 63, "verbosity": -1, "num_threads": 1}
        booster = lightgbm.train(parameters, data, scale.n_trees)
        forest = Forest.from_text(booster.model_to_string())
        for n in (1, 10, 100):
            pool = [rows[rng.integers(0, 20_000, n)] for _ in range(64)]

            def theirs(
                number: int,
                booster: lightgbm.Booster = booster,
                pool: list[NDArray[np.float64]] = pool,
            ) -> NDArray[np.float64]:
                return np.asarray(
                    booster.predict(pool[number % 64], raw_score=True, num_threads=1)
                )

            def ours(
                number: int, forest: Forest = forest, pool: list[NDArray[np.float64]] = pool
            ) -> NDArray[np.float64]:
                return forest.predict(pool[number % 64])

            if any((ours(number) != theirs(number)).any() for number in range(64)):
                raise ProcessError("the kernel and LightGBM do not agree")
            yield from _both(
                f"predict {n} rows, {kind}",
                _times(ours, scale.n_calls),
                _times(theirs, scale.n_calls),
            )


def _rescores(scale: Scale, folder: Path, rng: np.random.Generator) -> Iterator[Row]:
    import lightgbm

    from mtspam.config import RankingSettings, Settings
    from mtspam.ranking import Reranker
    from mtspam.search.events import Event, Interaction, Item, RankingShown, ShownItem

    names, weights = _NAMES[:_N_FEATURES], rng.normal(size=_N_FEATURES)

    def candidates(n: int) -> tuple[tuple[ShownItem, ...], NDArray[np.float64]]:
        features = rng.normal(size=(n, _N_FEATURES))
        documents = rng.choice(5_000, n, replace=False).tolist()
        items = tuple(
            ShownItem(f"d{document}", -float(place), dict(zip(names, row, strict=True)))
            for place, (document, row) in enumerate(zip(documents, features.tolist(), strict=True))
        )
        return items, features @ weights

    def events() -> Iterator[Event]:
        for document in range(5_000):
            tags = tuple(f"t{tag}" for tag in rng.integers(0, 50, 5))
            yield Item(id=f"i{document}", time=0, item=f"d{document}", fields={"tags": tags})
        for query in range(scale.n_learnt):
            items, truth = candidates(40)
            user = f"u{query % 200}"
            yield RankingShown(
                id=f"r{query}", time=query * 1000, items=items, user=user, query=f"q{query % 40}"
            )
            for place in np.argsort(-truth)[:2].tolist():
                yield Interaction(
                    id=f"c{query}-{place}", time=query * 1000 + 5, kind="click",
                    item=items[place].item, ranking=f"r{query}", user=user,
                )  # fmt: skip

    settings = Settings(
        ranking=RankingSettings(
            rounds=scale.n_trees, validation_share=0.0, threads=1, min_leaf_rows=20
        )
    )
    with Reranker.open(folder, settings) as ranker:
        ranker.feedback(events())
        name = ranker.train()
        text = (folder / "rank" / name / "click-shared.txt").read_text("utf-8")
        n_columns = len(ranker.versions.load(name).trunk.columns)
        pool = [candidates(_CANDIDATES)[0] for _ in range(100)]
        now = scale.n_learnt * 1000

        def ours(number: int) -> object:
            query, user = f"q{number % 40}", f"u{number % 200}"
            return ranker.rescore(query, pool[number % 100], user=user, now=now)

        mine = _times(ours, scale.n_calls)
    yield from _openings(folder, settings)
    booster = lightgbm.Booster(model_str=text)
    matrices = [rng.normal(size=(_CANDIDATES, n_columns)) for _ in range(100)]

    def theirs(number: int) -> object:
        return booster.predict(matrices[number % 100], raw_score=True, num_threads=1)

    yield from _both(f"rescore, {n_columns} columns", mine, _times(theirs, scale.n_calls))


def _openings(folder: Path, settings: "Settings") -> Iterator[Row]:
    from mtspam.ranking import Reranker

    for path in (folder / "rank").glob("*.snapshot"):
        path.unlink()
    for what in ("open a state", "open a state with a snapshot"):
        start = time.perf_counter()
        Reranker.open(folder, settings).close()
        yield _row(what, "mtspam", time.perf_counter() - start, "s")


def _trainings(scale: Scale, folder: Path, seed: int) -> Iterator[Row]:
    """Train in processes of their own; before all else, since a process inherits a peak."""
    folder.mkdir()
    size = f"{scale.n_rows},{scale.n_rounds},{seed}"
    command = [sys.executable, __file__, "--child"]
    run_process([*command, "prepare", str(folder), size])
    rate = float((folder / "rate").read_text("ascii"))
    yield _row("append to the journal", "mtspam", rate, "events/s")
    for more, ending in (("", ""), (" and history", "-history")):
        if ending:
            run_process([*command, "matrix", str(folder), size])
        spent = {
            who: run_process([*command, mode + ending, str(folder), size])
            for who, mode in (("mtspam", "journal"), (LIGHTGBM, "plain"))
        }
        what = f"train on {scale.n_rows:,} rows{more}"
        for who, one in spent.items():
            yield _row(what, who, one.seconds, "s", spent[LIGHTGBM].seconds / one.seconds)
        for who, one in spent.items():
            ratio = spent[LIGHTGBM].peak_mb / one.peak_mb
            yield _row(f"{what}, memory", who, one.peak_mb, "MB", ratio)


def _prepare(folder: Path, n_rows: int, seed: int) -> None:
    """Put the same rankings into a journal and into ready matrices."""
    from mtspam.journal.search import SearchJournal
    from mtspam.search.blocks import BlockFields
    from mtspam.search.events import Event, Interaction, RankingShown, ShownItem
    from mtspam.state import StateDirectory

    rng = np.random.default_rng(seed)
    n_queries = n_rows // _PER_RANKING
    values = rng.normal(size=(n_rows, _N_TRAINED)).astype(np.float32)
    truth = (values[:, :8].sum(axis=1) + rng.normal(size=n_rows)).reshape(n_queries, -1)
    best = np.argsort(-truth, axis=1)[:, :2]
    places = {name: place for place, name in enumerate(_NAMES)}

    def events() -> Iterator[Event]:
        for query in range(n_queries):
            block = values[query * _PER_RANKING :][:_PER_RANKING].astype(np.float64)
            first = query * _PER_RANKING
            items = tuple(
                ShownItem(
                    f"d{(first + place) * _STEP % _DOCUMENTS}",
                    fields=BlockFields(places, block, place, {}),
                )
                for place in range(_PER_RANKING)
            )
            user = f"u{query % _USERS}"
            yield RankingShown(id=f"r{query}", time=query * 10, items=items, user=user)
            for place in best[query].tolist():
                yield Interaction(
                    id=f"c{query}-{place}", time=query * 10 + 1, kind="click",
                    item=items[place].item, ranking=f"r{query}", user=user,
                )  # fmt: skip

    directory = StateDirectory(folder)
    with directory.writing():
        directory.prepare()
    start = time.perf_counter()
    with SearchJournal.open(directory.journal, directory.secret()) as journal:
        done = journal.append(events())
    seconds = time.perf_counter() - start
    (folder / "rate").write_text(str(done.n_new / seconds), "ascii")
    np.save(folder / "values.npy", values)
    clicks = np.zeros((n_queries, _PER_RANKING), np.float32)
    np.put_along_axis(clicks, best, 1.0, axis=1)
    np.save(folder / "clicks.npy", clicks.reshape(-1))


def _keep_matrix(folder: Path, settings: "Settings") -> None:
    """Keep the matrix with the features of history, so that LightGBM has it ready."""
    from mtspam.journal.search import SearchJournal
    from mtspam.ranking.memory import Memory
    from mtspam.ranking.tables import table_of
    from mtspam.search.history import History
    from mtspam.state import StateDirectory

    directory = StateDirectory(folder)
    secret = directory.secret()
    memory = Memory(settings.ranking, secret, History(settings.history, secret=secret))
    with SearchJournal.open(directory.journal, secret, read_only=True) as journal:
        table = table_of((event for _, event in journal.events()), memory, settings.ranking)
    np.save(folder / "wide.npy", table.values)


def _child(mode: str, folder: Path, size: str) -> None:
    """Do one part in a process of its own, so that its memory can be told."""
    n_rows, n_rounds, seed = (int(part) for part in size.split(","))
    if mode == "prepare":
        _prepare(folder, n_rows, seed)
        return
    from mtspam.config import RankingSettings, Settings

    settings = Settings(ranking=RankingSettings(rounds=n_rounds, validation_share=0.0, threads=1))
    mode, _, ending = mode.partition("-")
    if mode == "journal":
        from mtspam.ranking import Reranker

        with Reranker.open(folder, settings, has_history=bool(ending), is_lazy=True) as ranker:
            ranker.train()
        return
    if mode == "matrix":
        _keep_matrix(folder, settings)
        return
    from mtspam.model.growing import Lesson, Recipe, grow

    ranking = settings.ranking
    recipe = Recipe(
        rounds=n_rounds, learning_rate=ranking.learning_rate, leaves=ranking.leaves,
        min_leaf_rows=ranking.min_leaf_rows, column_share=ranking.column_share, l2=ranking.l2,
        patience=1, threads=1, seed=ranking.seed,
    )  # fmt: skip
    name = "wide.npy" if ending else "values.npy"
    values, clicks = np.load(folder / name), np.load(folder / "clicks.npy")
    sizes = np.full(len(values) // _PER_RANKING, _PER_RANKING)
    grow(Lesson(values=values, sizes=sizes, grades=clicks), recipe)


def _measure(size: str, seed: int) -> dict[str, object]:
    scale, rng = _SCALES[size], np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            *_trainings(scale, folder / "trained", seed),
            *_walks(scale, rng),
            *_rescores(scale, folder / "asked", rng),
        ]
    return {
        "title": "Speed of ranking on one core, beside LightGBM",
        "split": f"made-up searches; {scale.n_trees} trees, {scale.n_calls} requests",
        "form": "speed",
        "metric": _METRIC,
        "size": size,
        "seed": seed,
        "rows": rows,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(_SCALES), default="small")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    pin_to_one_core()
    if options.child:
        mode, folder, size = options.child
        _child(mode, Path(folder), size)
        return 0
    try:
        record = _measure(options.size, options.seed)
    except ProcessError as error:
        print(error, file=sys.stderr)
        return 1
    write_result(BENCHMARK, "made-up", record)
    print_speed(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
