"""The HTTP face under rspamd's own client."""

import json
import subprocess

import pytest

from tests.hosts.packages import needed_tool
from tests.serve.http.conftest import LUNCH, NEWS, PASSWORD, PILLS, serving
from tests.serve.local_service import SECONDS


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("rspamc")) as running:
        yield running


@pytest.fixture(scope="module")
def rspamc(running):
    """Run the real rspamc against the face: its exit code and output."""
    program = needed_tool("rspamc")

    def rspamc(*arguments, data=PILLS):
        command = [program, "-h", f"127.0.0.1:{running.port}", *arguments]
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=SECONDS, check=False
        )
        return done.returncode, done.stdout.decode()

    return rspamc


def learn(rspamc, command, data, *options):
    code, said = rspamc("-P", PASSWORD, *options, command, data=data)
    assert code == 0, said
    return said


def scanned(rspamc, data, *options):
    code, said = rspamc("-j", *options, "symbols", data=data)
    assert code == 0, said
    return json.loads(said)


def test_learning_shows_in_scans(rspamc):
    before = scanned(rspamc, PILLS)["score"]
    assert "success = true" in learn(rspamc, "learn_spam", PILLS)
    assert "success = true" in learn(rspamc, "learn_ham", LUNCH)
    after = scanned(rspamc, PILLS)
    assert after["score"] > before
    assert after["action"] == "add header"
    code, said = rspamc("symbols")
    assert code == 0
    assert "Action: add header" in said
    assert "Spam: true" in said
    assert "Symbol: MTSPAM_EVERYONE" in said
    assert "Message-ID: 1@example.org" in said


def test_a_label_said_before_is_refused_aloud(rspamc):
    learn(rspamc, "learn_spam", NEWS, "-d", "kim@example.org")
    _, said = rspamc("-P", PASSWORD, "-d", "kim@example.org", "learn_spam", data=NEWS)
    assert "already learned" in said
    assert "success = true" not in said


@pytest.mark.parametrize("options", [(), ("-P", "wrong")])
def test_without_the_password_nobody_teaches(rspamc, options):
    _, said = rspamc(*options, "learn_spam", data=LUNCH)
    assert "401, Unauthorized" in said
    assert "success = true" not in said


def test_the_user_delivered_to_is_judged_for(rspamc):
    for _ in range(3):
        learn(rspamc, "learn_spam", NEWS, "-d", "ben@example.org")
        learn(rspamc, "learn_ham", NEWS, "-d", "eva@example.org")
    ben, eva = (
        scanned(rspamc, NEWS, "-d", f"{name}@example.org")["score"] for name in ("ben", "eva")
    )
    assert ben > eva
    assert scanned(rspamc, NEWS, "-r", "ben@example.org")["score"] == ben


@pytest.mark.parametrize(
    "options",
    [
        ("-F", "a@example.org", "-r", "b@example.com", "-i", "192.0.2.1"),
        ("-u", "ana", "--helo", "mx.example.net", "--hostname", "mx.example.net"),
        ("-p",),
        ("-z",),
        ("-n", "3"),
        ("--header", "Settings={}"),
        ("--header", "Settings=no json"),
        ("--extended-urls",),
    ],
)
def test_options_do_no_harm(rspamc, options):
    plain, optional = scanned(rspamc, PILLS), scanned(rspamc, PILLS, *options)
    assert optional["score"] == plain["score"]
    assert optional["symbols"] == plain["symbols"]


def test_several_files_are_scanned_at_once(rspamc, tmp_path):
    for name, data in (("a", PILLS), ("b", LUNCH), ("c", NEWS)):
        (tmp_path / name).write_bytes(data)
    code, said = rspamc("symbols", str(tmp_path))
    assert code == 0
    assert said.count("Results for file") == 3
    assert said.count("Symbol: MTSPAM_") >= 3


def test_a_message_is_written_with_its_new_fields(rspamc):
    code, said = rspamc("-m", "symbols")
    assert code == 0
    assert "X-Spam-Action: add header" in said
    assert "MTSPAM_EVERYONE" in said
    assert "Buy cheap pills now" in said


def test_figures_are_told(rspamc):
    code, said = rspamc("stat")
    assert code == 0
    assert "Messages scanned: " in said
    assert int(said.split("Messages scanned: ")[1].split()[0]) > 0
    code, said = rspamc("-P", PASSWORD, "uptime")
    assert code == 0
    assert "Uptime" in said
