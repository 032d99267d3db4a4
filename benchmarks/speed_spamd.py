"""Measure the spamd face beside SpamAssassin's own spamd: one client, the same mail, one run.

``python benchmarks/speed_spamd.py --size tiny|small|full`` teaches each server half of the
messages by TELL and asks it about the other half by CHECK. Every server has one process that
judges, on one core; the client has another core where there is one.
"""

import argparse
import itertools
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from running_service import running_service
from speed_run import Row, mail_for, run_speed, speed_record
from streams import Message

__all__ = ["main"]

BENCHMARK = "speed_spamd"
BAYES, LOCAL = "spamd, Bayes alone", "spamd, all local tests"

_SECONDS = 120.0
_WINDOW = 8
_METRIC = (
    "messages a second with eight requests on their way at once, the server on one core; messages "
    "for each second of the server's own time on the processor, which other programs on the "
    "machine take nothing from; the median time of a request with nothing else on its way; median "
    "of repeats after a warm run; ratio: how many times as quick as "
    f"*{LOCAL}*, which is the package as installed; *{BAYES}* has every rule but Bayes taken out"
)
_BAYES_PRE = """\
loadplugin Mail::SpamAssassin::Plugin::Check
loadplugin Mail::SpamAssassin::Plugin::Bayes
"""
_CONFIG = """\
use_bayes 1
bayes_auto_learn 0
bayes_min_ham_num 1
bayes_min_spam_num 1
bayes_path {folder}/bayes
"""
_RULES = Path("/usr/share/spamassassin")
_SITE = Path("/etc/spamassassin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: messages, and repeats of asking about half of them."""

    n_messages: int
    repeats: int


_SCALES = {
    "tiny": Scale(n_messages=40, repeats=1),
    "small": Scale(n_messages=200, repeats=3),
    "full": Scale(n_messages=1_000, repeats=3),
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens: its port, and the process that stands for all of its processes."""

    port: int
    pid: int


# Servers.


@contextmanager
def _ours(folder: Path) -> Iterator[Server]:
    with running_service(folder, serve="workers = 1") as service:
        yield Server(service.port("spamd"), service.process.pid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _spamd(folder: Path, *, is_bayes_alone: bool) -> Iterator[Server]:
    """Run Debian's spamd with a Bayes store of its own."""
    folder.mkdir()
    site, rules = folder / "site", folder / "rules"
    if is_bayes_alone:
        for made in (site, rules):
            made.mkdir()
        (site / "init.pre").write_text(_BAYES_PRE)
        for name in ("10_default_prefs.cf", "23_bayes.cf"):
            shutil.copy(_RULES / name, rules)
    else:
        shutil.copytree(_SITE, site, ignore=shutil.ignore_patterns("sa-update-keys"))
        rules.symlink_to(_RULES)
    (site / "local.cf").write_text(_CONFIG.format(folder=folder))
    port = _free_port()
    command = [
        *("spamd", "-L", "--allow-tell", "-x", "-i", "127.0.0.1", "-p", str(port)),
        *("--max-children=1", "--min-children=1", "--max-conn-per-child=1000000"),
        *("--siteconfigpath", str(site), "--configpath", str(rules), "-s", "null"),
    ]
    if os.geteuid() == 0:
        command += ["-u", "nobody"]
        for path in (folder.parent, folder):
            path.chmod(0o755)
        shutil.chown(folder, "nobody")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(port, process)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise RuntimeError("spamd does not listen")


def _cpu_seconds(pid: int) -> float:
    """Return the processor's time of a process and of all its children."""
    ticks = 0
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu_seconds(int(one)) for one in children)
    return ticks / os.sysconf("SC_CLK_TCK")


# The client.


def _begin(port: int, request: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), _SECONDS)
    client.sendall(request)
    client.shutdown(socket.SHUT_WR)
    return client


def _end(client: socket.socket) -> None:
    with client:
        reply = b"".join(iter(lambda: client.recv(65_536), b""))
    if not reply.startswith(b"SPAMD/1.1 0 EX_OK\r\n"):
        raise RuntimeError(f"the server said {reply[:200]!r}")


def _ask(port: int, requests: Sequence[bytes], window: int) -> None:
    """Ask everything, with so many requests on their way at once."""
    waiting: deque[socket.socket] = deque()
    for request in requests:
        if len(waiting) >= window:
            _end(waiting.popleft())
        waiting.append(_begin(port, request))
    while waiting:
        _end(waiting.popleft())


def _request(command: str, raw: bytes, *lines: str) -> bytes:
    head = [f"{command} SPAMC/1.5", *lines, f"Content-length: {len(raw)}", "\r\n"]
    return "\r\n".join(head).encode() + raw


def _check(message: Message) -> bytes:
    return _request("CHECK", message.raw, "User: nobody")


def _tell(message: Message) -> bytes:
    what = "spam" if message.is_spam else "ham"
    return _request("TELL", message.raw, "User: nobody", f"Message-class: {what}", "Set: local")


# Measuring.


def _rows(
    who: str,
    start: Callable[[], AbstractContextManager[Server]],
    stream: Sequence[Message],
    n: int,
) -> Iterator[Row]:
    print(f"{who} …", file=sys.stderr, flush=True)
    taught, asked = stream[::2], [_check(message) for message in stream[1::2]]
    with _on_core(0):
        context = start()
        server = context.__enter__()
    try:
        with _on_core(-1):
            _ask(server.port, [_tell(message) for message in taught], 1)
            _ask(server.port, asked, _WINDOW)
            before, began = _cpu_seconds(server.pid), time.perf_counter()
            rates = []
            for _ in range(n):
                start_one = time.perf_counter()
                _ask(server.port, asked, _WINDOW)
                rates.append(len(asked) / (time.perf_counter() - start_one))
            spent, seconds = _cpu_seconds(server.pid) - before, time.perf_counter() - began
            latencies = [_seconds(server.port, request) for request in asked]
    finally:
        context.__exit__(None, None, None)
    yield _row("CHECK, eight at once", who, statistics.median(rates), "messages/s")
    yield _row("CHECK, a core's worth", who, n * len(asked) / max(spent, 0.01), "messages/s")
    yield _row("CHECK, one at a time", who, 1e3 * statistics.median(latencies), "ms")
    print(f"{who}: {100 * spent / seconds:.0f} % of a core", file=sys.stderr, flush=True)


def _seconds(port: int, request: bytes) -> float:
    began = time.perf_counter()
    _ask(port, [request], 1)
    return time.perf_counter() - began


def _row(what: str, who: str, value: float, unit: str) -> Row:
    return {"what": what, "who": who, "value": value, "unit": unit, "ratio": None}


@contextmanager
def _on_core(which: int) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[which]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _with_ratios(rows: Sequence[Row]) -> list[Row]:
    base = {row["what"]: row["value"] for row in rows if row["who"] == LOCAL}
    for row in rows:
        value, reference = row["value"], base.get(row["what"])
        if isinstance(value, float) and isinstance(reference, float):
            is_rate = str(row["unit"]).endswith("/s")
            row["ratio"] = value / reference if is_rate else reference / value
    return sorted(rows, key=lambda row: str(row["what"]))


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    scale = _SCALES[options.size]
    corpus, stream = mail_for(options, scale.n_messages)
    servers: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        "mtspam": lambda: _ours(folder / "mtspam")
    }
    if shutil.which("spamd") is None:
        print("spamd is not installed: no ratios", file=sys.stderr)
    else:
        servers[BAYES] = lambda: _spamd(folder / "bayes", is_bayes_alone=True)
        servers[LOCAL] = lambda: _spamd(folder / "local", is_bayes_alone=False)
    rows = itertools.chain.from_iterable(
        _rows(who, start, stream, scale.repeats) for who, start in servers.items()
    )
    return speed_record(
        options,
        _with_ratios(list(rows)),
        corpus=corpus,
        n=len(stream),
        title=f"The protocol of spamd: {corpus}, {len(stream):,} messages",
        split=f"every other message taught, the rest asked; {scale.repeats} repeats",
        metric=_METRIC,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    return run_speed(BENCHMARK, __doc__, _SCALES, _measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
