"""Fixtures that several rooms need: disks that are full or read-only."""

import os
import resource
import subprocess
from contextlib import contextmanager

import pytest
from hypothesis import settings

# The first call of a kernel may have to compile it, which takes longer than any deadline.
settings.register_profile("mtspam", deadline=None)
settings.load_profile("mtspam")

SMALL_DISK_BYTES = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own of one megabyte, which only root can have."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk; a limit on file sizes is tested as well")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "mtspam-test", disk]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def sealed(tmp_path):
    """Make a directory read-only, for root too, as far as this machine lets us."""
    mounted = []

    def seal(directory):
        if os.geteuid() != 0:
            directory.chmod(0o555)
            return
        for options in ("bind", "remount,bind,ro"):
            command = ["mount", "-o", options, directory, directory]
            if subprocess.run(command, capture_output=True, check=False).returncode != 0:
                pytest.skip("root writes everywhere, and this machine lets nobody mount")
            if options == "bind":
                mounted.append(directory)

    yield seal
    for directory in mounted:
        subprocess.run(["umount", "--lazy", directory], check=True)
    if os.geteuid() != 0:
        for one in tmp_path.iterdir():
            if one.is_dir():
                one.chmod(0o755)


@pytest.fixture
def file_size_limit():
    """Let no file of this process grow past a size for a while, as a full disk would."""

    @contextmanager
    def limit(n_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
