"""Measure ranking over HTTP beside the same ranking in one process, and what it costs mail.

``python benchmarks/speed_rerank.py --size tiny|small|full`` prints one table and leaves a JSON in
``benchmarks/results/``. One worker, one client that waits for each answer.
"""

import argparse
import http.client
import json
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from report import print_speed
from results import write_result
from running_service import running_service

__all__ = ["main"]

BENCHMARK = "speed_rerank"
OVER_HTTP, IN_PROCESS = "mtspam over HTTP", "mtspam in process"
_METRIC = (
    "one worker and one client on the cores that there are, the control socket, connections kept; "
    "p50 and p99 over requests that are all different, after warm ones; *ratio*: the time in "
    "process over that by HTTP, and of mail the time without rankings over that with a second "
    "client that asks for one ranking after the other"
)
_N_FEATURES, _DOCUMENTS, _USERS = 30, 100, 200
_SECONDS = 120.0
_CLIENTS = 8
_MAIL = (
    b"From: ana@example.org\r\nTo: bob@example.org\r\nSubject: lunch\r\n\r\n"
    + b"Shall we have lunch on Friday at the usual place?\r\n" * 20
)

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    n_trees: int
    n_learnt: int
    n_calls: int


_SCALES = {
    "tiny": Scale(n_trees=20, n_learnt=60, n_calls=50),
    "small": Scale(n_trees=500, n_learnt=600, n_calls=500),
    "full": Scale(n_trees=500, n_learnt=2_000, n_calls=3_000),
}


class _Client(http.client.HTTPConnection):
    """A connection to a control socket that stays open."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(str(self._path))

    def post(self, target: str, body: bytes) -> bytes:
        """Ask, and return what comes back.

        Raises
        ------
        RuntimeError
            Where that is an error.
        """
        self.request("POST", target, body, {"Connection": "keep-alive"})
        answer = self.getresponse()
        data = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{target} gave {answer.status}: {data[:300]!r}")
        return data


def _row(what: str, who: str, value: float, ratio: float | None = None) -> Row:
    return {"what": what, "who": who, "value": value, "unit": "ms", "ratio": ratio}


def _times(call: Callable[[int], object], n: int) -> NDArray[np.float64]:
    """Return the milliseconds of calls, after a tenth as many warm ones."""
    for number in range(n // 10 + 2):
        call(-1 - number)
    found = np.empty(n)
    for number in range(n):
        start = time.perf_counter()
        call(number)
        found[number] = (time.perf_counter() - start) * 1e3
    return found


def _rows(
    what: str, who: str, mine: NDArray[np.float64], other: NDArray[np.float64] | None = None
) -> Iterator[Row]:
    for point in (50, 99):
        value = float(np.percentile(mine, point))
        ratio = None if other is None else float(np.percentile(other, point)) / value
        yield _row(f"{what}, p{point}", who, value, ratio)


def _requests(rng: np.random.Generator, *, is_rich: bool, **more: object) -> list[bytes]:
    """Make a hundred requests: bare texts, or documents with features and a user."""
    made = []
    for number in range(100):
        names = [f"d{one}" for one in rng.choice(5_000, _DOCUMENTS, replace=False)]
        body: dict[str, object] = {"model": "mtspam", "query": f"q{number % 40}", **more}
        body["documents"] = [f"About {name}: " + "text of it " * 20 for name in names]
        if is_rich:
            values = rng.normal(size=(_DOCUMENTS, _N_FEATURES)).tolist()
            body["documents"] = [
                {"id": name, "features": {f"f{n}": value for n, value in enumerate(row)}}
                for name, row in zip(names, values, strict=True)
            ]
            body["user"] = f"u{number % _USERS}"
        made.append(json.dumps(body).encode())
    return made


def _teach(state: Path, scale: Scale, rng: np.random.Generator) -> None:
    from mtspam.config import RankingSettings, Settings
    from mtspam.ranking.reranker import Reranker
    from mtspam.search.events import Event, Interaction, RankingShown, ShownItem

    weights = rng.normal(size=_N_FEATURES)

    def events() -> Iterator[Event]:
        for query in range(scale.n_learnt):
            values = rng.normal(size=(40, _N_FEATURES))
            items = tuple(
                ShownItem(f"d{document}", fields={f"f{n}": value for n, value in enumerate(row)})
                for document, row in zip(
                    rng.choice(5_000, 40, replace=False), values.tolist(), strict=True
                )
            )
            user, moment = f"u{query % _USERS}", query * 1000
            yield RankingShown(
                id=f"r{query}", time=moment, items=items, user=user, query=f"q{query % 40}"
            )
            for place in np.argsort(-(values @ weights))[:2].tolist():
                yield Interaction(
                    id=f"c{query}-{place}", time=moment + 5, kind="click",
                    item=items[place].item, ranking=f"r{query}", user=user,
                )  # fmt: skip

    settings = Settings(
        ranking=RankingSettings(
            rounds=scale.n_trees, validation_share=0.0, threads=1, min_leaf_rows=20
        )
    )
    with Reranker.open(state, settings) as ranker:
        ranker.feedback(events())
        ranker.train()


def _in_process(state: Path, bodies: Sequence[bytes], n_calls: int) -> NDArray[np.float64]:
    from mtspam.config import RerankSettings
    from mtspam.ranking.reranker import Reranker
    from mtspam.serve.rerank.requests import ranking_of, read_request

    settings = RerankSettings()
    with Reranker.open(state, read_only=True) as ranker:
        made = [
            ranking_of(read_request(body, settings), settings, id_="", now=10**9)
            for body in bodies
        ]
        return _times(lambda number: ranker.rescore_ranking(made[number % 100]), n_calls)


def _ask_on(path: Path, bodies: Sequence[bytes]) -> None:
    client = _Client(path)
    while True:
        for body in bodies:
            client.post("/v2/rerank", body)


@contextmanager
def _asking(path: Path, bodies: Sequence[bytes]) -> Iterator[None]:
    """Let another client ask for rankings until the block ends."""
    other = multiprocessing.get_context("spawn").Process(
        target=_ask_on, args=(path, bodies), daemon=True
    )
    other.start()
    try:
        yield
    finally:
        other.kill()
        other.join()


def _at_once(
    path: Path, plain: Sequence[bytes], journalled: Sequence[bytes], n_calls: int
) -> Iterator[Row]:
    """Let several clients ask at once: what waits for the disk is to wait for it together."""

    def ask(bodies: Sequence[bytes]) -> None:
        client = _Client(path)
        for number in range(n_calls // _CLIENTS):
            client.post("/v2/rerank", bodies[number % 100])
        client.close()

    for what, bodies in (("rankings", plain), ("journalled rankings", journalled)):
        start = time.perf_counter()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            list(pool.map(ask, [bodies] * _CLIENTS))
        seconds = time.perf_counter() - start
        value = seconds * 1e3 / (n_calls // _CLIENTS * _CLIENTS)
        yield _row(f"{what} of {_CLIENTS} clients at once, each one's share", OVER_HTTP, value)


def _measured(scale: Scale, folder: Path, rng: np.random.Generator) -> Iterator[Row]:
    state = folder / "state"
    _teach(state, scale, rng)
    bare, rich = _requests(rng, is_rich=False), _requests(rng, is_rich=True)
    journalled = _requests(rng, is_rich=True, journal=True)
    with running_service(folder, serve="workers = 1", state=state) as service:
        path = state / "mtspam.sock"
        client = _Client(path)

        def ask(bodies: Sequence[bytes]) -> NDArray[np.float64]:
            return _times(
                lambda number: client.post("/v2/rerank", bodies[number % 100]), scale.n_calls
            )

        def click(number: int) -> bytes:
            event = {
                "event": "interaction", "id": f"n{number}", "timestamp": str(10**9 + number),
                "type": "click", "item": f"d{number}", "user": "u1",
            }  # fmt: skip
            return client.post("/feedback", json.dumps(event).encode())

        def mail(_: int) -> bytes:
            return client.post("/checkv2", _MAIL)

        start = time.perf_counter()
        client.post("/v2/rerank", rich[0])
        yield _row("first ranking of a worker", OVER_HTTP, (time.perf_counter() - start) * 1e3)
        for what, bodies in (("texts", bare), ("features and a user", rich)):
            over = ask(bodies)
            alone = _in_process(state, bodies, scale.n_calls)
            yield from _rows(f"100 documents, {what}", OVER_HTTP, over, alone)
            yield from _rows(f"100 documents, {what}", IN_PROCESS, alone)
        yield from _rows("the same, journalled", OVER_HTTP, ask(journalled))
        yield from _at_once(path, rich, journalled, scale.n_calls)
        yield from _rows("feedback, one click", OVER_HTTP, _times(click, scale.n_calls))
        quiet = _times(mail, scale.n_calls)
        yield from _rows("mail by /checkv2", OVER_HTTP, quiet)
        with _asking(path, rich):
            until = service.log.read_text().count("msg=ranked") + 10
            while service.log.read_text().count("msg=ranked") < until:
                time.sleep(0.01)
            yield from _rows(
                "mail while rankings are asked", OVER_HTTP, _times(mail, scale.n_calls), quiet
            )
        client.close()


def _measure(size: str, seed: int) -> dict[str, object]:
    scale = _SCALES[size]
    with tempfile.TemporaryDirectory() as name:
        rows = list(_measured(scale, Path(name), np.random.default_rng(seed)))
    return {
        "title": "Ranking over HTTP, beside the same in one process",
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
    options = parser.parse_args(arguments)
    record = _measure(options.size, options.seed)
    write_result(BENCHMARK, "made-up", record)
    print_speed(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
