"""Measure what a milter costs Postfix for a message: none, ours, and rspamd's, in one run.

``python benchmarks/speed_milter.py --size tiny|small|full`` starts one Postfix with five ports,
which differ in their milter alone, and sends the same messages to each with ``smtp-source``. Needs
root, as Postfix does; Postfix, rspamd and redis of Debian's packages.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from milter_servers import NO_FILTER, TCP, UNIX, Filtering, ours, postfix, rspamd
from peer_processes import tool
from speed_run import Row, mail_for, run_speed, speed_record
from streams import Message

__all__ = ["main"]

BENCHMARK = "speed_milter"
NONE, OURS, PEER = "no milter", "mtspam", "rspamd, Bayes alone"

_TOOLS = ("postfix", "smtp-source", "rspamd", "redis-server")
_METRIC = (
    "time for a message is the whole run's by the clock divided by its messages; *cost* is the "
    "median over rounds of the difference to the same round without a milter; *processor* is the "
    "time of all processes of the filter, redis included, for a message; one process of each "
    f"filter judges; ratio: how many times as cheap as *{PEER}*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: messages taught, messages sent, copies of each, rounds."""

    n_taught: int
    n_sent: int
    n_copies: int
    rounds: int


_SCALES = {
    "tiny": Scale(n_taught=40, n_sent=2, n_copies=10, rounds=1),
    "small": Scale(n_taught=200, n_sent=8, n_copies=40, rounds=5),
    "full": Scale(n_taught=1_000, n_sent=24, n_copies=100, rounds=9),
}
_SESSIONS = (1, 8)


@dataclass(frozen=True, slots=True)
class Leg:
    """One port of Postfix: whose milter it asks, and over what."""

    who: str
    transport: str
    port: int
    filtering: "Filtering"


def _send(port: int, path: Path, count: int, sessions: int) -> float:
    """Send copies of a message and return how many seconds it took."""
    command = [
        *(tool("smtp-source"), "-d", "-s", str(sessions), "-m", str(count)),
        *("-f", "sender@example.org", "-t", "ana@example.com", "-F", str(path)),
        f"inet:127.0.0.1:{port}",
    ]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode or done.stderr:
        raise RuntimeError(f"smtp-source: {done.stderr}")
    return time.perf_counter() - began


# Measuring.


def _files(folder: Path, messages: Sequence[Message]) -> list[Path]:
    folder.mkdir()
    files = []
    for number, message in enumerate(messages):
        files.append(folder / f"{number}.eml")
        # It ends every line itself.
        files[-1].write_bytes(message.raw.replace(b"\r\n", b"\n"))
    return files


def _rows(legs: Sequence[Leg], files: Sequence[Path], scale: Scale) -> Iterator[Row]:
    for leg in legs:
        _send(leg.port, files[0], scale.n_copies, 2)
    for sessions in _SESSIONS:
        at_once = f"{sessions} session" if sessions == 1 else f"{sessions} sessions"
        took: dict[int, list[float]] = {leg.port: [] for leg in legs}
        spent: dict[int, list[float]] = {leg.port: [] for leg in legs}
        for number in range(scale.rounds):
            print(f"{at_once}, round {number + 1} …", file=sys.stderr, flush=True)
            # Another order each time, so that nobody always comes first.
            for leg in (*legs[number % len(legs) :], *legs[: number % len(legs)]):
                seconds, cpu_seconds = _round(leg, files, scale.n_copies, sessions)
                took[leg.port].append(1e3 * seconds / (len(files) * scale.n_copies))
                spent[leg.port].append(1e3 * cpu_seconds / (len(files) * scale.n_copies))
        none = took[legs[0].port]
        yield _row(f"a message, {at_once}", NONE, statistics.median(none))
        for leg in legs[1:]:
            end = f"{at_once}, {leg.transport}"
            costs = [mine - without for mine, without in zip(took[leg.port], none, strict=True)]
            yield _row(f"a message, {end}", leg.who, statistics.median(took[leg.port]))
            yield _row(f"cost, {end}", leg.who, statistics.median(costs))
            yield _row(f"processor, {end}", leg.who, statistics.median(spent[leg.port]))


def _round(leg: Leg, files: Sequence[Path], n_copies: int, sessions: int) -> tuple[float, float]:
    """Send all messages over a leg; return the time by the clock and that of the filter."""
    n_before, before = leg.filtering.n_judged(), leg.filtering.cpu_seconds()
    seconds = sum(_send(leg.port, file, n_copies, sessions) for file in files)
    spent = leg.filtering.cpu_seconds() - before
    n_judged = leg.filtering.n_judged() - n_before
    if leg.who != NONE and n_judged < len(files) * n_copies:
        raise RuntimeError(f"{leg.who} judged {n_judged} of {len(files) * n_copies} messages")
    return seconds, spent


def _row(what: str, who: str, value: float) -> Row:
    return {"what": what, "who": who, "value": value, "unit": "ms", "ratio": None}


def _with_ratios(rows: Sequence[Row]) -> list[Row]:
    base = {row["what"]: row["value"] for row in rows if row["who"] == PEER}
    for row in rows:
        value, reference = row["value"], base.get(row["what"])
        if isinstance(value, float) and isinstance(reference, float) and value > 0:
            row["ratio"] = reference / value
    return sorted(rows, key=lambda row: str(row["what"]))


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    if os.geteuid() != 0:
        raise RuntimeError("only root can start Postfix")
    for name in _TOOLS:
        tool(name)
    scale = _SCALES[options.size]
    corpus, stream = mail_for(options, scale.n_taught + scale.n_sent)
    taught, sent = stream[: -scale.n_sent], stream[-scale.n_sent :]
    with ExitStack() as exits:
        filters = {
            OURS: exits.enter_context(ours(folder / "mtspam", taught)),
            PEER: exits.enter_context(rspamd(folder / "rspamd", taught)),
        }
        asked = [(who, transport) for transport in (TCP, UNIX) for who in filters]
        places = [filters[who].places[transport] for who, transport in asked]
        ports = exits.enter_context(postfix(folder / "postfix", ["", *places]))
        legs = [Leg(NONE, "", ports[0], NO_FILTER)]
        for (who, transport), port in zip(asked, ports[1:], strict=True):
            legs.append(Leg(who, transport, port, filters[who]))
        rows = list(_rows(legs, _files(folder / "mail", sent), scale))
    return speed_record(
        options,
        _with_ratios(rows),
        corpus=corpus,
        n=scale.n_sent * scale.n_copies,
        title=f"The milter of Postfix: {corpus}, {scale.n_sent} messages",
        split=f"{len(taught):,} messages taught, {scale.n_sent} others sent {scale.n_copies} "
        f"times; {scale.rounds} rounds",
        metric=_METRIC,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    # In memory where that is to be had: the disk is not what is measured.
    memory = Path("/dev/shm")
    folder = memory if memory.is_dir() else None
    return run_speed(BENCHMARK, __doc__, _SCALES, _measure, arguments, folder=folder)


if __name__ == "__main__":
    sys.exit(main())
