"""Fixtures for tests against real servers.

Nothing here is installed: `.ci/run` installs what `debian-packages.txt` names, after a
`/usr/sbin/policy-rc.d` that exits with 101, so that no package starts its service. A test whose
server is missing is skipped with that as its reason.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.processes import free_port, running

PROGRAM = [sys.executable, str(Path(__file__).parents[2] / "cli.py")]
LEARN_SECONDS = 120


@dataclass(frozen=True)
class RunningService:
    """A running `mtspam serve`: its state directory and the ports of its faces."""

    state: Path
    ports: dict[str, int]
    config: Path
    process: subprocess.Popen[bytes]

    def mtspam(self, *arguments, data=b""):
        """Run a command of ours against the same state."""
        command = [*PROGRAM, "--state", self.state, "--config", self.config, *arguments]
        return subprocess.run(
            command, input=data, capture_output=True, timeout=LEARN_SECONDS, check=True
        ).stdout


@contextmanager
def serving(folder, settings=None):
    """Run `mtspam serve` on free ports for a while.

    Parameters
    ----------
    folder
        Where its configuration, state and log go.
    settings
        Further settings: for each section, values by name. A ``listen`` keeps its face from
        getting a port of its own.
    """
    settings = {section: dict(values) for section, values in (settings or {}).items()}
    ports = {}
    for section in ("http", "milter", "spamd"):
        ports[section] = free_port()
        settings.setdefault(section, {}).setdefault("listen", f"127.0.0.1:{ports[section]}")
    file = folder / "mtspam.toml"
    file.write_text(
        "".join(
            f"[{section}]\n"
            + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
            for section, values in settings.items()
        )
    )
    state = folder / "state"
    environment = {k: v for k, v in os.environ.items() if k != "MTSPAM_STATE"}
    command = [*PROGRAM, "--state", str(state), "--config", str(file), "serve"]
    with running(command, folder / "serve.log", place=ports["http"], env=environment) as process:
        yield RunningService(state, ports, file, process)


@pytest.fixture
def running_service(tmp_path):
    """A service with the default settings on free ports."""
    with serving(tmp_path) as service:
        yield service


def pytest_collection_modifyitems(items):
    """Mark what starts real servers: `pytest` alone leaves it out, `pytest -m ''` runs it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.hosts)
