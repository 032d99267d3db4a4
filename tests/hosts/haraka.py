"""A Haraka of the tests' own: installed by npm into a shared folder, run on a free port."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.packages import needed_tool
from tests.hosts.processes import free_port, running

__all__ = ["PLUGINS", "haraka"]

PLUGINS = Path(__file__).parents[2] / "plugins" / "haraka" / "config"
PACKAGES = {
    "Haraka": "3.3.4",
    "haraka-plugin-rspamd": "1.6.1",
    "haraka-plugin-spamassassin": "1.1.2",
}
INSTALL_SECONDS = 300
ACCEPT_ALL = """\
exports.register = function () {
  this.register_hook('rcpt', 'accept');
  this.register_hook('mail', 'accept');
};
exports.accept = function (next) { next(OK); };
"""


def installed():
    """Return the folder of Haraka and its plugins; skip the test where npm cannot bring them."""
    for tool in ("node", "npm"):
        needed_tool(tool)
    store = Path(tempfile.gettempdir()) / f"mtspam-test-npm-{os.geteuid()}"
    store.mkdir(mode=0o755, exist_ok=True)
    if store.is_symlink() or store.stat().st_uid != os.geteuid():
        pytest.fail(f"{store} is somebody else's")
    folder = store / "-".join(PACKAGES.values())
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(store, folder)
    return folder


def _install(store, folder):
    with tempfile.TemporaryDirectory(dir=store) as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        about = {"name": "mtspam-tests", "private": True, "dependencies": PACKAGES}
        (root / "package.json").write_text(json.dumps(about))
        # No script of any package is run.
        command = ["npm", "install", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command,
                cwd=root,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("npm takes too long to install Haraka")
        if done.returncode:
            pytest.skip(f"npm cannot install Haraka: {done.stderr[-300:]}")
        root.rename(folder)


@contextmanager
def haraka(folder, plugin, next_hop, changes):
    """Run Haraka for a while with one of our files; give the port on which it takes mail.

    Parameters
    ----------
    folder
        Where its configuration and log go.
    plugin
        ``rspamd`` or ``spamassassin``: its file is taken from `PLUGINS`.
    next_hop
        Port to which it passes on what it takes.
    changes
        What stands in the file, and what is to stand there instead: where the service listens.
    """
    package = installed() / "node_modules" / "Haraka"
    config, plugins = folder / "config", folder / "plugins"
    shutil.copytree(package / "config", config)
    plugins.mkdir()
    # Haraka looks for plugins in the folder that it is started for.
    (folder / "node_modules").symlink_to(installed() / "node_modules")
    port = free_port()
    (config / "smtp.ini").write_text(f"listen=127.0.0.1:{port}\nnodes=0\n")
    (config / "me").write_text("mx.example.com\n")
    (config / "smtp_forward.ini").write_text(f"host=127.0.0.1\nport={next_hop}\n")
    (plugins / "accept_all.js").write_text(ACCEPT_ALL)
    line = (PLUGINS / "plugins").read_text().replace("rspamd", plugin)
    (config / "plugins").write_text(f"accept_all\n{line}\nqueue/smtp_forward\n")
    text = (PLUGINS / f"{plugin}.ini").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (config / f"{plugin}.ini").write_text(text)
    command = [shutil.which("node"), str(package / "bin" / "haraka"), "-c", str(folder)]
    with running(command, folder / "haraka.log", place=port):
        yield port
