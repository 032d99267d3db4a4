"""Real mail through a real Haraka that has loaded the files of `plugins/haraka`."""

import asyncio
import email
import re
import subprocess
import threading
from contextlib import contextmanager

import pytest
from aiosmtpd.smtp import SMTP

from tests.hosts.haraka import haraka
from tests.hosts.packages import needed_tool
from tests.hosts.processes import free_port
from tests.serve.http import conftest as http
from tests.serve.spamd import conftest as spamd

SECONDS = 120
YOURS = r"\byou [+-]"  # another than what your organisation says
PASS = "250"
FORGED = "X-Spam-Flag: NO\r\nX-Mtspam-Verdict: ham\r\n"


class Mailboxes:
    """What was passed on: recipients and message."""

    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.taken.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
        return "250 OK"


@contextmanager
def mailboxes():
    """A server that takes all mail, in a thread; its port and what it took."""
    taken, loop = Mailboxes(), asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: SMTP(taken, loop=loop), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], taken.taken
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        server.close()
        loop.close()


@pytest.fixture(scope="module")
def swaks():
    program = needed_tool("swaks")

    def swaks(port, message, *recipients):
        """Send a message; the reply to its end."""
        command = [program, "--server", f"127.0.0.1:{port}", "--from", "a@example.net"]
        command += ["--to", ",".join(recipients), "--data", "-", "--timeout", str(SECONDS)]
        text = (FORGED.encode() + message).replace(b"\r\n", b"\n")
        done = subprocess.run(
            command, input=text, capture_output=True, timeout=2 * SECONDS, check=False
        )
        said = done.stdout.decode().split(" -> .\n", 1)
        assert len(said) == 2, done.stdout.decode()
        return next(line[4:] for line in said[1].splitlines() if line.startswith(("<-", "<*")))

    return swaks


def taught(settings=None):
    """A context of a service that knows spam, and that ben and eva are of different minds."""

    @contextmanager
    def serving(folder):
        folder.mkdir()
        with http.serving(folder, settings) as service:
            service.control("/learnspam", http.PILLS)
            service.control("/learnham", http.LUNCH)
            for _ in range(3):
                service.control("/learnspam", http.NEWS, {"Deliver-To": "ben@example.org"})
                service.control("/learnham", http.NEWS, {"Deliver-To": "eva@example.org"})
            yield service

    return serving


@contextmanager
def host(folder, settings=None):
    """Haraka with `rspamd.ini` between a sender and a mailbox server."""
    with taught(settings)(folder / "service") as service, mailboxes() as (next_hop, taken):
        changes = {"port = 11333": f"port = {service.port}"}
        with haraka(folder / "haraka", "rspamd", next_hop, changes) as port:
            yield port, taken


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with host(tmp_path_factory.mktemp("haraka")) as it:
        yield it


def test_mail_is_passed_on_with_its_verdict_and_without_forged_ones(running, swaks):
    port, taken = running
    for message, verdict, flags in ((http.PILLS, "spam", ["YES"]), (http.LUNCH, "ham", None)):
        taken.clear()
        assert swaks(port, message, "ana@example.org").startswith(PASS)
        ((_, mail),) = taken
        assert mail.get_all("X-Spam-Flag") == flags
        assert mail["X-Mtspam-Verdict"] in ({verdict} if flags else {"ham", "unsure"})
        assert len(mail.get_all("X-Mtspam-Verdict")) == 1
        assert len(mail["X-Mtspam-Id"]) == 32
        assert mail["X-Spam-Status"].startswith("Yes," if flags else "No,")


def test_the_one_recipient_is_judged_for(running, swaks):
    port, taken = running
    taken.clear()
    for name in ("ben", "eva"):
        assert swaks(port, http.NEWS, f"{name}@example.org").startswith(PASS)
    (_, ben), (_, eva) = taken
    assert float(ben["X-Mtspam-Score"].split()[0]) > float(eva["X-Mtspam-Score"].split()[0])
    assert re.search(YOURS, ben["X-Mtspam-Why"])


def test_several_recipients_see_nothing_of_each_other(running, swaks):
    port, taken = running
    taken.clear()
    assert swaks(port, http.NEWS, "ben@example.org", "eva@example.org").startswith(PASS)
    assert taken
    for _, mail in taken:
        assert not re.search(YOURS, mail["X-Mtspam-Why"])
        assert mail["X-Spam-Flag"] is None


@pytest.mark.parametrize(("action", "code"), [("reject", "5"), ("tempfail", "4")])
def test_spam_is_refused_where_that_is_set(tmp_path, swaks, action, code):
    with host(tmp_path, http.settings_with(actions={action: 0.8})) as (port, taken):
        assert swaks(port, http.PILLS, "ana@example.org").startswith(code)
        assert not taken
        assert swaks(port, http.LUNCH, "ana@example.org").startswith(PASS)


def test_a_subject_is_rewritten(tmp_path, swaks):
    settings = http.settings_with(actions={"rewrite_subject": 0.8})
    with host(tmp_path, settings) as (port, taken):
        assert swaks(port, http.PILLS, "ana@example.org").startswith(PASS)
        assert taken[0][1].get_all("Subject") == ["[SPAM] cheap pills"]


def test_where_nobody_answers_the_client_is_to_try_again(tmp_path, swaks):
    with mailboxes() as (next_hop, taken):
        changes = {"port = 11333": f"port = {free_port()}"}
        with haraka(tmp_path, "rspamd", next_hop, changes) as port:
            assert swaks(port, http.PILLS, "ana@example.org").startswith("4")
            assert not taken


def test_too_long_a_message_is_an_error(tmp_path, swaks):
    settings = http.settings_with(mail={"max_message_bytes": 10_000})
    with host(tmp_path, settings) as (port, taken):
        long = http.LUNCH + b"and more\r\n" * 5_000
        assert swaks(port, long, "ana@example.org").startswith("4")
        assert not taken


def test_the_plugin_for_spamd_is_answered_too(tmp_path, swaks):
    (tmp_path / "service").mkdir()
    settings = spamd.settings_with(spamd={"tell_for_everyone": True})
    with spamd.serving(tmp_path / "service", settings) as service, mailboxes() as (hop, taken):
        for _ in range(3):
            service.ask(spamd.tell(spamd.PILLS, "spam"))
            service.ask(spamd.tell(spamd.LUNCH, "ham"))
        changes = {"127.0.0.1:1783": f"127.0.0.1:{service.port}"}
        with haraka(tmp_path / "haraka", "spamassassin", hop, changes) as port:
            for message in (spamd.PILLS, spamd.LUNCH):
                assert swaks(port, message, "ana@example.org").startswith(PASS)
    (_, spam), (_, ham) = taken
    assert spam["X-Spam-Status"].startswith("Yes")
    assert spam.get_all("X-Spam-Flag") == ["YES"]
    assert ham["X-Spam-Status"].startswith("No")
