"""An instance of Postfix of the tests' own: configuration, queue and log in a folder, a free port.

The `postfix` command takes root; its processes give root up as always.
"""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.packages import needed_tool
from tests.hosts.processes import free_port, is_listening, wait_until

__all__ = ["Postfix", "postfix"]

COMMAND_SECONDS = 60
USERS = ("ana", "bo", "cy")
OWNER = 65_534  # nobody: whose mailboxes these are

MAIN = """\
compatibility_level = 3.7
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}/log
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.com
mydestination =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
disable_dns_lookups = yes
smtp_host_lookup = native
alias_maps =
biff = no
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
default_transport = discard:
virtual_uid_maps = static:{owner}
virtual_gid_maps = static:{owner}
"""
# The queue manager is woken each second, not every five minutes: mail that is flushed while it is
# still being delivered waits in the incoming queue for a minute, and then until somebody looks.
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog   unix-dgram n - n - 1 postlogd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 1 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
virtual   unix - n n - - virtual
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
"""


class Postfix:
    """A running Postfix: its folder and its port."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port
        self.config = folder / "etc"

    def mailbox(self, name):
        """The messages delivered to NAME@example.com, the oldest first."""
        found = (self.folder / "mail" / name / "new").glob("*")
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime)]

    def delivered(self, name, count=1):
        """The same, once there are so many."""
        return wait_until(
            lambda: (mail := self.mailbox(name)) if len(self.mailbox(name)) >= count else None,
            f"{count} messages for {name}; the log says {self.log[-2000:]}",
        )

    def swaks(self, *arguments, recipients=("ana",), data=b"", **options):
        """Send a message with swaks; returns exit status and what the server said."""
        command = [
            *(needed_tool("swaks"), "--server", "127.0.0.1", "--port", str(self.port)),
            *("--from", "sender@example.org", "--helo", "client.example.org"),
            *("--to", ",".join(f"{name}@example.com" for name in recipients)),
            *("--data", "-"),
            *arguments,
        ]
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
            **options,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def run(self, *command, data=None):
        """Run a command of Postfix for this instance."""
        tool, *arguments = command
        done = subprocess.run(
            [needed_tool(tool), *arguments],
            input=data,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
            env={**os.environ, "MAIL_CONFIG": str(self.config)},
        )
        assert done.returncode == 0, (done.stderr + done.stdout).decode() + self.log[-2000:]
        return done.stdout.decode("utf-8", "replace")

    def queued(self):
        """Ids of the messages in the queue by the name of their queue."""
        found = {}
        for line in self.run("postqueue", "-j").splitlines():
            name, queue_id = (
                re.search(rf'"{key}": "(\w+)"', line)[1] for key in ("queue_name", "queue_id")
            )
            found.setdefault(name, []).append(queue_id)
        return found

    @property
    def log(self):
        """What Postfix has logged."""
        path = self.folder / "log" / "mail.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


def last_settings(text):
    """Leave of each setting of main.cf the last one.

    Each process of Postfix warns of one that overrides another, postlogd too: once the socket of
    the log is full, that waits for itself, and all others for it.
    """
    kept, names = [], set()
    for setting in reversed(re.findall(r"^\S.*\n(?:[ \t].*\n)*", text, re.MULTILINE)):
        name = setting.partition("=")[0].strip()
        if setting.startswith("#") or name not in names:
            kept.append(setting)
            names.add(name)
    return "".join(reversed(kept))


@contextmanager
def postfix(main="", master=""):
    """Run a Postfix for a while.

    Parameters
    ----------
    main, master
        More lines of main.cf and master.cf; ``{folder}`` stands for the instance's folder. The
        users ana, bo and cy of example.com have a Maildir each.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")
    command = needed_tool("postfix")
    # Its processes have no rights in the folders of pytest.
    folder = Path(tempfile.mkdtemp(prefix="mtspam-postfix-"))
    folder.chmod(0o755)
    port = free_port()
    for name in ("etc", "queue", "data", "mail", "log"):
        (folder / name).mkdir()
    os.chown(folder / "mail", OWNER, OWNER)
    shutil.chown(folder / "data", "postfix", "postfix")
    names = {"folder": folder, "port": port, "owner": OWNER}
    (folder / "etc" / "main.cf").write_text(
        last_settings(MAIN.format(**names) + main.replace("{folder}", str(folder)))
    )
    (folder / "etc" / "master.cf").write_text(
        MASTER.format(**names) + master.replace("{folder}", str(folder))
    )
    (folder / "etc" / "mailboxes").write_text(
        "".join(f"{name}@example.com {name}/\n" for name in USERS)
    )
    instance = Postfix(folder, port)

    def control(verb):
        return subprocess.run(
            [command, "-c", instance.config, verb],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    try:
        begun = control("start")
        assert begun.returncode == 0, begun.stderr + instance.log
        wait_until(lambda: is_listening(port), f"Postfix to listen; its log: {instance.log}")
        yield instance
    finally:
        control("stop")
        shutil.rmtree(folder, ignore_errors=True)
