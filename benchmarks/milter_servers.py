"""Servers to measure milters with: Postfix, and the filters that it asks."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from running_service import running_service
from streams import Message

from mtspam.serve.client import ServiceClient

__all__ = ["NO_FILTER", "TCP", "UNIX", "Filtering", "ours", "postfix", "rspamd", "tool"]

TCP, UNIX = "TCP", "UNIX socket"

_SECONDS = 120.0
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_MAIN = """\
compatibility_level = 3.7
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mx.example.com
mydestination =
alias_maps =
relay_domains = example.com
relay_transport = discard:
default_transport = discard:
smtpd_relay_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
in_flow_delay = 0
milter_protocol = 6
milter_default_action = tempfail
"""
_MASTER = """\
{ports}
postlog  unix-dgram n - n - 1 postlogd
pickup   unix n - n 60 1 pickup
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
proxymap unix - - n - - proxymap
discard  unix - - n - - discard
error    unix - - n - - error
retry    unix - - n - - error
anvil    unix - - n - 1 anvil
"""
_RSPAMD = """\
options {{ pidfile = "{folder}/pid"; temp_dir = "{folder}"; filters = ""; rrd = "";
  control_socket = "{folder}/control.sock mode=0600"; stats_file = "{folder}/stats";
  dynamic_conf = "{folder}/dynamic"; hs_cache_dir = "{folder}";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 1s; retransmits = 1; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "error"; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{milter}";
  bind_socket = "{folder}/milter.sock mode=0666"; milter = yes; count = 1;
  timeout = 60s; upstream "local" {{ default = yes; self_scan = yes; }} }}
worker "controller" {{ bind_socket = "127.0.0.1:{control}"; count = 1; secure_ip = "127.0.0.1"; }}
actions {{ reject = 1500; add_header = 600; }}
group "statistics" {{ symbols {{ "BAYES_SPAM" {{ weight = 5.1; }}
  "BAYES_HAM" {{ weight = -3.0; }} }} }}
classifier "bayes" {{ tokenizer {{ name = "osb"; }} backend = "redis";
  servers = "127.0.0.1:{redis}"; min_tokens = 11; min_learns = 10;
  statfile {{ symbol = "BAYES_HAM"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; spam = true; }} }}
"""


@dataclass(frozen=True, slots=True)
class Filtering:
    """A filter that runs.

    Parameters
    ----------
    places
        Where its milter listens as Postfix writes it, by transport.
    cpu_seconds
        What all its processes have used of the processor.
    n_judged
        How many messages it has judged.
    """

    places: Mapping[str, str]
    cpu_seconds: Callable[[], float]
    n_judged: Callable[[], int]


NO_FILTER = Filtering({}, lambda: 0.0, lambda: 0)
"""Of a Postfix that asks nobody."""


def tool(name: str) -> str:
    """Return the path of a program; RuntimeError where it is not installed."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise RuntimeError(f"{name} is not installed")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}: {log.read_text() if log.exists() else ''}")


def _cpu_seconds(pid: int) -> float:
    """Return the processor's time of a process and of all its children."""
    seconds = 0.0
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            seconds += _cpu_seconds(int(child))
    return seconds


# The filters.


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_SECONDS)


@contextmanager
def ours(folder: Path, taught: Sequence[Message]) -> Iterator[Filtering]:
    """Run our service, taught."""
    port, path = _free_port(), folder / "milter.sock"
    places = f"127.0.0.1:{port} {path}"
    with running_service(
        folder, serve='workers = 1\nsocket_mode = "0666"', milter=places
    ) as service:
        client = ServiceClient(service.state / "mtspam.sock", timeout_seconds=_SECONDS)
        for message in taught:
            client.learn(message.raw, "spam" if message.is_spam else "ham")
        yield Filtering(
            {TCP: f"inet:127.0.0.1:{port}", UNIX: f"unix:{path}"},
            service.cpu_seconds,
            lambda: int(client.status()["counts"].get("rulings", 0)),
        )


@contextmanager
def rspamd(folder: Path, taught: Sequence[Message]) -> Iterator[Filtering]:
    """Run rspamd with its Bayes classifier alone, taught."""
    folder.mkdir()
    redis, milter, control = _free_port(), _free_port(), _free_port()
    config = folder / "rspamd.conf"
    config.write_text(_RSPAMD.format(folder=folder, milter=milter, control=control, redis=redis))
    store = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
    server = [tool("rspamd"), "-f", "-c", str(config), "--insecure"]
    with (
        _process([*store, "--dir", str(folder)], folder / "redis.log") as kept,
        _process(server, folder / "out") as filtering,
    ):
        for port in (control, milter):
            _wait_for(port, folder / "log")
        place = f"http://127.0.0.1:{control}"
        for message in taught:
            path = "learnspam" if message.is_spam else "learnham"
            request = urllib.request.Request(f"{place}/{path}", message.raw, method="POST")
            with suppress(urllib.error.HTTPError):  # it refuses what is too short to learn
                urllib.request.urlopen(request, timeout=_SECONDS).close()
        yield Filtering(
            {TCP: f"inet:127.0.0.1:{milter}", UNIX: f"unix:{folder}/milter.sock"},
            lambda: _cpu_seconds(filtering.pid) + _cpu_seconds(kept.pid),
            lambda: int(json.load(urllib.request.urlopen(f"{place}/stat"))["scanned"]),
        )


# Postfix.


@contextmanager
def postfix(folder: Path, milters: Sequence[str]) -> Iterator[list[int]]:
    """Run a Postfix that drops what it takes; one port for each milter."""
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    ports = [_free_port() for _ in milters]
    lines = []
    for port, milter in zip(ports, milters, strict=True):
        lines.append(f"127.0.0.1:{port} inet n - n - - smtpd")
        lines.append(f"  -o smtpd_milters={milter}")
    (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder))
    (folder / "etc" / "master.cf").write_text(_MASTER.format(ports="\n".join(lines)))
    command = [tool("postfix"), "-c", str(folder / "etc")]
    done = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Postfix does not start: {done.stderr}")
    try:
        for port in ports:
            _wait_for(port, folder / "mail.log")
        yield ports
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False)
