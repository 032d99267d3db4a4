"""The spamd face under its real clients: spamc of SpamAssassin, and aiospamc."""

import asyncio
import subprocess

import aiospamc
import pytest
from aiospamc.header_values import ActionOption, MessageClassOption
from aiospamc.responses import ProtocolException, UnavailableException

from tests.hosts.packages import needed_tool
from tests.hosts.processes import free_port
from tests.serve.local_service import SECONDS, settings_with
from tests.serve.spamd.conftest import LUNCH, PILLS, serving, tell

UNAVAILABLE, TEMPFAIL = 69, 75
REFUSED = 74  # what spamc makes of every error line, real spamd's as well


@pytest.fixture(scope="module")
def spamc():
    """Run the real spamc against a place: its exit code and output."""
    program = needed_tool("spamc")

    def spamc(place, *options, data=PILLS):
        where = ["-U", place] if not isinstance(place, int) else ["-d", "127.0.0.1", "-p", place]
        command = [program, "--connect-retries", "1", "-F", "/dev/null", *where, *options]
        done = subprocess.run(
            [str(part) for part in command],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    return spamc


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A service that has learnt from the administrator what is spam and what is not."""
    settings = settings_with(spamd={"tell_for_everyone": True})
    with serving(tmp_path_factory.mktemp("spamc"), settings) as running:
        for _ in range(3):
            running.ask(tell(PILLS, "spam"))
            running.ask(tell(LUNCH, "ham"))
        yield running


@pytest.fixture(params=["tcp", "unix"])
def place(request, running):
    return running.port if request.param == "tcp" else running.path


def test_check_prints_points_and_exits_by_the_verdict(spamc, place):
    status, output = spamc(place, "-c")
    points, required = map(float, output.split(b"/"))
    assert status == 1
    assert points >= required
    status, output = spamc(place, "-c", data=LUNCH)
    points, required = map(float, output.split(b"/"))
    assert status == 0
    assert points < required


def test_the_message_comes_back_rewritten(spamc, place):
    for message, status, flag in ((PILLS, 1, True), (LUNCH, 0, False)):
        for options in ((), ("-u", "ana"), ("-u", "ana@example.org")):
            assert spamc(place, "-E", *options, data=message)[0] == status
            done, output = spamc(place, *options, data=message)
            assert done == 0
            assert output.endswith(message)
            assert (b"X-Spam-Flag: YES\r\n" in output) is flag
            assert output.startswith(b"X-Spam-Checker-Version: mtspam ")


def test_headers_alone_come_back_and_spamc_adds_the_body(spamc, place):
    status, output = spamc(place, "--headers", "-x")
    assert status == 0
    assert output.startswith(b"X-Spam-Checker-Version: mtspam ")
    assert output.endswith(PILLS)
    assert output.count(b"Buy cheap pills") == 1


def test_a_message_with_bare_line_feeds_keeps_them(spamc, place):
    plain = PILLS.replace(b"\r\n", b"\n")
    for options in ((), ("--headers",)):
        _, output = spamc(place, *options, data=plain)
        assert output.endswith(plain)
        assert b"\r" not in output


def test_reports(spamc, place):
    for option in ("-R", "-r"):
        status, output = spamc(place, option)
        assert status == 0
        assert b"mtspam: spam, " in output
        assert b"MTSPAM_EVERYONE: " in output
        # spamc knows True for spam but not the Yes that comes with -r; so it does with spamd.
        assert spamc(place, option, "-E")[0] == (1 if option == "-R" else 0)
    output = spamc(place, "-R", data=LUNCH)[1]
    assert output.splitlines()[0].endswith(b"/5.0")
    assert b"mtspam: not spam, " in output
    assert b"mtspam" not in spamc(place, "-r", data=LUNCH)[1]


def test_names_of_the_tests_hit(spamc, place):
    status, output = spamc(place, "-y", "-E")
    assert status == 1
    assert output.strip().split(b",")[0] == b"MTSPAM_EVERYONE"


def test_learning_and_forgetting(spamc, place):
    user = f"user{'t' if isinstance(place, int) else 'u'}@example.org"
    note = b"Subject: note\r\n\r\nbirch and cedar\r\n"
    said = [
        ("spam", b"Message successfully un/learned"),
        ("spam", b"Message was already un/learned"),
        ("ham", b"Message successfully un/learned"),
        ("forget", b"Message successfully un/learned"),
        ("forget", b"Message was already un/learned"),
    ]
    for what, expected in said:
        status, output = spamc(place, "-u", user, "-L", what, data=note)
        assert (status, output.strip()) == (0, expected)


def test_reporting_and_revoking(spamc, place):
    user = f"sam{'t' if isinstance(place, int) else 'u'}@example.org"
    note = b"Subject: note\r\n\r\nelm and fir\r\n"
    for what in ("report", "revoke"):
        status, _ = spamc(place, "-x", "-u", user, "-C", what, data=note)
        assert status == 0


def test_what_a_user_taught_holds_for_them(spamc, running):
    news = b"From: news@example.com\r\nSubject: issue 9\r\n\r\nThis week: birch, cedar\r\n"
    for _ in range(2):
        for user, what in (("ben", "spam"), ("eva", "ham")):
            assert spamc(running.port, "-u", user, "-L", what, data=news)[0] == 0
    points = {
        user: float(spamc(running.path, "-u", user, "-c", data=news)[1].split(b"/")[0])
        for user in ("ben", "eva", "stranger")
    }
    assert points["eva"] < points["stranger"] < points["ben"]


def test_the_service_is_alive(spamc, place):
    status, output = spamc(place, "-K", data=b"")
    assert (status, output) == (0, b"SPAMD/1.5 0\n")


def test_a_message_in_smtps_envelope_comes_back_in_it(spamc, place):
    head = b"HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    status, output = spamc(place, "-B", data=head + PILLS + b".\r\nQUIT\r\n")
    assert status == 0
    assert output.startswith(head + b"X-Spam-Checker-Version: mtspam ")
    assert output.endswith(PILLS + b".\r\nQUIT\r\n")


def test_what_is_longer_than_spamcs_own_limit_never_reaches_us(spamc, place):
    status, output = spamc(place, "-s", "100", data=PILLS * 10)
    assert (status, output) == (0, PILLS * 10)


# Failure modes.


def test_nobody_there(spamc):
    port = free_port()
    assert spamc(port) == (0, PILLS)
    assert spamc(port, "-x")[0] == UNAVAILABLE
    assert spamc(port, "-x", "-X")[0] == TEMPFAIL


def test_a_message_that_is_too_long_for_us_passes_unless_told_otherwise(spamc, tmp_path):
    settings = settings_with(mail={"max_message_bytes": 1_000})
    with serving(tmp_path, settings) as running:
        message = PILLS * 20
        assert spamc(running.port, data=message) == (0, message)
        assert spamc(running.port, "-x", data=message) == (REFUSED, b"")


def test_no_label_is_taken_where_tell_is_off(spamc, tmp_path):
    with serving(tmp_path, settings_with(spamd={"allow_tell": False})) as running:
        status, output = spamc(running.port, "-x", "-L", "spam")
        assert status == REFUSED
        assert b"success" not in output


# aiospamc.


def ask(function, running, message=PILLS, **options):
    options |= {"host": "127.0.0.1", "port": running.port}
    return asyncio.run(function(message, **options))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("user", [None, "ana@example.org"])
def test_aiospamc_reads_every_scan(running, user, compress):
    options = {"user": user, "compress": compress}
    for message, is_spam in ((PILLS, True), (LUNCH, False)):
        for function in (
            aiospamc.check,
            aiospamc.headers,
            aiospamc.process,
            aiospamc.report,
            aiospamc.report_if_spam,
            aiospamc.symbols,
        ):
            reply = ask(function, running, message, **options)
            assert reply.status_code == 0
            assert reply.headers.spam.value is is_spam
            assert (reply.headers.spam.score >= reply.headers.spam.threshold) is is_spam
    assert ask(aiospamc.process, running, LUNCH, **options).body.endswith(LUNCH)
    assert b"MTSPAM_EVERYONE" in ask(aiospamc.symbols, running, **options).body


def test_aiospamc_over_a_unix_socket(running):
    reply = asyncio.run(aiospamc.check(PILLS, socket_path=str(running.path)))
    assert reply.headers.spam.value is True
    assert asyncio.run(aiospamc.ping(socket_path=str(running.path))).message == "PONG"


def test_aiospamc_tells(running):
    note = b"Subject: note\r\n\r\noak and pine\r\n"

    def said(message_class=MessageClassOption.spam, **actions):
        options = {"user": "tim", "message_class": message_class, **actions}
        return ask(aiospamc.tell, running, note, **options).headers

    local = ActionOption(local=True)
    assert said(set_action=local)["DidSet"].action.local
    assert "DidSet" not in said(set_action=local)
    assert said(MessageClassOption.ham, set_action=local)["DidSet"].action.local
    assert said(remove_action=local)["DidRemove"].action.local
    assert "DidRemove" not in said(remove_action=local)
    with pytest.raises(ProtocolException):
        said(set_action=local, remove_action=local)


def test_aiospamc_sees_that_labels_are_not_taken(tmp_path):
    with (
        serving(tmp_path, settings_with(spamd={"allow_tell": False})) as running,
        pytest.raises(UnavailableException),
    ):
        ask(aiospamc.tell, running, message_class=MessageClassOption.spam)
