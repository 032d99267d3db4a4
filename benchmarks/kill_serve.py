"""Kill the writer and the workers again and again, under load with learning.

``python benchmarks/kill_serve.py --size tiny|small|full`` prints one table and leaves a JSON file
in ``benchmarks/results/kill_serve/SIZE/``. Clients do as mail servers do: what is not answered
they give again. Every label that was acknowledged must be in the journal, once.
"""

import argparse
import contextlib
import itertools
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from corpora import read_sample
from load_clients import Job, Load, Outcome, put_load
from results import write_result
from running_service import Service, running_service

from mtspam.errors import ServiceError
from mtspam.journal import Journal
from mtspam.serve.client import ServiceClient
from mtspam.spam.keys import message_digest

SIZES = {"tiny": 6, "small": 30, "full": 200}
BENCHMARK = "kill_serve"
BAR_SECONDS = 2.0
_LONGEST_SECONDS = 30.0
_PAUSE_SECONDS = 0.3
_N_PROBES = 12


def jobs(is_over: threading.Event) -> Iterator[Job]:
    """Make up jobs until it is over, every fifth of them a label; no two messages are equal."""
    mail = read_sample()
    for number in itertools.count():
        if is_over.is_set():
            return
        one = mail[number % len(mail)]
        label = ("spam" if one.is_spam else "ham") if number % 5 == 0 else None
        yield Job(b"X-Number: %d\n" % number + one.raw, f"user{number % 50}@example.org", label)


def is_answered(ask: Callable[[], object]) -> bool:
    """Tell whether a question is answered."""
    with contextlib.suppress(ServiceError, OSError):
        ask()
        return True
    return False


def seconds_to_come_back(service: Service, name: str) -> float:
    """Kill a child; return how long it took until another did its work."""
    client = ServiceClient(service.state / "mtspam.sock", timeout_seconds=_LONGEST_SECONDS)
    pid = service.children()[name]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while service.children().get(name, pid) == pid:
        if time.monotonic() - began > _LONGEST_SECONDS:
            raise RuntimeError(f"no other {name} came")
        time.sleep(0.005)
    probe = b"Subject: probe %d\n\nIs anybody there?" % time.monotonic_ns()
    if "writer" in name:
        while not is_answered(lambda: client.learn(probe, "ham", user="probe")):
            pass
    # The kernel spreads connections over the workers: of so many one meets the new worker.
    for _ in range(_N_PROBES):
        while not is_answered(lambda: client.judge(probe)):
            pass
    return time.monotonic() - began


def kill_in_turn(service: Service, n: int) -> dict[str, list[float]]:
    """Kill each child in turn, `n` times in all."""
    took: dict[str, list[float]] = {}
    names = itertools.cycle(sorted(service.children()))
    for name in itertools.islice(names, n):
        time.sleep(_PAUSE_SECONDS)
        took.setdefault(name.split()[1], []).append(seconds_to_come_back(service, name))
    return took


def compare(service: Service, outcome: Outcome) -> dict[str, int]:
    """Hold the labels that were acknowledged against those in the journal."""
    secret = (service.state / "secret").read_bytes()
    with Journal.open(service.state / "journal.sqlite", read_only=True) as journal:
        journal.check()
        written = Counter(
            (digest, int(value))
            for events in journal.live()
            for digest, value in zip(events.digest, events.value, strict=True)
        )
    promised = [
        (message_digest(job.raw, secret), int(job.label == "spam")) for job in outcome.learnt
    ]
    return {
        "labels acknowledged": len(promised),
        "of these missing": sum(one not in written for one in promised),
        "of these twice": sum(written[one] > 1 for one in promised),
    }


def measure(n: int) -> dict[str, object]:
    """Kill `n` times under load."""
    is_over = threading.Event()
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as service:
        load = Load(
            http_port=service.port("http"),
            spamd_port=service.port("spamd"),
            n_http=4,
            n_spamd=4,
            rate=100.0,
            is_patient=True,
        )
        thread = threading.Thread(target=lambda: found.append(put_load(jobs(is_over), load)))
        thread.start()
        try:
            took = kill_in_turn(service, n)
        finally:
            is_over.set()
            thread.join()
        record: dict[str, object] = {"kills": n}
        for name, some in took.items():
            record[f"{name}: back after s, median"] = round(float(np.median(some)), 3)
            record[f"{name}: back after s, longest"] = round(max(some), 3)
        record["messages judged"] = sum(map(len, found[0].latencies.values()))
        record["given again by clients"] = found[0].n_again
        record["never answered"] = len(found[0].errors)
        record |= compare(service, found[0])
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code: 1 where a label or a message was lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    options = parser.parse_args(arguments)
    record = measure(SIZES[options.size])
    for name, value in record.items():
        print(f"{name:34}{value!s:>12}")
    write_result(BENCHMARK, "kill", {"size": options.size, "bar s": BAR_SECONDS, "rows": [record]})
    lost = ("of these missing", "of these twice", "never answered")
    return 1 if any(record[name] for name in lost) else 0


if __name__ == "__main__":
    sys.exit(main())
