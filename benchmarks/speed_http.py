"""Measure /checkv2 beside rspamd's, which has its Bayes alone: one client, the same mail, one run.

``python benchmarks/speed_http.py --size tiny|small|full`` teaches both half of the messages and
lets ``wrk`` ask about the other half, a new connection for each message as rspamd's clients do.
Each server has one process that judges and writes a line into its log for each verdict; all of its
processes are on one core, the client on another.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from peer_processes import cpu_seconds, tool
from rspamd_peer import rspamd_bayes
from running_service import Service, running_service
from speed_run import Row, mail_for, run_speed, speed_record
from streams import Message

from mtspam.serve.client import ServiceClient

__all__ = ["main"]

BENCHMARK = "speed_http"
OURS, PEER, PEER_ALONE = "mtspam", "rspamd, Bayes alone", "the same without its redis"
USER = "ana@example.com"

_SECONDS = 120.0
_METRIC = (
    "messages by the clock; messages for each second of the processor that all processes of a "
    "server took together; median and 99th percentile of an answer's time; median of repeats "
    "after a warm run, the servers in turn; ratio: how many times as good as *rspamd, Bayes "
    "alone*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: messages, seconds of a run, repeats."""

    n_messages: int | None
    seconds: int
    repeats: int


_SCALES = {
    "tiny": Scale(n_messages=100, seconds=1, repeats=1),
    "small": Scale(n_messages=800, seconds=5, repeats=5),
    "full": Scale(n_messages=None, seconds=15, repeats=7),
}
_CONNECTIONS = (1, 16)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens, and what its processes have taken of the processor."""

    who: str
    port: int
    cpu_seconds: Callable[[], float]
    own_seconds: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the client gave: figures by name."""

    figures: dict[str, float]


def _cores() -> tuple[int, int]:
    """Return the core of the servers and that of the client, the same where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def _run(server: Server, folder: Path, connections: int, seconds: int, core: int) -> Run:
    before, own = server.cpu_seconds(), server.own_seconds and server.own_seconds()
    script = Path(__file__).with_name("scan.lua")
    command = [
        *(tool("taskset"), "-c", str(core), tool("wrk"), "-t1", f"-c{connections}"),
        *(f"-d{seconds}s", "--timeout", "30s", "-s", str(script)),
        *(f"http://127.0.0.1:{server.port}", "--", str(folder), USER),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk: {done.stdout} {done.stderr}")
    said = json.loads(done.stderr.strip().splitlines()[-1])
    if said["errors"] or not said["n"]:
        raise RuntimeError(f"{server.who}: {said['errors']} errors, {said['n']} answers")
    figures = {
        "messages": said["n"] / said["seconds"],
        "messages of a core": said["n"] / (server.cpu_seconds() - before),
        "median": said["p50"],
        "99th percentile": said["p99"],
    }
    if server.own_seconds is not None and own is not None:
        figures["own"] = said["n"] / (server.own_seconds() - own)
    return Run(figures)


def _rows(servers: Sequence[Server], folder: Path, scale: Scale, core: int) -> Iterator[Row]:
    for connections in _CONNECTIONS:
        runs: dict[str, list[Run]] = {server.who: [] for server in servers}
        for server in servers:
            _run(server, folder, connections, 1, core)
        for number in range(scale.repeats):
            turned = servers if number % 2 else servers[::-1]
            for server in turned:
                runs[server.who].append(_run(server, folder, connections, scale.seconds, core))
        at_once = f"{connections} at once"
        for name, unit in (
            ("messages", "messages/s"),
            ("messages of a core", "messages/s"),
            ("median", "ms"),
            ("99th percentile", "ms"),
        ):
            found = {who: _median(these, name) for who, these in runs.items()}
            for who, value in found.items():
                ratio = value / found[PEER] if unit == "messages/s" else found[PEER] / value
                yield _row(f"{name}, {at_once}", who, value, unit, ratio)
            if name == "messages of a core":
                alone = _median(runs[PEER], "own")
                yield _row(f"{name}, {at_once}", PEER_ALONE, alone, unit, alone / found[PEER])


def _median(runs: Sequence[Run], name: str) -> float:
    return statistics.median(run.figures[name] for run in runs)


def _row(what: str, who: str, value: float, unit: str, ratio: float) -> Row:
    return {"what": what, "who": who, "value": value, "unit": unit, "ratio": ratio}


def _teach(service: Service, taught: Sequence[Message]) -> None:
    client = ServiceClient(service.state / "mtspam.sock", timeout_seconds=_SECONDS)
    for message in taught:
        client.learn(message.raw, "spam" if message.is_spam else "ham", user=USER)


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    for name in ("taskset", "wrk", "rspamd", "redis-server"):
        tool(name)
    scale = _SCALES[options.size]
    corpus, stream = mail_for(options, scale.n_messages)
    taught, asked = stream[::2], stream[1::2]
    messages = folder / "messages"
    messages.mkdir()
    for number, message in enumerate(asked):
        (messages / f"{number:06}").write_bytes(message.raw)
    core, client_core = _cores()
    os.sched_setaffinity(0, {core})  # servers inherit it
    with ExitStack() as exits:
        service = exits.enter_context(running_service(folder / "mtspam", serve="workers = 1"))
        _teach(service, taught)
        peer = exits.enter_context(rspamd_bayes(folder / "rspamd", taught))
        worker = peer.worker()
        servers = [
            Server(OURS, service.port("http"), service.cpu_seconds),
            Server(
                PEER,
                peer.port,
                lambda: cpu_seconds(worker, peer.store),
                lambda: cpu_seconds(worker),
            ),
        ]
        rows = list(_rows(servers, messages, scale, client_core))
    return speed_record(
        options,
        rows,
        corpus=corpus,
        n=len(asked),
        title=f"/checkv2: {corpus}, {len(asked):,} messages",
        split=f"{len(taught):,} messages taught, {len(asked):,} others asked about in turn; "
        f"{scale.repeats} repeats of {scale.seconds} s",
        metric=_METRIC,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    return run_speed(BENCHMARK, __doc__, _SCALES, _measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
