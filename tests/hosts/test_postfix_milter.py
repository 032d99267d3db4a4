"""Real Postfix with `plugins/postfix/main.cf.milter`, real mail, and what is in the mailboxes."""

import asyncio
import re
import smtplib
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mtspam.serve.contract import BusyError, Envelope, UnavailableError
from tests.hosts.conftest import serving
from tests.hosts.postfix import postfix
from tests.hosts.processes import free_port, wait_until
from tests.serve.milter.conftest import LUNCH, PILLS, SECONDS, Failing, failing, listening

SNIPPET = Path(__file__).parents[2] / "plugins" / "postfix" / "main.cf.milter"
PLACE = "127.0.0.1:11332"
SPAM = b"From: deals@pills.invalid\nSubject: lunch\n\n" + PILLS.replace(b"\r", b"")
HAM = b"From: ana@example.org\nSubject: lunch\n\n" + LUNCH.replace(b"\r", b"")
FORGED = (
    b"X-Spam-Flag: NO\nX-Mtspam-Verdict: ham\nReceived: from elsewhere\n\tby elsewhere\n"
    b"x-spam-flag: NO\nX-Spam: no\nX-Spam-Status: No, score=-100\n\tall well\n"
)
QUEUE_ID = re.compile(r"queued as (\w+)")


def snippet(port, **changes):
    """The file that an admin appends, with our port and perhaps another default_action."""
    text = SNIPPET.read_text()
    assert PLACE in text
    text = text.replace(PLACE, f"127.0.0.1:{port}")
    for name, value in changes.items():
        assert re.search(rf"{name}=\w+", text)
        text = re.sub(rf"{name}=\w+", f"{name}={value}", text)
    return text


@contextmanager
def filtered(tmp_path, main="", **settings):
    """A Postfix that asks a service, which has learnt what spam and ham is."""
    with listening(tmp_path, **settings) as face, postfix(snippet(face.port) + main) as server:
        server.face = face
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with filtered(tmp_path_factory.mktemp("postfix")) as it:
        yield it


def parsed(raw):
    return message_from_bytes(raw, policy=policy.compat32)


def sent(server, data, **options):
    status, said = server.swaks(data=data, **options)
    assert status == 0, said
    return said


def newest(server, name, data, **options):
    """Send a message and return it as it was delivered."""
    count = len(server.mailbox(name))
    sent(server, data, recipients=(name,), **options)
    return parsed(server.delivered(name, count + 1)[-1])


def test_spam_is_marked_and_ham_is_not(server):
    spam, ham = newest(server, "ana", SPAM), newest(server, "ana", HAM)
    assert spam["X-Mtspam-Verdict"] == "spam"
    assert spam["X-Spam-Flag"] == "YES"
    assert ham["X-Mtspam-Verdict"] == "ham"
    assert ham["X-Spam-Flag"] is None
    for message in (spam, ham):
        assert re.fullmatch("[0-9a-f]{32}", message["X-Mtspam-Id"])
        assert "Why" in message["X-Mtspam-Why"] or "everyone" in message["X-Mtspam-Why"]
        # Postfix's own field stays on top, ours come next.
        names = [
            name
            for name in message
            if name not in ("Return-Path", "X-Original-To", "Delivered-To")
        ]
        assert names[:2] == ["Received", "X-Mtspam-Id"]
        assert message.as_bytes().count(b"\r") == 0


def test_fields_forged_under_our_names_are_gone_and_all_others_stay(server):
    message = newest(server, "ana", FORGED + SPAM)
    assert message.get_all("X-Spam-Flag") == ["YES"]
    assert message.get_all("X-Mtspam-Verdict") == ["spam"]
    assert message["X-Spam"] is None
    (status,) = message.get_all("X-Spam-Status")
    assert status.startswith("Yes, score=")
    assert "all well" not in message.as_string()
    assert message.get_all("Received")[-1] == "from elsewhere\n\tby elsewhere"


def test_the_same_verdict_and_id_as_over_any_other_face(server):
    """The message is rebuilt as it is on the wire, folded lines, odd blanks and all."""
    data = b"From:  ana@example.org\nSubject:lunch\n at noon\nX-Odd: \xff\n\n.dot\n" + HAM
    count = len(server.mailbox("ana"))
    sent(server, data, recipients=("ana",))
    raw = server.delivered("ana", count + 1)[-1]
    # What Postfix put in front on the way is not what the milter saw.
    seen = raw[raw.index(b"From:  ana") :].replace(b"\n", b"\r\n")

    async def rule():
        return server.face.service.rule(seen, Envelope(recipients=("ana@example.com",)))[0]

    ruling = asyncio.run_coroutine_threadsafe(rule(), server.face.loop).result(SECONDS)
    delivered = parsed(raw)
    assert delivered["X-Mtspam-Id"] == ruling.judgement.id
    assert [delivered[name] for name, _ in ruling.fields] == [value for _, value in ruling.fields]


def test_a_field_hidden_behind_a_carriage_return_is_gone(server):
    count = len(server.mailbox("ana"))
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.mail("sender@example.org")
        client.rcpt("ana@example.com")
        client.docmd("DATA")
        client.send(b"Subject: lunch\rX-Spam-Flag: NO\r\nFrom: a@example.org\r\n\r\ntext\r\n.\r\n")
        assert client.getreply()[0] == 250
    assert parsed(server.delivered("ana", count + 1)[-1])["X-Spam-Flag"] is None


def test_several_recipients_get_one_message_that_tells_nobodys_taste(server):
    before = {name: len(server.mailbox(name)) for name in ("bo", "cy")}
    sent(server, SPAM, recipients=("bo", "cy"))
    for name, count in before.items():
        message = parsed(server.delivered(name, count + 1)[-1])
        assert message["X-Mtspam-Verdict"] == "spam"
        assert not re.search(r"\byou [+-]", message["X-Mtspam-Why"])


def test_several_messages_over_one_connection(server):
    count = len(server.mailbox("bo"))
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        for data in (SPAM, HAM, SPAM, HAM):
            client.sendmail("sender@example.org", ["bo@example.com"], data)
            # One given up in the middle: the milter is told to abort.
            client.mail("sender@example.org")
            client.rcpt("bo@example.com")
            client.rset()
    delivered = [parsed(raw) for raw in server.delivered("bo", count + 4)[count:]]
    assert sorted(message["X-Mtspam-Verdict"] for message in delivered) == [
        "ham",
        "ham",
        "spam",
        "spam",
    ]
    for message in delivered:
        is_spam = "pills" in message.get_payload()
        assert message["X-Mtspam-Verdict"] == ("spam" if is_spam else "ham")


def test_mail_of_the_sendmail_command_is_filtered_too(server):
    count = len(server.mailbox("cy"))
    server.run("sendmail", "-f", "sender@example.org", "cy@example.com", data=SPAM)
    assert parsed(server.delivered("cy", count + 1)[-1])["X-Mtspam-Verdict"] == "spam"


def test_a_message_of_several_megabytes(server):
    body = b"".join(b"%05d " % n + b"a lunch, then another\n" for n in range(200_000))
    message = newest(server, "bo", HAM + body)
    assert message["X-Mtspam-Verdict"] is not None
    assert len(message.get_payload()) > len(body)


def test_a_message_without_a_header_and_an_empty_one(server):
    for data in (b"\nno header at all\n", b"Subject: nothing else\n"):
        assert newest(server, "cy", data)["X-Mtspam-Id"]


@pytest.mark.parametrize(
    ("action", "code"), [("reject", "550 5.7.1 "), ("tempfail", "451 4.7.1 ")]
)
def test_spam_is_refused_where_the_limits_say_so(tmp_path, action, code):
    with filtered(tmp_path, actions={action: 0.8}) as server:
        status, said = server.swaks(data=SPAM)
        assert status != 0
        assert f"<** {code}" in said
        assert "its id is" in said
        assert newest(server, "ana", HAM)["X-Mtspam-Verdict"] == "ham"
        assert len(server.mailbox("ana")) == 1


def test_spam_goes_into_the_hold_queue(tmp_path):
    with filtered(tmp_path, actions={"quarantine": 0.8}) as server:
        (held,) = QUEUE_ID.findall(sent(server, SPAM))
        newest(server, "ana", HAM)
        assert server.queued() == {"hold": [held]}
        content = server.run("postcat", "-q", held)
        assert "X-Spam-Flag: YES" in content
        assert "milter-hold" in server.log
        server.run("postsuper", "-H", held)
        server.run("postqueue", "-f")
        assert len(server.delivered("ana", 2)) == 2


def test_spam_is_dropped_without_a_word(tmp_path):
    with filtered(tmp_path, actions={"discard": 0.8}) as server:
        sent(server, SPAM)
        newest(server, "ana", HAM)
        wait_until(lambda: "milter-discard" in server.log, "the log to tell of it")
        assert len(server.mailbox("ana")) == 1
        assert server.queued() == {}


def test_the_subject_is_rewritten(tmp_path):
    with filtered(tmp_path, actions={"rewrite_subject": 0.8}) as server:
        assert newest(server, "ana", SPAM)["Subject"] == "[SPAM] lunch"
        assert newest(server, "ana", HAM)["Subject"] == "lunch"
        bare = newest(server, "ana", SPAM.replace(b"Subject: lunch\n", b""))
        assert bare["Subject"].strip() == "[SPAM]"


@pytest.mark.parametrize(
    ("on_failure", "code"), [("tempfail", "451 4.7.1 "), ("reject", "550 5.7.1 "), ("accept", "")]
)
def test_a_service_that_cannot_rule(tmp_path, on_failure, code):
    how = {"on_failure": on_failure, "wait_seconds": 0.0}
    with filtered(tmp_path, milter=how, wrap=failing(UnavailableError("gone"))) as server:
        if code:
            status, said = server.swaks(data=SPAM)
            assert status != 0
            assert f"<** {code}" in said
        else:
            message = newest(server, "ana", FORGED + SPAM)
            assert not [name for name in message if name.lower().startswith("x-spam")]


def test_a_service_that_is_back_in_time(tmp_path):
    with filtered(
        tmp_path,
        milter={"progress_seconds": 0.1},
        wrap=lambda service: Failing(service, BusyError("full"), 4),
    ) as server:
        assert newest(server, "ana", SPAM)["X-Mtspam-Verdict"] == "spam"


@pytest.mark.parametrize(("default_action", "is_taken"), [("tempfail", False), ("accept", True)])
def test_while_nobody_listens_postfix_does_what_the_snippet_says(default_action, is_taken):
    with postfix(snippet(free_port(), default_action=default_action)) as server:
        status, said = server.swaks(data=SPAM)
        if is_taken:
            assert status == 0, said
            assert parsed(server.delivered("ana")[0])["X-Mtspam-Verdict"] is None
        else:
            assert "451 4.7.1 Service unavailable" in said


def test_a_service_that_goes_away_between_two_messages_and_comes_back(tmp_path):
    with filtered(tmp_path) as server:
        newest(server, "ana", HAM)
        server.face.close(0).result(SECONDS)
        status, said = server.swaks(data=SPAM)
        assert status != 0
        assert "451 4.7.1" in said


def test_the_service_as_an_admin_runs_it_learns_at_once(tmp_path):
    data = b"From: news@shop.example\nSubject: offers\n\nThe offers of this week\n"
    with serving(tmp_path) as service, postfix(snippet(service.ports["milter"])) as server:
        first = newest(server, "ana", data)
        assert first["X-Mtspam-Verdict"] != "spam"
        for word in ("spam", "ham"):
            for _ in range(3):
                service.mtspam(
                    *("ask", "learn", word, "--user", "ana@example.com"),
                    *("--id", newest(server, "ana", data)["X-Mtspam-Id"]),
                )
            told = newest(server, "ana", data)
            assert told["X-Mtspam-Verdict"] == word
            assert re.search(r"\byou [+-]", told["X-Mtspam-Why"])
            # What ana thinks is not bo's business.
            assert not re.search(r"\byou [+-]", newest(server, "bo", data)["X-Mtspam-Why"])
