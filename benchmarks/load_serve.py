"""An hour of a busy mail server, at once: many connections, labels, hostile mail.

``python benchmarks/load_serve.py --size tiny|small|full`` prints one table and leaves a JSON file
in ``benchmarks/results/load_serve/SIZE/``. Of the messages, 1 % are learnt and 1 % are made to do
harm; three quarters of the connections speak HTTP, one quarter spamd's protocol. First as fast as
it goes, then at a steady rate, where a message's latency counts from the moment it was due.
"""

import argparse
import itertools
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from corpora import DEFAULT_DATA, read_collection, read_sample
from hostile import ATTACKS, mutated
from load_clients import Job, Load, Outcome, put_load
from results import write_result
from running_service import Service, running_service

from mtspam.journal import Journal

SIZES = {"tiny": 400, "small": 10_000, "full": 100_000}
N_CONNECTIONS = {"tiny": 8, "small": 100, "full": 100}
N_USERS = 200
LEARNT, HOSTILE = 0.01, 0.01
BAR_SECONDS = 0.050
BENCHMARK = "load_serve"


def jobs(n: int, data: Path | None, seed: int) -> Iterator[Job]:
    """Make up `n` jobs; labelled messages all differ, so that each label is one event."""
    rng = random.Random(seed)
    mail = [(one.raw, one.is_spam) for one in read_sample()]
    if data is not None:
        for name in ("spamassassin", "csdmc_extra"):
            mail += [(one.raw, one.is_spam) for one in read_collection(data, name)]
    attacks = list(ATTACKS.values())
    for number in range(n):
        raw, is_spam = rng.choice(mail)
        user = f"user{rng.randrange(N_USERS)}@example.org"
        chance = rng.random()
        if chance < LEARNT:
            raw = b"X-Number: %d\n" % number + raw
            yield Job(raw, user, "spam" if is_spam else "ham")
        elif chance < LEARNT + HOSTILE:
            yield Job(rng.choice(attacks) if rng.random() < 0.5 else mutated(raw, rng), user)
        else:
            yield Job(raw, user)


def row(
    name: str, outcome: Outcome, before: tuple[float, float], service: Service
) -> dict[str, object]:
    """Sum up a run; before it the service had so much memory and had used so much time."""
    (own, seconds), (own_after, shared) = before, service.megabytes()
    every = [one for some in outcome.latencies.values() for one in some]
    cut = {kind: np.percentile(some, (50, 99)) for kind, some in outcome.latencies.items() if some}
    return {
        "run": name,
        "messages a second": round((len(every) + len(outcome.learnt)) / outcome.seconds),
        "p50 ms": round(float(np.percentile(every, 50)) * 1e3, 2),
        "p99 ms": round(float(np.percentile(every, 99)) * 1e3, 2),
        "max ms": round(max(every) * 1e3, 1),
        **{f"p99 {kind} ms": round(float(two[1]) * 1e3, 2) for kind, two in cut.items()},
        "learnt": len(outcome.learnt),
        "errors": len(outcome.errors),
        "CPU ms a message": round(
            (service.cpu_seconds() - seconds) / (len(every) + len(outcome.learnt)) * 1e3, 3
        ),
        "own MB before": round(own, 1),
        "own MB after": round(own_after, 1),
        "shared MB": round(shared, 1),
    }


def measure(n: int, n_connections: int, options: argparse.Namespace) -> list[dict[str, object]]:
    """Put load on a service and check that nothing was lost."""
    data = options.data or (None if options.size == "tiny" else DEFAULT_DATA)
    rows: list[dict[str, object]] = []
    n_learnt = 0
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        load = Load(
            http_port=service.port("http"),
            spamd_port=service.port("spamd"),
            n_http=n_connections * 3 // 4,
            n_spamd=n_connections - n_connections * 3 // 4,
        )
        stream = jobs(10 * n, data, options.seed)
        # Tables and buffers fill up with the first messages; memory counts from then on.
        first = put_load(itertools.islice(stream, max(n // 5, 100)), load)
        runs: list[tuple[str, float | None]] = [("as fast as it goes", None)]
        runs += [(f"{rate:g} a second", rate) for rate in options.rates]
        outcomes = [first]
        for name, rate in runs:
            share = n // len(runs)
            before = (service.megabytes()[0], service.cpu_seconds())
            outcome = put_load(
                itertools.islice(stream, share),
                Load(
                    http_port=load.http_port,
                    spamd_port=load.spamd_port,
                    n_http=load.n_http,
                    n_spamd=load.n_spamd,
                    rate=rate,
                ),
            )
            rows.append(row(name, outcome, before, service))
            outcomes.append(outcome)
            n_answered = sum(map(len, outcome.latencies.values())) + len(outcome.learnt)
            rows[-1]["lost"] = share - n_answered - len(outcome.errors)
            for error in outcome.errors[:3]:
                print(error, file=sys.stderr)
        n_learnt = sum(len(one.learnt) for one in outcomes)
        with Journal.open(service.state / "journal.sqlite", read_only=True) as journal:
            n_written = journal.counts().n_live
        rows[-1]["labels acknowledged"], rows[-1]["labels in the journal"] = n_learnt, n_written
    return rows


def show(rows: Sequence[dict[str, object]]) -> None:
    """Print the rows, a column each."""
    for name in dict.fromkeys(name for one in rows for name in one):
        print(f"{name:24}", *(f"{one.get(name, '')!s:>22}" for one in rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code: 1 where a message or a label was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--data", type=Path, help="folder of the corpora")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rates", type=float, nargs="*", default=[200.0, 500.0])
    options = parser.parse_args(arguments)
    n, n_connections = SIZES[options.size], N_CONNECTIONS[options.size]
    rows = measure(n, n_connections, options)
    show(rows)
    write_result(
        BENCHMARK,
        "load",
        {
            "size": options.size,
            "n": n,
            "connections": n_connections,
            "seed": options.seed,
            "bar ms": BAR_SECONDS * 1e3,
            "rows": rows,
        },
    )
    is_whole = rows[-1]["labels acknowledged"] == rows[-1]["labels in the journal"]
    return 0 if is_whole and not any(one["errors"] or one["lost"] for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
