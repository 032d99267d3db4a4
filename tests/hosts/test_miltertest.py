"""OpenDKIM's test client, which has nothing in common with ours, talks to the milter."""

import subprocess
from pathlib import Path

import pytest

from tests.hosts.packages import needed_tool
from tests.serve.milter.conftest import listening

SCRIPTS = Path(__file__).with_name("miltertest")
SECONDS = 120


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("marks", {}),
        ("order", {}),
        ("every_event", {}),
        ("refuses", {"reject": 0.8}),
        ("holds", {"quarantine": 0.8}),
    ],
)
def test_script(tmp_path, name, limits):
    tool = needed_tool("miltertest")
    with listening(tmp_path, actions=limits) as face:
        done = subprocess.run(
            [tool, "-D", f"port={face.port}", "-s", SCRIPTS / f"{name}.lua"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_is_run():
    run = test_script.pytestmark[0].args[1]
    assert {path.stem for path in SCRIPTS.glob("*.lua")} == {name for name, _ in run}
