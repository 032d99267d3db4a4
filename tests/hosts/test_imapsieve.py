"""What users do with their mail over IMAP teaches the service, by the files of plugins/dovecot."""

import os
import re
import subprocess
import time

import pytest

from tests.hosts.dovecot import OWNER, PLUGIN
from tests.hosts.mailchain import chain, letter

SPAM, HAM = (True, "imapsieve"), (False, "imapsieve")
USERS = ("ana", "bob", "carl", "dora", "eva", "finn", "gus", "hana", "ida", "jan")


@pytest.fixture(scope="module")
def running_chain(tmp_path_factory):
    # Whatever was learnt before, mail arrives in INBOX: nothing is ever marked.
    folder, never = tmp_path_factory.mktemp("imapsieve"), {"add_header": 2.0}
    with chain(folder, users=USERS, actions=never) as running:
        yield running


class Reader:
    """A user with one message in INBOX, and what they do with it."""

    def __init__(self, chain, imap, user):
        self.chain, self.imap, self.user = chain, imap, user

    def ask(self, *command):
        status, data = self.imap.uid(*command)
        assert status == "OK", (data, self.chain.tell())
        return data

    def act(self, verb, source, target):
        """Move or copy all of one mailbox into another."""
        status, _ = self.imap.select(source)
        assert status == "OK"
        self.ask(verb, "1:*", target)
        return self.labels

    def flag(self, mailbox, change, flags):
        """Change the flags of all messages in a mailbox."""
        assert self.imap.select(mailbox)[0] == "OK"
        self.ask("STORE", "1:*", change, flags)
        return self.labels

    @property
    def labels(self):
        return self.chain.labels(self.user)


@pytest.fixture
def reader(running_chain, request):
    """A user of their own for each test, who has got a letter."""
    user = next(free)
    number = USERS.index(user)
    running_chain.send(letter(number), user)
    running_chain.arrived(user, "INBOX", f"letter{number}@people.example")
    with running_chain.dovecot.imap(user) as imap:
        yield Reader(running_chain, imap, user)


free = iter(USERS)


def test_into_junk_is_spam_and_back_is_ham_and_each_is_said_once(reader):
    assert reader.act("COPY", "INBOX", "Junk") == [SPAM]
    assert reader.act("COPY", "INBOX", "Junk") == [SPAM]
    assert reader.act("MOVE", "Junk", "INBOX") == [HAM]
    assert reader.act("MOVE", "INBOX", "Junk") == [SPAM]
    assert reader.act("MOVE", "Junk", "Archive") == [HAM]


@pytest.mark.parametrize("target", ["Trash", "Papierkorb", "Drafts"])
def test_emptying_junk_is_no_praise(reader, target):
    assert reader.act("MOVE", "INBOX", "Junk") == [SPAM]
    assert reader.act("MOVE", "Junk", target) == [SPAM]


def test_what_is_moved_elsewhere_teaches_nothing(reader):
    assert reader.act("MOVE", "INBOX", "Archive") == []
    assert reader.act("MOVE", "Archive", "Trash") == []
    assert reader.act("MOVE", "Trash", "Drafts") == []
    assert reader.act("MOVE", "Drafts", "Junk") == []


def test_what_is_appended_teaches_nothing(reader):
    status, _ = reader.imap.append("Junk", None, None, letter(50))
    assert status == "OK"
    assert reader.labels == []


def test_a_flag_is_a_word_too(reader):
    assert reader.flag("INBOX", "+FLAGS", r"(\Seen Junk)") == []
    assert reader.flag("INBOX", "+FLAGS", "($Junk)") == [SPAM]
    assert reader.flag("INBOX", "+FLAGS", "($NotJunk)") == [SPAM]  # both: nobody knows
    assert reader.flag("INBOX", "-FLAGS", "($Junk $NotJunk)") == [SPAM]
    assert reader.flag("INBOX", "+FLAGS", "($NotJunk)") == [HAM]
    reader.act("MOVE", "INBOX", "Drafts")
    assert reader.flag("Drafts", "FLAGS", "($Junk)") == [HAM]


def test_the_login_name_is_the_recipient(reader):
    """Somebody who logs in by another form of the name is the same user."""
    shout = f"{reader.user}+lists@EXAMPLE.com"
    with reader.chain.dovecot.imap(reader.user) as imap:
        imap.select("INBOX")
        status, _ = imap.uid("MOVE", "1:*", "Junk")
        assert status == "OK"
    raw = reader.chain.dovecot.mail(reader.user, "Junk")[0]
    reply = reader.chain.client.learn(raw, "spam", user=shout, source="test")
    assert reply["outcome"] == "same"
    # The message was scored on delivery and is learnt by that very number.
    assert reply["id"] == re.search(rb"X-Mtspam-Id: (\w+)", raw)[1].decode()


def run_learn(plugin, *arguments, data=b"", **environment):
    """Run mtspam-learn as Dovecot does; return its exit status, what it says, and seconds."""
    begun = time.monotonic()
    done = subprocess.run(
        [plugin / "mtspam-learn", *arguments],
        input=data,
        capture_output=True,
        timeout=120,
        check=False,
        user=OWNER,
        group=OWNER,
        env=environment,
    )
    return done.returncode, done.stderr.decode(), time.monotonic() - begun


def spooled(spool, kind="new"):
    return sorted(path.name for path in spool.glob(f"{kind}.*"))


class TestServiceAway:
    """`mtspam-learn` where nobody answers, and later."""

    @pytest.fixture
    def away(self, running_chain):
        """The program, with a socket that is not there until it is put right."""
        mailboxes = running_chain.dovecot
        settings = mailboxes.plugin / "mtspam-learn.conf"
        right = settings.read_text()
        settings.write_text(right.replace("control", "nowhere"))

        def put_right():
            settings.write_text(right)

        yield mailboxes, put_right
        put_right()

    def test_labels_are_kept_and_handed_over_in_their_order(self, running_chain, away):
        mailboxes, put_right = away
        user = "late@example.com"
        for label in ("spam", "ham"):
            status, said, _ = run_learn(mailboxes.plugin, label, user, data=letter(60))
            assert (status, "kept" in said) == (0, True)
        assert len(spooled(mailboxes.spool)) == 2
        assert mailboxes.spool.stat().st_mode & 0o077 == 0
        put_right()
        assert run_learn(mailboxes.plugin, "spam", user, data=letter(61))[0] == 0
        assert spooled(mailboxes.spool) == []
        assert sorted(running_chain.labels("late")) == [HAM, SPAM]

    def test_a_move_over_imap_goes_through_and_is_learnt_later(self, reader, away):
        mailboxes, put_right = away
        assert reader.act("MOVE", "INBOX", "Junk") == []
        assert len(reader.chain.dovecot.mail(reader.user, "Junk")) == 1
        put_right()
        assert run_learn(mailboxes.plugin, "--flush")[0] == 0
        assert reader.labels == [SPAM]

    def test_without_a_place_to_keep_it_the_failure_shows(self, away, tmp_path):
        mailboxes, _ = away
        moved = mailboxes.spool.rename(mailboxes.spool.with_name("gone"))
        try:
            status, said, _ = run_learn(mailboxes.plugin, "spam", "a@example.com", data=b"a: b")
        finally:
            moved.rename(mailboxes.spool)
        assert status == 75
        assert "Permission denied" in said

    def test_without_room_nothing_is_left_of_it(self, away):
        mailboxes, _ = away
        program = mailboxes.plugin / "mtspam-learn"
        # A limit on the size of files: what is written fails half way, as where a disk is full.
        done = subprocess.run(
            ["/bin/sh", "-c", 'ulimit -f 8; exec "$0" spam ana@example.com', program],
            input=b"a: b\n\n" + bytes(1_000_000),
            capture_output=True,
            timeout=60,
            check=False,
            user=OWNER,
            group=OWNER,
            env={},
        )
        assert (done.returncode, b"too large" in done.stderr) == (75, True)
        assert [spooled(mailboxes.spool, kind) for kind in ("tmp", "new")] == [[], []]


class TestProgram:
    def test_each_may_have_a_spool_of_their_own(self, running_chain):
        home = running_chain.dovecot.folder / "home"
        settings = running_chain.dovecot.plugin / "mtspam-learn.conf"
        before = settings.read_text()
        settings.write_text("socket = /nowhere\nspool = ~/waiting\n")
        try:
            status, _, _ = run_learn(
                running_chain.dovecot.plugin, "spam", "a@b", data=b"a: b\n\nc", HOME=str(home)
            )
        finally:
            settings.write_text(before)
        assert status == 0
        assert len(spooled(home / "waiting")) == 1

    def test_what_the_service_refuses_is_put_aside(self, running_chain):
        mailboxes = running_chain.dovecot
        status, said, _ = run_learn(mailboxes.plugin, "spam", "x" * 5000, data=letter(62))
        assert (status, "400" in said) == (75, True)
        name = mailboxes.spool / "new.0"
        name.write_bytes(b"spam " + b"x" * 5000 + b"\nSubject: a\n\nb")
        os.chown(name, OWNER, OWNER)
        assert run_learn(mailboxes.plugin, "--flush")[0] == 0
        assert spooled(mailboxes.spool) == []
        assert spooled(mailboxes.spool, "refused") == ["refused.0"]

    @pytest.mark.parametrize("damage", [b"\xff\nSubject: a\n\nb", b"spam %zz\nSubject: a\n\nb"])
    def test_a_damaged_label_holds_up_no_other(self, running_chain, damage):
        mailboxes = running_chain.dovecot
        name = mailboxes.spool / "new.1"
        name.write_bytes(damage)
        os.chown(name, OWNER, OWNER)
        status, said, _ = run_learn(
            mailboxes.plugin, "spam", "behind@example.com", data=letter(64)
        )
        assert (status, "refused" in said) == (0, True)
        assert spooled(mailboxes.spool) == []
        assert running_chain.labels("behind") == [SPAM]
        (mailboxes.spool / "refused.1").unlink()

    @pytest.mark.parametrize("arguments", [(), ("spam",), ("eggs", "ana"), ("spam", "")])
    def test_how_it_is_called(self, running_chain, arguments):
        status, said, _ = run_learn(running_chain.dovecot.plugin, *arguments)
        assert (status, "usage" in said) == (64, True)

    def test_names_of_any_kind_reach_the_service(self, running_chain):
        name = "j\u00f6rg&user=ana@example.com"
        assert run_learn(running_chain.dovecot.plugin, "spam", name, data=letter(63))[0] == 0
        assert running_chain.labels("ana") == running_chain.labels("ana")
        assert running_chain.labels(name.removesuffix("@example.com")) == [SPAM]

    def test_a_message_too_large_is_let_go(self, running_chain):
        data = b"Subject: a\r\n\r\n" + b"x" * 50_000_000
        status, said, _ = run_learn(
            running_chain.dovecot.plugin, "spam", "large@example.com", data=data
        )
        assert (status, "larger" in said) == (0, True)
        assert running_chain.labels("large") == []


def test_every_file_that_the_configuration_names_is_there():
    text = (PLUGIN / "90-mtspam.conf").read_text()
    named = re.findall(r"/usr/local/lib/mtspam/dovecot/(\S+\.sieve)", text)
    assert sorted(named) == sorted(path.name for path in PLUGIN.glob("*.sieve"))
    assert os.access(PLUGIN / "mtspam-learn", os.X_OK)
