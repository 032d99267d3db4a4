"""Postfix, our LMTP proxy and Dovecot one behind the other, with the files of plugins/."""

import random
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mtspam.journal import Journal
from mtspam.serve.client import ServiceClient
from mtspam.spam.keys import user_key
from tests.hosts.conftest import serving
from tests.hosts.dovecot import dovecot
from tests.hosts.postfix import postfix
from tests.hosts.processes import free_port, is_listening, wait_until
from tests.hosts.relay import slow_relay

__all__ = ["USERS", "Chain", "chain", "letter", "newsletter"]

USERS = ("ana", "bob", "carl", "dora", "eva", "finn", "gus", "hana", "ida", "jan")
POSTFIX_FILE = Path(__file__).parents[2] / "plugins" / "postfix" / "main.cf.lmtp"
ARRIVAL_SECONDS = 120
WORDS = (
    *("offer", "price", "week", "garden", "lamp", "chair", "order", "ship", "free", "table"),
    *("sale", "new", "best", "home", "deal", "summer", "winter", "book", "wool", "shoes"),
)


class Chain:
    """The three of them, and a client of the service."""

    def __init__(self, service, mail_server, mailboxes, client):
        self.service = service
        self.postfix = mail_server
        self.dovecot = mailboxes
        self.client = client

    def send(self, raw, *names):
        """Send a message to users in one transaction."""
        # swaks stops at a line that is a dot; there are none in these messages.
        status, said = self.postfix.swaks(recipients=names, data=raw)
        assert status == 0, said

    def arrived(self, user, mailbox, message_id, count=1):
        """Return the copies of a message in a mailbox, once there are so many."""
        return wait_until(
            lambda: self._found(user, mailbox, message_id, count),
            f"{count} of {message_id} in {mailbox} of {user}",
            seconds=ARRIVAL_SECONDS,
        )

    def _found(self, user, mailbox, message_id, count):
        found = self.copies(user, mailbox, message_id)
        return found if len(found) >= count else None

    def copies(self, user, mailbox, message_id):
        """Return the copies of a message that are in a mailbox now."""
        mark = f"Message-ID: <{message_id}>".encode()
        return [raw for raw in self.dovecot.mail(user, mailbox) if mark in raw]

    def judged(self, raw, user):
        """Return what the service says of a message."""
        return self.client.judge(raw, user=f"{user}@example.com")

    def learn(self, raw, label, user):
        """Teach the service, around the mail servers."""
        return self.client.learn(raw, label, user=f"{user}@example.com", source="test")

    def labels(self, user):
        """Return what a user says in the journal: whether it is spam, and who told us."""
        state = self.service.state
        key = user_key(f"{user}@example.com", (state / "secret").read_bytes())
        with Journal.open(state / "journal.sqlite", read_only=True) as journal:
            return [(bool(one.value), one.source) for one in journal.find("", user=key)]

    def tell(self):
        """Return the ends of all logs."""
        return f"Postfix: {self.postfix.log[-1500:]}\nDovecot: {self.dovecot.log[-1500:]}"


@contextmanager
def chain(folder, users=USERS, *, started=True, slow_seconds=0.0, main="", **settings):
    """Run the three of them for a while.

    Parameters
    ----------
    folder
        Where the service has its files.
    users
        Who has a mailbox.
    started
        Whether Dovecot runs already.
    slow_seconds
        How long Dovecot's answers are on their way.
    main
        More lines of main.cf.
    settings
        Further settings of the service, by section.
    """
    run = Path(tempfile.mkdtemp(prefix="mtspam-run-"))
    run.chmod(0o755)
    control, port = run / "control", free_port()
    try:
        with ExitStack() as stack:
            mailboxes = stack.enter_context(dovecot(control, users))
            log = folder / "relay.log"
            hop = stack.enter_context(slow_relay(mailboxes.lmtp_port, slow_seconds, log))
            everything = {
                "serve": {"socket_mode": "0666", "workers": 1},
                **settings,
                "http": {"control": str(control), **settings.get("http", {})},
                "lmtp": {
                    "listen": f"127.0.0.1:{port}",
                    "next_hop": f"lmtp:127.0.0.1:{hop}",
                    **settings.get("lmtp", {}),
                },
            }
            # The last line of a name is the one that holds.
            lines = POSTFIX_FILE.read_text() + (
                "virtual_mailbox_maps =\n"
                f"mtspam_lmtp = inet:127.0.0.1:{port}\n"
                "minimal_backoff_time = 1s\nmaximal_backoff_time = 1s\nqueue_run_delay = 1s\n"
                f"{main}\n"
            )
            if started:
                stack.enter_context(mailboxes.running())
            service = stack.enter_context(serving(folder, everything))
            mail_server = stack.enter_context(postfix(lines))
            wait_until(lambda: is_listening(port), "the proxy to listen")
            yield Chain(service, mail_server, mailboxes, ServiceClient(control))
    finally:
        shutil.rmtree(run, ignore_errors=True)


def newsletter(number, name="shop"):
    """Return an issue of a newsletter, with the Message-ID ``NUMBER@NAME.example``."""
    rng = random.Random(f"{name} {number}")
    body = "\r\n".join(" ".join(rng.choices(WORDS, k=9)) for _ in range(14))
    return (
        f"From: {name.title()} <news@{name}.example>\r\nTo: readers@{name}.example\r\n"
        f"Subject: {' '.join(rng.choices(WORDS, k=4))}\r\nList-Id: <news.{name}.example>\r\n"
        f"List-Unsubscribe: <https://{name}.example/u>\r\n"
        f"Message-ID: <{number}@{name}.example>\r\n"
        f"Date: Mon, 1 Jan 2024 08:00:00 +0000\r\n\r\n{body}\r\nhttps://{name}.example/{number}\r\n"
    ).encode()


def letter(number):
    """Return a letter from a friend, with the Message-ID ``letterNUMBER@people.example``."""
    rng = random.Random(f"letter {number}")
    return (
        f"From: Mila <mila{number % 3}@people.example>\r\nTo: readers@example.com\r\n"
        f"Subject: Re: dinner\r\nMessage-ID: <letter{number}@people.example>\r\n"
        f"Date: Mon, 1 Jan 2024 08:00:00 +0000\r\n\r\nHello, shall we meet at"
        f" {rng.randint(1, 12)}? I read about the {rng.choice(WORDS)}.\r\nYours, Mila\r\n"
    ).encode()
