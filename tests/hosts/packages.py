"""Debian's packages for tests: unpacked into folders of the tests' own, never installed.

Debian's mail servers exclude each other as packages; their files do not.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

__all__ = ["library_path", "needed_tool", "unpacked"]

DOWNLOAD_SECONDS = 240


def needed_tool(name):
    """Return the path of an installed program, or skip the test that needs it."""
    # Debian keeps servers where only root's PATH leads.
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed; tests/hosts/debian-packages.txt lists what to")
    return path


def unpacked(*names):
    """Return a folder that holds the files of Debian packages, and of what these depend on.

    What this machine has installed already is not repeated in it. The folder is shared by all
    runs of the tests and must not be written to. Skips the test where there are no packages.
    """
    for tool in ("apt-get", "dpkg"):
        needed_tool(tool)
    store = _store()
    folder = store / "+".join(sorted(names))
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=store) as scratch:
                _unpack(_with_dependencies(names), Path(scratch))
                (Path(scratch) / "root").rename(folder)
    return folder


def library_path(folder):
    """Return what LD_LIBRARY_PATH must be for programs of an unpacked folder."""
    folders = {path.parent for path in folder.glob("**/lib*.so.*")}
    return ":".join(sorted(map(str, folders)))


def _store():
    store = Path(tempfile.gettempdir()) / f"mtspam-test-packages-{os.geteuid()}"
    store.mkdir(mode=0o755, exist_ok=True)
    if store.is_symlink() or store.stat().st_uid != os.geteuid():
        pytest.fail(f"{store} is somebody else's")
    return store


def _with_dependencies(names):
    """List the packages that an installation would bring, as name=version."""
    plan = _apt("install", "--simulate", "--no-install-recommends", "--reinstall", *names)
    # Inst NAME [INSTALLED] (VERSION ORIGIN ...
    wanted = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", plan, re.MULTILINE)
    return [f"{name}={version}" for name, version in wanted]


def _unpack(packages, scratch):
    root = scratch / "root"
    root.mkdir()
    root.chmod(0o755)  # servers give up root's rights and still look for their files
    _apt("download", *packages, cwd=scratch)
    for archive in sorted(scratch.glob("*.deb")):
        subprocess.run(["dpkg", "-x", archive, root], check=True, timeout=DOWNLOAD_SECONDS)


def _apt(*arguments, cwd=None):
    # The user that apt gives its downloads to may not write into our folder.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False, cwd=cwd
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"no packages are to be had: apt-get took over {DOWNLOAD_SECONDS} s")
    if done.returncode:
        pytest.skip(f"no packages are to be had: {done.stderr.strip()[-300:]}")
    return done.stdout
