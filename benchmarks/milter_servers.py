"""Servers to measure milters with: Postfix, and the filters that it asks."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peer_processes import cpu_seconds, free_port, tool, tree_cpu_seconds, wait_for_port
from rspamd_peer import rspamd_bayes
from running_service import running_service
from streams import Message

from mtspam.serve.client import ServiceClient

__all__ = ["NO_FILTER", "TCP", "UNIX", "Filtering", "ours", "postfix", "rspamd"]

TCP, UNIX = "TCP", "UNIX socket"

_SECONDS = 120.0
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


# The filters.


@contextmanager
def ours(folder: Path, taught: Sequence[Message]) -> Iterator[Filtering]:
    """Run our service, taught."""
    port, path = free_port(), folder / "milter.sock"
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
    with rspamd_bayes(folder, taught, is_milter=True) as peer:
        stat = f"http://127.0.0.1:{peer.control}/stat"
        yield Filtering(
            {TCP: f"inet:127.0.0.1:{peer.port}", UNIX: f"unix:{folder}/milter.sock"},
            lambda: tree_cpu_seconds(peer.main) + cpu_seconds(peer.store),
            lambda: int(json.load(urllib.request.urlopen(stat))["scanned"]),
        )


# Postfix.


@contextmanager
def postfix(folder: Path, milters: Sequence[str]) -> Iterator[list[int]]:
    """Run a Postfix that drops what it takes; one port for each milter."""
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    ports = [free_port() for _ in milters]
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
            wait_for_port(port, folder / "mail.log")
        yield ports
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False)
