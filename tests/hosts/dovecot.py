"""An instance of Dovecot of the tests' own that loads the files of plugins/dovecot.

It takes root to start; mail belongs to nobody.
"""

import contextlib
import imaplib
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hosts.packages import needed_tool
from tests.hosts.processes import free_port, running

__all__ = ["PLUGIN", "Dovecot", "dovecot"]

PLUGIN = Path(__file__).parents[2] / "plugins" / "dovecot"
OWNER = 65_534
PASSWORD = "secret"
COMMAND_SECONDS = 60

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
instance_name = mtspam-test
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_username_format = %Lu
first_valid_uid = 1
mail_location = maildir:%h/Maildir
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
namespace inbox {{
  inbox = yes
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
  mailbox Papierkorb {{
    special_use = \\Trash
    auto = subscribe
  }}
  mailbox Trash {{
    auto = subscribe
  }}
  mailbox Archive {{
    auto = subscribe
  }}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
}}
!include {plugin}/90-mtspam.conf
plugin {{
  sieve_pipe_bin_dir = {plugin}
  sieve_before = {plugin}/mtspam-deliver.sieve
  imapsieve_mailbox1_before = file:{plugin}/learn-spam.sieve
  imapsieve_mailbox2_before = file:{plugin}/learn-ham.sieve
  imapsieve_mailbox3_before = file:{plugin}/learn-flags.sieve
}}
"""


class Dovecot:
    """A Dovecot, running or not: its folder and its ports."""

    def __init__(self, folder):
        self.folder = folder
        self.lmtp_port = free_port()
        self.imap_port = free_port()
        self.plugin = folder / "plugin"
        self.spool = folder / "spool"
        self.config = folder / "dovecot.conf"

    @contextmanager
    def running(self):
        """Let it run for a while."""
        command = [needed_tool("dovecot"), "-F", "-c", self.config]
        with running(command, self.folder / "console.log", place=self.lmtp_port) as process:
            yield process

    @contextmanager
    def imap(self, user):
        """Be logged in over IMAP for a while."""
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=COMMAND_SECONDS)
        try:
            client.login(f"{user}@example.com", PASSWORD)
            yield client
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                client.logout()

    def mail(self, user, mailbox="INBOX"):
        """The messages in a mailbox."""
        home = self.folder / "home" / user / "Maildir"
        place = home if mailbox == "INBOX" else home / f".{mailbox}"
        paths = [*place.glob("new/*"), *place.glob("cur/*")]
        return [path.read_bytes() for path in sorted(paths, key=lambda path: path.name)]

    @property
    def log(self):
        """What it has logged."""
        path = self.folder / "dovecot.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


@contextmanager
def dovecot(socket, users=("ana", "bob")):
    """Set up a Dovecot whose `mtspam-learn` asks the service at a socket; it does not run yet."""
    if os.geteuid() != 0:
        pytest.skip("only root can start Dovecot")
    sievec = needed_tool("sievec")
    needed_tool("dovecot")
    folder = Path(tempfile.mkdtemp(prefix="mtspam-dovecot-"))
    folder.chmod(0o755)
    try:
        instance = Dovecot(folder)
        shutil.copytree(PLUGIN, instance.plugin)
        (instance.plugin / "mtspam-learn.conf").write_text(
            f"socket = {socket}\nspool = {instance.spool}\n"
        )
        for name in ("home", "spool", *(f"home/{user}" for user in users)):
            (folder / name).mkdir(mode=0o700)
            os.chown(folder / name, OWNER, OWNER)
        (folder / "users").write_text(
            "".join(
                f"{name}@example.com::{OWNER}:{OWNER}::{folder}/home/{name}::\n" for name in users
            )
        )
        instance.config.write_text(
            CONFIG.format(
                folder=folder,
                plugin=instance.plugin,
                imap_port=instance.imap_port,
                lmtp_port=instance.lmtp_port,
                password=PASSWORD,
            )
        )
        for script in sorted(instance.plugin.glob("*.sieve")):
            done = subprocess.run(
                [sievec, "-c", instance.config, "-x", "+imapsieve", script],
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        yield instance
    finally:
        shutil.rmtree(folder, ignore_errors=True)
