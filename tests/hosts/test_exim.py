"""The files of plugins/exim, loaded into a real Exim that gets real mail."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mtspam.serve.contract import BusyError, LearnOutcome
from mtspam.types import Label
from tests.hosts.packages import needed_tool, unpacked
from tests.hosts.processes import free_port, running, wait_until
from tests.serve.http import conftest as http
from tests.serve.spamd import conftest as spamd

PROJECT = Path(__file__).parents[2]
PLUGIN = PROJECT / "plugins" / "exim"
SECONDS = 120
NOBODY = 65_534
USERS = ("ben", "bob", "eva", "kim")
WORDS = ("ash", "birch", "cedar", "elm", "fir", "larch", "oak", "pine")

CONFIGURATION = """
keep_environment = LD_LIBRARY_PATH:LD_PRELOAD:NSS_WRAPPER_PASSWD:NSS_WRAPPER_GROUP:PATH
exim_path = {folder}/exim
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
primary_hostname = mx.example.com
local_interfaces = 127.0.0.1
deliver_drop_privilege = true
tls_advertise_hosts =
{macros}
.include {folder}/{main}
acl_smtp_rcpt = acl_check_rcpt
acl_smtp_data = acl_check_data

begin acl
.include {folder}/{acl}
acl_check_rcpt:
  require {rcpt}
  accept
acl_check_data:
  require {data}
  accept

begin routers
aliases:
  driver = redirect
  local_parts = team
  data = ben@$domain, kim@$domain
{routers}

begin transports
inbox:
  driver = appendfile
  directory = {folder}/mail/$local_part_data
  maildir_format
  {transport}
junk:
  driver = appendfile
  directory = {folder}/mail/$local_part_data/.Junk
  maildir_format
"""
BY_RECIPIENT = """
junk:
  driver = accept
  condition = MTSPAM_IS_SPAM
  local_parts = dsearch;{folder}/mail
  headers_add = MTSPAM_HEADERS
  transport = junk
inbox:
  driver = accept
  local_parts = dsearch;{folder}/mail
  headers_add = MTSPAM_HEADERS
  transport = inbox
"""
PLAIN = """
inbox:
  driver = accept
  domains = example.com
  local_parts = dsearch;{folder}/mail
  transport = inbox
"""


@dataclass
class Exim:
    """A running Exim: its port and the folder of its mailboxes."""

    port: int
    mail: Path
    log: Path

    def send(self, message, *users, prdr=False):
        """Send a message with swaks; what the server said, line by line."""
        recipients = ",".join(f"{user}@example.com" for user in users)
        command = [
            *(needed_tool("swaks"), "--server", f"127.0.0.1:{self.port}", "--helo", "client"),
            *("--from", "sender@example.net", "--to", recipients, "--data", "-"),
            *(["--prdr"] if prdr else []),
        ]
        done = subprocess.run(
            command, input=message, capture_output=True, timeout=SECONDS, check=False
        )
        said = done.stdout.decode("ascii", "replace")
        return re.findall(r"^<(?:-|\*\*) +(?!250[- ]\S+$)(.*)", said, re.MULTILINE)

    def inbox(self, user):
        return self._in(user, "new")

    def junk(self, user):
        return self._in(user, ".Junk/new")

    def _in(self, user, place):
        """The header of the one message that comes to be in a folder."""
        folder = self.mail / user / place
        (path,) = wait_until(
            lambda: folder.exists() and list(folder.iterdir()), f"mail in {folder}", SECONDS
        )
        return path.read_text().partition("\n\n")[0]

    def has_mail(self, user):
        return any(path.is_file() for path in (self.mail / user).rglob("*/new/*"))


@contextmanager
def exim(folder, macros, *, main="main.conf", acl="acl.conf", routers=BY_RECIPIENT, **changes):
    """Run Exim with files of the plugin, as nobody in particular."""
    root = unpacked("exim4-daemon-heavy", "libnss-wrapper")
    # A copy: without the bit that would make root of it, for which there is no user here.
    shutil.copy(root / "usr/sbin/exim4", folder / "exim")
    (folder / "exim").chmod(0o755)
    for file in PLUGIN.glob("*.conf"):
        shutil.copy(file, folder)
    for name in ("spool", "log", "mail", *(f"mail/{user}" for user in USERS)):
        (folder / name).mkdir(exist_ok=True)
    uid, gid = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    (folder / "passwd").write_text(
        f"root:x:0:0::/:/bin/sh\nDebian-exim:x:{uid}:{gid}::/:/bin/sh\n"
    )
    (folder / "group").write_text(f"root:x:0:\nDebian-exim:x:{gid}:\n")
    values = {
        "rcpt": "acl = acl_mtspam_rcpt",
        "data": "acl = acl_mtspam_data",
        "transport": "",
        **changes,
    }
    text = CONFIGURATION.replace("{routers}", routers)
    for name, value in {"macros": macros, "main": main, "acl": acl, **values}.items():
        text = text.replace("{" + name + "}", value)
    (folder / "exim.conf").write_text(text.replace("{folder}", str(folder)))
    (wrapper,) = root.glob("usr/lib/*/libnss_wrapper.so")
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"{wrapper.parent}:{root}/usr/lib",
        "LD_PRELOAD": str(wrapper),
        "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
        "NSS_WRAPPER_GROUP": str(folder / "group"),
    }
    command = [folder / "exim", "-C", folder / "exim.conf", "-bdf", "-oX"]
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, gid)
        # The right to read is for the transport filter: root's Python may be in root's home.
        rights = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        person = ["--reuid", str(uid), "--regid", str(gid), "--clear-groups"]
        command = [needed_tool("setpriv"), *person, *rights, "--", *command]
    port = free_port()
    with running([*command, str(port)], folder / "exim.log", place=port, env=environment):
        yield Exim(port, folder / "mail", folder / "log")
    # Deliveries are processes of their own, which write to the folder until they end.
    wait_until(lambda: not _any_process(folder / "exim"), "the last delivery", SECONDS)


def _any_process(program):
    for link in Path("/proc").glob("[0-9]*/exe"):
        with suppress(OSError):
            if link.readlink() == program:
                return True
    return False


@pytest.fixture
def folder():
    """A folder that a server without any rights can get to, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="mtspam-exim-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def news(number=0):
    word, issue = WORDS[number % len(WORDS)], 100 + number
    return (
        f"From: news@letters.example\r\nSubject: issue {issue}\r\nList-Id: <letters.example>\r\n"
        f"X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99\r\nX-Mtspam-Id: 00\r\n\r\n"
        f"This week in the garden: {word} and birch\r\n"
    ).encode()


NEWS = news()
SPAM_FOR, HAM_FOR = ("ben", "bob", "team"), ("eva", "ida", "lea", "mia", "una")
EVEN = {"add_header": 0.5}  # a few labels of people who disagree make nobody sure


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service whose users are of two minds about a newsletter."""
    settings = spamd.settings_with(actions=EVEN)
    with spamd.serving(tmp_path_factory.mktemp("exim-service"), settings) as it:
        for number in range(24):
            for label, users in (("spam", SPAM_FOR), ("ham", HAM_FOR)):
                for user in users:
                    it.ask(spamd.tell(news(number), label, f"{user}@example.com"))
        yield it


def at(service):
    return f"MTSPAM_SPAMD = 127.0.0.1 {service.port} tmo=20s\n"


def nowhere():
    return f"MTSPAM_SPAMD = 127.0.0.1 {free_port()} tmo=5s\n"


def fields(header, prefix="X-"):
    return [line for line in header.splitlines() if line.startswith(prefix)]


def test_each_recipient_gets_their_own_verdict_and_header(folder, service):
    with exim(folder, at(service)) as host:
        assert host.send(NEWS, "ben", "eva", "kim")[-2].startswith("250 OK")
        ben, eva, kim = host.junk("ben"), host.inbox("eva"), host.inbox("kim")
    assert fields(ben)[0] == "X-Spam-Flag: YES"
    for header in (eva, kim):
        assert "X-Spam-Flag" not in header
        assert "Yes" not in header
        assert "score=99" not in header
        assert not any(user in header for user in USERS)
    scores = [
        float(re.search(r"^X-Spam-Status: (?:Yes|No), score=(-?\d+\.\d)$", header, re.M)[1])
        for header in (eva, kim, ben)
    ]
    assert scores == sorted(scores)
    assert scores[0] < scores[2]


def test_what_was_delivered_can_be_learnt_by_its_id(folder, service):
    with exim(folder, at(service)) as host:
        host.send(NEWS, "kim")
        (line,) = fields(host.inbox("kim"), "X-Mtspam-Id")
    message_id = line.split()[1]
    learning = service.service.learn_id(message_id, Label.HAM, user="zoe", source="test")
    assert service.in_loop(learning).outcome is LearnOutcome.NEW
    # The other tests are to find the service as it was.
    taking_back = service.service.unlearn(message_id, user="zoe", source="test")
    assert service.in_loop(taking_back).outcome is LearnOutcome.REMOVED


def test_recipients_behind_an_alias_get_the_verdict_of_the_alias(folder, service):
    with exim(folder, at(service)) as host:
        host.send(NEWS, "team", "eva")
        assert "X-Spam-Flag: YES" in host.junk("ben")
        assert "X-Spam-Flag: YES" in host.junk("kim")
        assert "X-Spam-Flag" not in host.inbox("eva")


def test_with_prdr_each_recipient_gets_their_own_answer(folder, service):
    with exim(folder, at(service) + "MTSPAM_REJECT = 50\n") as host:
        said = host.send(NEWS, "ben", "eva", "kim", prdr=True)
        assert "353 PRDR content analysis beginning" in said
        at_dot = said[said.index("353 PRDR content analysis beginning") + 1 : -1]
        assert at_dot[0] == "550 5.7.1 Message refused as spam for this recipient"
        assert [line[:3] for line in at_dot] == ["550", "250", "250", "250"]
        assert "X-Spam-Flag" not in host.inbox("eva")
        assert "X-Spam-Flag" not in host.inbox("kim")
        assert not host.has_mail("ben")


def test_with_prdr_and_one_recipient_the_whole_message_is_refused(folder, service):
    with exim(folder, at(service) + "MTSPAM_REJECT = 50\n") as host:
        said = host.send(NEWS, "ben", prdr=True)
        assert said[-2] == "550 5.7.1 Message refused as spam"


def test_without_prdr_a_message_is_refused_only_where_all_agree(folder, service):
    with exim(folder, at(service) + "MTSPAM_REJECT = 50\n") as host:
        assert host.send(NEWS, "ben", "bob")[-2] == "550 5.7.1 Message refused as spam"
        assert not host.has_mail("bob")
        assert host.send(NEWS, "ben", "eva")[-2].startswith("250 OK")
        assert "X-Spam-Flag: YES" in host.junk("ben")
        assert "X-Spam-Flag" not in host.inbox("eva")


def test_second_recipients_may_be_put_off_where_there_is_no_prdr(folder, service):
    with exim(folder, at(service) + "MTSPAM_SINGLY = yes\n") as host:
        said = host.send(NEWS, "ben", "eva", "kim")
        assert said.count("451 4.5.3 One recipient at a time") == 2
        assert "X-Spam-Flag: YES" in host.junk("ben")
        said = host.send(NEWS, "eva", "kim", prdr=True)
        assert "451 4.5.3 One recipient at a time" not in said
        assert host.inbox("eva")
        assert host.inbox("kim")


@pytest.mark.parametrize("user", ["ben/x", "ben/defer_ok", "$ben", "ben'x", "ben|x"])
def test_who_has_a_strange_address_is_judged_as_a_stranger(folder, service, user):
    noted = "acl = acl_mtspam_data\n  warn logwrite = noted: $acl_m_mtspam"
    with exim(folder, at(service) + "MTSPAM_DEFER = yes\n", data=noted) as host:
        assert host.send(NEWS, user)[-2].startswith("250 OK")
        log = (host.log / "mainlog").read_text()
        assert re.search(r"noted: [0-9a-f]{32}=No;\d", log)


# Failure modes.


def test_with_nobody_to_judge_mail_passes_unmarked(folder):
    with exim(folder, nowhere() + "MTSPAM_REJECT = 50\n") as host:
        assert host.send(NEWS, "ben", "eva")[-2].startswith("250 OK")
        assert host.send(NEWS, "kim", prdr=True)[-2].startswith("250 OK")
        for user in ("ben", "eva", "kim"):
            assert fields(host.inbox(user)) == []


def test_with_nobody_to_judge_mail_may_be_put_off(folder):
    with exim(folder, nowhere() + "MTSPAM_DEFER = yes\n") as host:
        said = host.send(NEWS, "ben", "eva")
        assert said[-2] == "451 4.7.1 Message cannot be judged now, try again later"
        assert not host.has_mail("eva")


class Busy:
    """A service with too much to do."""

    def __init__(self, service):
        self._service = service

    def __getattr__(self, name):
        return getattr(self._service, name)

    def rule(self, raw, envelope):
        raise BusyError("full")


@pytest.mark.parametrize(
    ("on_failure", "defer", "answer"),
    [("error", "", "250 OK"), ("error", "MTSPAM_DEFER = yes\n", "451 4.7.1"), ("pass", "", "250")],
)
def test_a_service_with_too_much_to_do(folder, tmp_path, on_failure, defer, answer):
    settings = spamd.settings_with(spamd={"on_failure": on_failure})
    with (
        spamd.serving(tmp_path, settings, Busy) as service,
        exim(folder, at(service) + defer) as host,
    ):
        assert host.send(NEWS, "ben")[-2].startswith(answer)
        if not defer:
            expected = ["X-Spam-Status: No, score=0.0"] if on_failure == "pass" else []
            assert fields(host.inbox("ben")) == expected


# Other ways.


@pytest.fixture(scope="module")
def http_service(tmp_path_factory):
    """The same over HTTP: a newsletter that everybody calls spam, and one user does not."""
    # Exim's transport filter runs with no rights at all, and is to reach the socket.
    with tempfile.TemporaryDirectory(prefix="mtspam-exim-") as name:
        Path(name).chmod(0o755)
        with http.serving(Path(name), http.settings_with(actions=EVEN)) as it:
            it.path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRWXO)
            for number in range(24):
                for target, user in (("/learnspam", "ben"), ("/learnham", "eva")):
                    headers = {"Deliver-To": f"{user}@example.com"}
                    assert it.control(target, news(number), headers).status == 200
            yield it


def test_a_transport_filter_writes_all_of_our_fields(folder, http_service):
    launcher = folder / "mtspam"
    launcher.write_text(
        f"#!/bin/sh\nshift\nunset LD_PRELOAD LD_LIBRARY_PATH\n"
        f'exec {sys.executable} {PROJECT}/cli.py filter --socket {http_service.path} "$@"\n'
    )
    launcher.chmod(0o755)
    with exim(
        folder,
        nowhere() + f"MTSPAM_PROGRAM = {launcher}\n",
        routers=PLAIN,
        data="condition = yes",
        transport="transport_filter = MTSPAM_FILTER",
    ) as host:
        host.send(NEWS, "ben", "eva")
        ben, eva = host.inbox("ben"), host.inbox("eva")
    assert "X-Spam-Flag: YES" in ben
    assert "X-Spam-Flag" not in eva
    for header in (ben, eva):
        names = [line.partition(":")[0] for line in fields(header)]
        assert names.count("X-Spam-Status") == names.count("X-Mtspam-Id") == 1


RSPAMD = {
    "main": "rspamd.conf",
    "acl": "acl-rspamd.conf",
    "routers": PLAIN,
    "rcpt": "condition = yes",
    "data": "acl = acl_mtspam_rspamd",
}


def test_rspamds_protocol_gives_one_verdict_by_the_envelope(folder, http_service):
    macros = f"MTSPAM_RSPAMD = 127.0.0.1 {http_service.port} tmo=20s\n"
    with exim(folder, macros, **RSPAMD) as host:
        host.send(NEWS, "ben")
        host.send(NEWS, "eva")
        assert fields(host.inbox("ben"))[0] == "X-Spam-Flag: YES"
        assert re.fullmatch(r"X-Spam-Status: No, score=-?\d+\.\d", *fields(host.inbox("eva")))


@pytest.mark.parametrize("defer", ["", "MTSPAM_DEFER = yes\n"])
def test_rspamds_protocol_with_nobody_to_judge(folder, defer):
    macros = f"MTSPAM_RSPAMD = 127.0.0.1 {free_port()} tmo=5s\n{defer}"
    with exim(folder, macros, **RSPAMD) as host:
        said = host.send(NEWS, "ben")[-2]
        if defer:
            assert said == "451 4.7.1 Message cannot be judged now, try again later"
        else:
            assert said.startswith("250 OK")
            assert fields(host.inbox("ben")) == []
