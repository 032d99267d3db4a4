"""Files that travel with the package are found where it lies."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mtspam
from mtspam.errors import DataError
from mtspam.resources import data_path

PACKAGE = Path(mtspam.__file__).parent

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from mtspam.resources import data_path
print(data_path(sys.argv[2]))
"""


@pytest.fixture
def installed(tmp_path):
    """A folder with the package as an installer would lay it down, and no project around it."""
    package = tmp_path / "site" / "mtspam"
    package.mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "resources.py"):
        shutil.copy(PACKAGE / name, package / name)
    return package


def found(site, name):
    return subprocess.run(
        [sys.executable, "-I", "-c", CODE, site, name],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_installed_package_has_its_data_within(installed):
    (installed / "data").mkdir()
    (installed / "data" / "toy.txt").touch()
    done = found(installed.parent, "toy.txt")
    assert done.stdout.strip() == str(installed / "data" / "toy.txt")


def test_strangers_data_beside_an_installed_package_is_not_taken(installed):
    (installed.parent / "data").mkdir()
    (installed.parent / "data" / "toy.txt").touch()
    done = found(installed.parent, "toy.txt")
    assert done.returncode != 0
    assert "no data file 'toy.txt' travels with this installation" in done.stderr


def test_a_checkout_has_its_data_at_the_top(installed):
    (installed.parent / "pyproject.toml").touch()
    (installed.parent / "data").mkdir()
    (installed.parent / "data" / "toy.txt").touch()
    done = found(installed.parent, "toy.txt")
    assert done.stdout.strip() == str(installed.parent / "data" / "toy.txt")


def test_a_file_that_is_not_there_is_an_error():
    with pytest.raises(DataError, match="no data file 'no such thing'"):
        data_path("no such thing")
