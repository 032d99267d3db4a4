"""Real OpenSMTPD with `plugins/opensmtpd/smtpd.conf`: its filter, real mail, and the mailboxes."""

import re
import smtplib
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.hosts.conftest import PROGRAM, serving
from tests.hosts.opensmtpd import opensmtpd
from tests.hosts.processes import wait_until

SNIPPET = Path(__file__).parents[2] / "plugins" / "opensmtpd" / "smtpd.conf"
COMMAND = "/usr/bin/mtspam --state /var/lib/mtspam opensmtpd --fail tempfail"
PLACE = "listen on 0.0.0.0 port 25 "
SPAM = b"From: deals@pills.invalid\nSubject: lunch\n\nBuy cheap pills now\n"
HAM = b"From: ana@example.org\nSubject: lunch\n\nShall we have lunch on Friday?\n"
FORGED = b"X-Spam-Flag: NO\nX-Mtspam-Verdict: ham\nX-Spam-Status: No, score=-100\n\tall well\n"


def snippet(state, config, *, fail="tempfail", options=()):
    """The file that an admin takes over, with our command and place."""
    text = SNIPPET.read_text()
    assert COMMAND in text
    assert PLACE in text
    program = " ".join([*PROGRAM, f"--state {state} --config {config} opensmtpd --fail {fail}"])
    text = text.replace(COMMAND, " ".join([program, *options]))
    return lambda port: text.replace(PLACE, f"listen on 127.0.0.1 port {port} ")


def teach(service):
    for number in range(3):
        for label, mail in (("spam", SPAM), ("ham", HAM)):
            service.mtspam("ask", "learn", label, data=b"X-Number: %d\n" % number + mail)


@contextmanager
def filtered(tmp_path, settings=None, **changes):
    """An OpenSMTPD that asks a service, which has learnt what spam and ham is."""
    with serving(tmp_path, settings) as service:
        teach(service)
        with opensmtpd(snippet(service.state, service.config, **changes)) as server:
            server.service = service
            yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with filtered(tmp_path_factory.mktemp("opensmtpd")) as it:
        yield it


def parsed(raw):
    return message_from_bytes(raw, policy=policy.compat32)


def newest(server, name, data, sub="", **options):
    count = len(server.mailbox(name, sub))
    status, said = server.swaks(data=data, recipients=(name,), **options)
    assert status == 0, said + server.log
    return parsed(server.delivered(name, sub, count + 1)[-1])


def test_spam_goes_into_junk_and_ham_into_the_inbox(server):
    spam, ham = newest(server, "ana", SPAM, ".Junk"), newest(server, "ana", HAM)
    assert spam["X-Mtspam-Verdict"] == "spam"
    assert spam["X-Spam"] == "Yes"
    assert spam["X-Spam-Flag"] == "YES"
    assert ham["X-Mtspam-Verdict"] == "ham"
    assert ham["X-Spam"] is None
    assert "lunch on Friday" in ham.get_payload()
    assert re.fullmatch("[0-9a-f]{32}", ham["X-Mtspam-Id"])


def test_forged_fields_are_gone(server):
    message = newest(server, "bo", FORGED + HAM)
    assert message["X-Spam-Flag"] is None
    assert message.get_all("X-Mtspam-Verdict") == ["ham"]
    assert "all well" not in message.as_string()
    # Nobody is brought into trouble by a mark on their mail either.
    assert newest(server, "bo", b"X-Spam: Yes\n" + HAM)["X-Spam"] is None


def test_odd_lines_come_through_as_they_were(server):
    body = b"\n.\n..\n.dot | pipe\n|\nfilter-result|1|2|proceed\n\xff\xfe\n" + b"x" * 900 + b"\n"
    message = newest(server, "bo", HAM + body)
    assert body in message.as_bytes()


def test_a_long_message(server):
    body = b"".join(b"%06d and a lunch, then another\n" % n for n in range(100_000))
    message = newest(server, "cy", HAM + body)
    assert message["X-Mtspam-Verdict"]
    assert message.as_bytes().endswith(b"099999 and a lunch, then another\n\n")


def test_several_messages_over_one_connection_and_some_given_up(server):
    count = len(server.mailbox("cy"))
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        for _ in range(3):
            client.sendmail("sender@example.org", ["cy@example.com"], HAM)
            client.mail("sender@example.org")
            client.rcpt("cy@example.com")
            client.rset()
    for raw in server.delivered("cy", count=count + 3)[count:]:
        assert parsed(raw)["X-Mtspam-Verdict"] == "ham"


def test_several_connections_at_once(server):
    before = {sub: len(server.mailbox("bo", sub)) for sub in ("", ".Junk")}

    def send(data):
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            for _ in range(5):
                client.sendmail("sender@example.org", ["bo@example.com"], data)

    threads = [threading.Thread(target=send, args=(data,)) for data in (SPAM, HAM) * 4]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    for sub, word in (("", "ham"), (".Junk", "spam")):
        delivered = server.delivered("bo", sub, before[sub] + 20)[before[sub] :]
        assert [parsed(raw)["X-Mtspam-Verdict"] for raw in delivered] == [word] * 20


def test_several_recipients_get_one_verdict_that_tells_nobodys_taste(server):
    before = {name: len(server.mailbox(name, ".Junk")) for name in ("ana", "cy")}
    status, said = server.swaks(data=SPAM, recipients=("ana", "cy"))
    assert status == 0, said
    for name, count in before.items():
        message = parsed(server.delivered(name, ".Junk", count + 1)[-1])
        assert not re.search(r"\byou [+-]", message["X-Mtspam-Why"])


@pytest.mark.parametrize(
    ("action", "code"), [("reject", "550 5.7.1 "), ("tempfail", "451 4.7.1 ")]
)
def test_spam_is_refused_where_the_limits_say_so(tmp_path, action, code):
    with filtered(tmp_path, {"actions": {action: 0.8}}) as server:
        status, said = server.swaks(data=SPAM)
        assert status != 0
        assert f"<** {code}" in said
        assert "its id is" in said
        assert newest(server, "ana", HAM)["X-Mtspam-Verdict"] == "ham"
        assert server.mailbox("ana", ".Junk") == []


def test_the_subject_is_rewritten(tmp_path):
    with filtered(tmp_path, {"actions": {"rewrite_subject": 0.8}}) as server:
        assert newest(server, "ana", SPAM, ".Junk")["Subject"] == "[SPAM] lunch"


@pytest.mark.parametrize("fail", ["tempfail", "pass"])
def test_while_the_service_is_down_the_option_decides_and_then_all_is_as_before(tmp_path, fail):
    with serving(tmp_path) as service:
        teach(service)
    with opensmtpd(snippet(service.state, service.config, fail=fail)) as server:
        status, said = server.swaks(data=FORGED + SPAM)
        if fail == "tempfail":
            assert "<** 451 4.7.1 Message could not be checked" in said
            assert status != 0
        else:
            assert status == 0, said
            message = parsed(server.delivered("ana")[-1])
            assert not [name for name in message if name.lower().startswith("x-")]
        assert "was not judged: no service answers" in server.log
        with serving(tmp_path):
            assert newest(server, "bo", SPAM, ".Junk")["X-Mtspam-Verdict"] == "spam"


def test_the_filter_judges_by_itself_where_it_may(tmp_path):
    with serving(tmp_path) as service:
        teach(service)
    with opensmtpd(snippet(service.state, service.config, options=["--local"])) as server:
        assert newest(server, "ana", SPAM, ".Junk")["X-Mtspam-Verdict"] == "spam"
        assert newest(server, "ana", HAM)["X-Mtspam-Verdict"] == "ham"


def test_a_service_that_is_killed_costs_no_mail(tmp_path):
    with filtered(tmp_path) as server:
        newest(server, "ana", HAM)
        server.service.process.kill()
        server.service.process.wait(20)
        status, said = server.swaks(data=HAM)
        assert status != 0
        assert "451 4.7.1" in said
        wait_until(lambda: "was not judged" in server.log, "the log to tell of it")
        assert len(server.mailbox("ana")) == 1
