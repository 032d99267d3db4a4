"""How soon a label counts: in every worker, under load, for the user who gave it.

``python benchmarks/heard_serve.py --size tiny|small|full`` corrects one verdict after another and
prints the milliseconds from the acknowledgement of a label until each of sixteen connections,
opened before and spread over all workers by the kernel, has asked and heard a score that moved as
the label says; and how many heard it at the first question. Beside it runs a steady load. It
leaves a JSON file in ``benchmarks/results/heard_serve/SIZE/``.
"""

import argparse
import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from corpora import read_sample
from load_clients import Job, Load, Outcome, put_load
from results import write_result
from running_service import Service, running_service

from mtspam.serve.client import ServiceClient

SIZES = {"tiny": 5, "small": 100, "full": 1_000}
BENCHMARK = "heard_serve"
BAR_SECONDS = 1.0
RATE = 200.0
_N_CONNECTIONS = 16
_LONGEST_SECONDS = 30.0


def score_of(connection: HTTPConnection, raw: bytes, user: str) -> float:
    """Ask for the score of a message for a user."""
    connection.request("POST", "/checkv2", raw, {"Rcpt": user})
    return float(json.loads(connection.getresponse().read())["score"])


def seconds_until_heard(
    client: ServiceClient, connections: Sequence[HTTPConnection], raw: bytes, user: str
) -> tuple[float, int]:
    """Correct a verdict; return when all connections knew, and how many did at once.

    Raises
    ------
    RuntimeError
        Where one of them does not come to know.
    """
    scores = [score_of(connection, raw, user) for connection in connections]
    was_spam = client.judge(raw, user=user)["verdict"] == "spam"
    client.learn(raw, "ham" if was_spam else "spam", user=user)
    acknowledged = time.monotonic()
    n_at_once = 0
    for connection, before in zip(connections, scores, strict=True):
        n_asked = 1
        while (score_of(connection, raw, user) < before) != was_spam:
            n_asked += 1
            if time.monotonic() - acknowledged > _LONGEST_SECONDS:
                raise RuntimeError("a label was acknowledged, and a worker does not know it")
        n_at_once += n_asked == 1
    return time.monotonic() - acknowledged, n_at_once


def measure(service: Service, n: int) -> tuple[list[float], int, Outcome]:
    """Give `n` labels beside a steady load."""
    mail, is_over, outcomes = read_sample(), threading.Event(), []

    def load() -> None:
        numbers = itertools.takewhile(lambda _: not is_over.is_set(), itertools.count())
        jobs = (Job(mail[i % len(mail)].raw, f"user{i % 50}@example.org") for i in numbers)
        http, spamd = service.port("http"), service.port("spamd")
        outcomes.append(
            put_load(jobs, Load(http_port=http, spamd_port=spamd, n_http=6, n_spamd=2, rate=RATE))
        )

    beside = threading.Thread(target=load)
    beside.start()
    client = ServiceClient(service.state / "mtspam.sock", timeout_seconds=_LONGEST_SECONDS)
    connections = [
        HTTPConnection("127.0.0.1", service.port("http"), timeout=_LONGEST_SECONDS)
        for _ in range(_N_CONNECTIONS)
    ]
    try:
        found = [
            seconds_until_heard(
                client,
                connections,
                b"X-Number: %d\n" % i + mail[i % len(mail)].raw,
                f"teacher{i}@example.org",
            )
            for i in range(n)
        ]
    finally:
        is_over.set()
        beside.join()
        for connection in connections:
            connection.close()
    return [seconds for seconds, _ in found], sum(count for _, count in found), outcomes[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code: 1 where a question of the load failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    options = parser.parse_args(arguments)
    n = SIZES[options.size]
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        seconds, n_at_once, outcome = measure(service, n)
    p50, p99, longest = np.percentile(np.array(seconds) * 1e3, [50, 99, 100]).round(1).tolist()
    row = {
        "labels": n,
        "connections": _N_CONNECTIONS,
        "p50 ms until all know": p50,
        "p99 ms until all know": p99,
        "max ms until all know": longest,
        "knew at the first question": n_at_once / (n * _N_CONNECTIONS),
        "load, messages a second": RATE,
        "errors of the load": len(outcome.errors),
    }
    for name, value in row.items():
        print(f"{name:28}", value)
    write_result(
        BENCHMARK, "heard", {"size": options.size, "bar ms": BAR_SECONDS * 1e3, "rows": [row]}
    )
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    sys.exit(main())
