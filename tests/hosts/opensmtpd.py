"""OpenSMTPD out of its Debian package, in a mount namespace of its own.

Its paths and users are compiled in. So the process that becomes its master first mounts what the
package unpacked to where that looks, with a list of users of the tests' own: nobody else on this
machine sees any of it, and it goes when the last process does.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.packages import library_path, needed_tool, unpacked
from tests.hosts.processes import free_port, running, wait_until

__all__ = ["OpenSmtpd", "opensmtpd"]

COMMAND_SECONDS = 60
USERS = ("ana", "bo", "cy")
FIRST_USER = 60_100

# Where nothing else that the mail server needs lies, so that all of it may be hidden.
ENTER = """\
set -e
mount --make-rprivate /
for place in /usr/libexec /var/spool /var/lib /var/mail /run; do
  mount -t tmpfs -o mode=755 mtspam-test "$place"
done
mkdir -p /usr/libexec/opensmtpd /var/spool/smtpd /var/lib/opensmtpd/empty
mount --bind "$1/usr/libexec/opensmtpd" /usr/libexec/opensmtpd
chmod 711 /var/spool/smtpd
mount --bind "$2/passwd" /etc/passwd
mount --bind "$2/group" /etc/group
exec "$1/usr/sbin/smtpd" -d -f "$2/smtpd.conf"
"""


class OpenSmtpd:
    """A running OpenSMTPD: its folder and its port."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port

    def mailbox(self, name, sub=""):
        """The messages delivered to NAME@example.com, into a folder below the inbox."""
        found = (self.folder / "home" / name / "Maildir" / sub / "new").glob("*")
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime)]

    def delivered(self, name, sub="", count=1):
        """The same, once there are so many."""
        return wait_until(
            lambda: (mail := self.mailbox(name, sub)) and len(mail) >= count and mail,
            f"{count} messages for {name}; the log says {self.log[-3000:]}",
        )

    def swaks(self, *arguments, recipients=("ana",), data=b""):
        """Send a message with swaks; returns exit status and what the server said."""
        command = [
            *(needed_tool("swaks"), "--server", "127.0.0.1", "--port", str(self.port)),
            *("--from", "sender@example.org", "--helo", "client.example.org"),
            *("--to", ",".join(f"{name}@example.com" for name in recipients)),
            *("--data", "-", *arguments),
        ]
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    @property
    def log(self):
        """What it has said."""
        return (self.folder / "smtpd.log").read_text("utf-8", "replace")


def _accounts(folder):
    """Write the users: the mail server's two, the filter's, and those who get mail."""
    passwd = [Path("/etc/passwd").read_text().rstrip()]
    group = [Path("/etc/group").read_text().rstrip()]
    # Here the filter's user is root: Python and this tree need not be readable for others.
    numbers = {"opensmtpd": FIRST_USER - 2, "opensmtpq": FIRST_USER - 1, "mtspam": 0}
    numbers |= {name: FIRST_USER + n for n, name in enumerate(USERS)}
    for name, number in numbers.items():
        home = folder / "home" / name
        if name in USERS:
            home.mkdir(parents=True)
            os.chown(home, number, number)
        place = home if name in USERS else "/var/lib/opensmtpd/empty"
        passwd.append(f"{name}:x:{number}:{number}::{place}:/bin/sh")
        group.append(f"{name}:x:{number}:")
    (folder / "passwd").write_text("\n".join(passwd) + "\n")
    (folder / "group").write_text("\n".join(group) + "\n")


@contextmanager
def opensmtpd(config):
    """Run an OpenSMTPD for a while.

    Parameters
    ----------
    config
        Its configuration, to be made with the port on which it is to listen. Users ana, bo and cy
        exist.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can start OpenSMTPD")
    unshare = needed_tool("unshare")
    if subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have a mount namespace")
    package = unpacked("opensmtpd")
    folder = Path(tempfile.mkdtemp(prefix="mtspam-opensmtpd-"))
    folder.chmod(0o755)
    port = free_port()
    _accounts(folder)
    (folder / "smtpd.conf").write_text(config(port))
    (folder / "smtpd.conf").chmod(0o600)
    command = [unshare, "--mount", "sh", "-c", ENTER, "enter", str(package), str(folder)]
    environment = {**os.environ, "LD_LIBRARY_PATH": library_path(package)}
    try:
        with running(command, folder / "smtpd.log", place=port, env=environment):
            yield OpenSmtpd(folder, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
