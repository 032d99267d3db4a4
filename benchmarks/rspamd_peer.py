"""rspamd with its Bayes alone: no other module, no network, redis in memory, one worker."""

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from peer_processes import free_port, process, tool, wait_for_port
from streams import Message

__all__ = ["Rspamd", "rspamd_bayes"]

_SECONDS = 120.0
_CONFIG = """\
options {{ pidfile = "{folder}/pid"; temp_dir = "{folder}"; filters = ""; rrd = "";
  control_socket = "{folder}/control.sock mode=0600"; stats_file = "{folder}/stats";
  dynamic_conf = "{folder}/dynamic"; hs_cache_dir = "{folder}";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 1s; retransmits = 1; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "{level}"; }}
{worker}
worker "controller" {{ bind_socket = "127.0.0.1:{control}"; count = 1; secure_ip = "127.0.0.1"; }}
group "statistics" {{ symbols {{ "BAYES_SPAM" {{ weight = 5.1; }}
  "BAYES_HAM" {{ weight = -3.0; }} }} }}
classifier "bayes" {{ tokenizer {{ name = "osb"; }} backend = "redis";
  servers = "127.0.0.1:{redis}"; min_tokens = 11; min_learns = 10;
  statfile {{ symbol = "BAYES_HAM"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; spam = true; }} }}
"""


_NORMAL = """\
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
actions {{ reject = 15; add_header = 6; }}"""
# It finds nobody's mail bad enough to do anything about.
_MILTER = """\
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}";
  bind_socket = "{folder}/milter.sock mode=0666"; milter = yes; count = 1;
  timeout = 60s; upstream "local" {{ default = yes; self_scan = yes; }} }}
actions {{ reject = 1500; add_header = 600; }}"""


@dataclass(frozen=True, slots=True)
class Rspamd:
    """A server that runs: where it scans, where it is asked for figures, and its processes."""

    port: int
    control: int
    main: int
    store: int

    def worker(self) -> int:
        """Return the process that scans.

        Raises
        ------
        RuntimeError
            Where there is none.
        """
        for child in Path(f"/proc/{self.main}/task/{self.main}/children").read_text().split():
            if b"normal process" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise RuntimeError("rspamd has no scanning worker")


@contextmanager
def rspamd_bayes(
    folder: Path, taught: Sequence[Message], *, is_milter: bool = False
) -> Iterator[Rspamd]:
    """Run rspamd until the block ends, taught by some messages.

    Parameters
    ----------
    folder
        For its files; as a milter it listens at ``milter.sock`` there, too.
    taught
        What it learns.
    is_milter
        Whether it speaks milter and is silent, or HTTP and writes a line for each verdict.
    """
    folder.mkdir()
    scan, control, redis = (free_port() for _ in range(3))
    config = folder / "rspamd.conf"
    worker = (_MILTER if is_milter else _NORMAL).format(folder=folder, port=scan)
    level = "error" if is_milter else "info"
    config.write_text(
        _CONFIG.format(folder=folder, worker=worker, level=level, control=control, redis=redis)
    )
    store = [tool("redis-server"), "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
    server = [tool("rspamd"), "-f", "-c", str(config), "--insecure"]
    with (
        process([*store, "--dir", str(folder)], folder / "redis.log") as kept,
        process(server, folder / "out") as filtering,
    ):
        for port in (control, scan):
            wait_for_port(port, folder / "log")
        for message in taught:
            path = "learnspam" if message.is_spam else "learnham"
            request = urllib.request.Request(
                f"http://127.0.0.1:{control}/{path}", data=message.raw, method="POST"
            )
            with suppress(urllib.error.HTTPError):  # it refuses what is too short to learn
                urllib.request.urlopen(request, timeout=_SECONDS).close()
        yield Rspamd(scan, control, filtering.pid, kept.pid)
