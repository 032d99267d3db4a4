"""The files of plugins/procmail in real procmail, maildrop and Dovecot's delivery agent."""

import email
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtspam.serve.client import ServiceClient
from tests.hosts.packages import needed_tool
from tests.serve.local_service import ANA, BOB, LUNCH, PILLS, control_service, settings_with

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "plugins" / "procmail"
SECONDS = 120
TEMPFAIL = 75
# Dovecot delivers nothing as root; in a name space of its own root is called otherwise.
AS_A_USER = (
    ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
)
DELIVERY_AGENT = Path("/usr/lib/dovecot/dovecot-lda")
FORGED = b"X-Spam-Flag: YES\nX-Mtspam-Verdict: spam\n"
PILLS, LUNCH = PILLS.replace(b"\r\n", b"\n"), LUNCH.replace(b"\r\n", b"\n")
FORWARDED = (
    b"From: bob@example.org\nSubject: look at this\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
    + FORGED
    + LUNCH
    + b"\n--b--\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pipes")


@pytest.fixture(scope="module")
def service(folder):
    """A service that has learnt what is spam for ana and for bob."""
    with control_service(folder / "state", settings_with()) as path:
        client = ServiceClient(path)
        for n in range(3):
            client.learn(PILLS + b"%d" % n, "spam", user=ANA)
            client.learn(PILLS + b"b%d" % n, "ham", user=BOB)
            client.learn(LUNCH + b"%d" % n, "ham", user=ANA)
            client.learn(PILLS + b"a%d" % n, "spam", user=ANA)
        yield folder / "state"


@pytest.fixture(scope="module")
def program(folder):
    """The program over that state, as a path without blanks."""
    path = folder / "bin" / "mtspam"
    path.parent.mkdir()
    path.write_text(
        f'#!/bin/sh\nMTSPAM_STATE={folder}/state exec {sys.executable} {ROOT}/cli.py "$@"\n'
    )
    path.chmod(0o755)
    return path


def boxes(home):
    """The messages in the two folders of a home, as they lie there."""
    found = {}
    for name, place in (("INBOX", "Maildir"), ("Junk", "Maildir/.Junk")):
        found[name] = [path.read_bytes() for path in sorted((home / place).glob("[cn]*/*"))]
    return found


@pytest.fixture
def home(tmp_path):
    for folder in ("Maildir", "Maildir/.Junk"):
        for name in ("cur", "new", "tmp"):
            (tmp_path / "home" / folder / name).mkdir(parents=True)
    return tmp_path / "home"


def procmail(home, raw, **said):
    rc = home.parent / "rc"
    lines = [f"HOME={home}", f"DEFAULT={home}/Maildir/", f"LOGFILE={home.parent}/log"]
    lines += [f'{name}="{value}"' for name, value in said.items()]
    rc.write_text("\n".join([*lines, f"INCLUDERC={FILES}/mtspam.procmailrc", ""]))
    command = [needed_tool("procmail"), "-m", rc]
    return subprocess.run(command, input=raw, timeout=SECONDS, check=False).returncode


def maildrop(home, raw, **said):
    rc = home.parent / "mailfilter"
    lines = [f'HOME="{home}"', f'DEFAULT="{home}/Maildir"']
    lines += [f'{name}="{value}"' for name, value in said.items()]
    rc.write_text("\n".join([*lines, f'include "{FILES}/mtspam.mailfilter"', ""]))
    rc.chmod(0o600)
    command = [needed_tool("maildrop"), rc]
    return subprocess.run(command, input=raw, timeout=SECONDS, check=False).returncode


@pytest.fixture(params=[procmail, maildrop], ids=lambda deliver: deliver.__name__)
def deliver(request, home):
    """Deliver a message through one of the hosts: its exit code, and what lies where then."""
    needed_tool(request.param.__name__)

    def deliver(raw, **said):
        return request.param(home, raw, **said), boxes(home)

    return deliver


def test_spam_goes_to_junk_with_its_fields(deliver, service, program):
    code, found = deliver(PILLS, MTSPAM=program, MTSPAM_USER=ANA)
    assert (code, found["INBOX"]) == (0, [])
    (raw,) = found["Junk"]
    assert email.message_from_bytes(raw)["X-Mtspam-Verdict"] == "spam"
    assert PILLS.strip() in raw


def test_ham_goes_to_the_inbox_with_its_fields(deliver, service, program):
    code, found = deliver(FORGED + LUNCH, MTSPAM=program, MTSPAM_USER=ANA)
    assert (code, found["Junk"]) == (0, [])
    (raw,) = found["INBOX"]
    made = email.message_from_bytes(raw)
    assert (made["X-Spam-Flag"], made["X-Mtspam-Verdict"]) == (None, "ham")
    assert LUNCH.strip() in raw


def test_each_user_has_their_own_verdict(deliver, service, program):
    assert deliver(PILLS, MTSPAM=program, MTSPAM_USER=BOB)[1]["Junk"] == []


def test_a_forwarded_verdict_is_none(deliver, service, program):
    assert deliver(FORWARDED, MTSPAM=program, MTSPAM_USER=ANA)[1]["Junk"] == []


def test_junk_can_be_left_to_other_rules(deliver, service, program):
    found = deliver(PILLS, MTSPAM=program, MTSPAM_USER=ANA, MTSPAM_JUNK="none")[1]
    assert found["Junk"] == []
    assert b"X-Spam-Flag: YES" in found["INBOX"][0]


@pytest.mark.parametrize("missing", ["service", "program"])
def test_without_a_verdict_mail_goes_on_as_it_came(deliver, program, tmp_path, missing):
    alone = f"{program} --state {tmp_path}/none" if missing == "service" else "/none/mtspam"
    code, found = deliver(PILLS, MTSPAM=alone, MTSPAM_USER=ANA)
    assert (code, found["Junk"]) == (0, [])
    assert [raw.rstrip() for raw in found["INBOX"]] == [PILLS.rstrip()]


@pytest.mark.parametrize("missing", ["service", "program"])
def test_without_a_verdict_mail_can_wait(deliver, program, tmp_path, missing):
    alone = f"{program} --state {tmp_path}/none" if missing == "service" else "/none/mtspam"
    code, found = deliver(PILLS, MTSPAM=alone, MTSPAM_USER=ANA, MTSPAM_FAIL="tempfail")
    assert code == TEMPFAIL
    assert found == {"INBOX": [], "Junk": []}


def test_a_name_with_a_blank_is_one_name(deliver, program, tmp_path):
    said = tmp_path / "said"
    alone = tmp_path / "mtspam"
    alone.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{said}\nexec cat\n')
    alone.chmod(0o755)
    assert deliver(PILLS, MTSPAM=alone, MTSPAM_USER="ana of sales")[0] == 0
    assert "--user=ana of sales" in said.read_text().splitlines()


def test_a_user_named_like_a_command_runs_none(deliver, service, program, tmp_path):
    name = f"';touch {tmp_path}/made;'"
    assert deliver(LUNCH, MTSPAM=program, MTSPAM_USER=name)[0] == 0
    assert not (tmp_path / "made").exists()


# Sieve's filter, in Dovecot's delivery agent.


@pytest.fixture
def sieve(home, program):
    """Deliver a message by Dovecot, with the Sieve script before all others."""
    if not DELIVERY_AGENT.exists():
        pytest.skip("dovecot-core is not installed; tests/hosts/debian-packages.txt lists it")
    compiler = needed_tool("sievec")
    if AS_A_USER and subprocess.run([*AS_A_USER, "true"], check=False).returncode:
        pytest.skip("root cannot stand for a user here, and Dovecot delivers nothing to root")
    work = home.parent / "sieve"
    (work / "bin").mkdir(parents=True)
    shutil.copy(FILES / "mtspam-filter.sieve", work)
    target = work / "bin" / "mtspam-filter"
    shutil.copy(FILES / "mtspam-filter", target)
    target.chmod(0o755)
    (work / "bin" / "mtspam-filter.conf").write_text(f"MTSPAM={program}\n")
    config = work / "dovecot.conf"
    config.write_text(
        f"""
base_dir = {work}/run
log_path = {work}/log
ssl = no
first_valid_uid = 1
mail_location = maildir:{home}/Maildir
protocol lda {{
  mail_plugins = sieve
}}
namespace inbox {{
  inbox = yes
}}
plugin {{
  sieve_before = {work}/mtspam-filter.sieve
  sieve_plugins = sieve_extprograms
  sieve_global_extensions = +vnd.dovecot.filter
  sieve_filter_bin_dir = {work}/bin
}}
"""
    )
    subprocess.run(
        [compiler, "-c", config, work / "mtspam-filter.sieve"], check=True, timeout=SECONDS
    )
    environment = {"USER": "someone", "HOME": str(home)}

    def deliver(raw, recipient):
        command = [*AS_A_USER, DELIVERY_AGENT, "-c", config, "-f", "x@y.example", "-e"]
        done = subprocess.run(
            [*command, "-a", recipient], input=raw, env=environment, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, (work / "log").read_text()
        return boxes(home)

    return deliver


def test_sieve_files_spam_for_its_recipient(sieve, service):
    (raw,) = sieve(PILLS, ANA)["Junk"]
    assert email.message_from_bytes(raw)["X-Mtspam-Verdict"] == "spam"


def test_sieve_leaves_ham_in_the_inbox(sieve, service):
    found = sieve(FORGED + LUNCH, ANA)
    assert found["Junk"] == []
    assert b"X-Mtspam-Verdict: ham" in found["INBOX"][0]


def test_sieve_asks_for_each_recipient(sieve, service):
    assert sieve(PILLS, BOB)["Junk"] == []
