"""The service in processes of its own, on free ports of the loopback address, and its memory."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Service", "running_service"]

_PROJECT = Path(__file__).resolve().parent.parent
_START_SECONDS = 180.0
_STOP_SECONDS = 150.0
_CONFIG = """
[serve]
{serve}

[http]
listen = "127.0.0.1:0"

[spamd]
listen = "127.0.0.1:0"
tell_for_everyone = true

[milter]
listen = "{milter}"

[lmtp]
listen = ""
"""


@dataclass
class Service:
    """A service that runs.

    Parameters
    ----------
    process
        The supervisor.
    state
        The state directory.
    log
        What it writes to standard error.
    """

    process: "subprocess.Popen[bytes]"
    state: Path
    log: Path

    def port(self, face: str) -> int:
        """Return the port of a face."""
        found = re.search(rf"[:;] {face} on 127\.0\.0\.1:(\d+)", self.log.read_text())
        if found is None:
            raise RuntimeError(f"{face} does not listen: {self.log.read_text()}")
        return int(found[1])

    def children(self) -> dict[str, int]:
        """Return the process numbers of the children by name."""
        pid = self.process.pid
        found = {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                found[Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
        return found

    def megabytes(self) -> tuple[float, float]:
        """Return how much memory all processes have to themselves, and how much they share.

        What is shared is the model and the memory of recent mail, whose sizes are settings; it is
        counted once, as far as it was touched.
        """
        own = every = 0
        for pid in (self.process.pid, *self.children().values()):
            with suppress(OSError):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                sizes = dict(re.findall(r"^(Pss\w*):\s+(\d+) kB", text, re.MULTILINE))
                own += int(sizes["Pss_Anon"])
                every += int(sizes["Pss"])
        return own / 1024, (every - own) / 1024

    def cpu_seconds(self) -> float:
        """Return the processor time of all processes that live now."""
        ticks = 0
        for pid in (self.process.pid, *self.children().values()):
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def wait_for(self, text: str) -> None:
        """Wait until the log has a text.

        Raises
        ------
        RuntimeError
            Where the service ends, or it does not come.
        """
        end = time.monotonic() + _START_SECONDS
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the service did not get to {text!r}: {self.log.read_text()}")
            time.sleep(0.05)


@contextmanager
def running_service(
    folder: Path, *, serve: str = "", milter: str = "", state: Path | None = None
) -> Iterator[Service]:
    """Run a service until the block ends.

    Parameters
    ----------
    folder
        For its files.
    serve
        Lines of the section ``serve``.
    milter
        Where milter listens; it is off by default.
    state
        A state to begin with; by default a new one in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "mtspam.toml", folder / "log"
    state = state or folder / "state"
    config.write_text(_CONFIG.format(serve=serve, milter=milter))
    command = [sys.executable, str(_PROJECT / "cli.py"), "serve"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--state", str(state), "--config", str(config)], stderr=file
        )
    service = Service(process, state, log)
    try:
        service.wait_for("msg=ready")
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
