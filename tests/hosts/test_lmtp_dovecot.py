"""Postfix hands over to our LMTP proxy, which hands on to Dovecot: for each their verdict."""

import math
from pathlib import Path

import pytest

from mtspam.config import Settings
from tests.hosts.mailchain import chain, letter, newsletter
from tests.hosts.processes import kill_and_wait, wait_until

N_LABELS = 8


@pytest.fixture(scope="module")
def running_chain(tmp_path_factory):
    with chain(tmp_path_factory.mktemp("lmtp")) as running:
        yield running


def disagree(chain, hater, lover, name):
    """Let one of two users call a newsletter spam and the other call it ham."""
    for number in range(N_LABELS):
        raw = newsletter(number, name)
        chain.learn(raw, "spam", hater)
        chain.learn(raw, "ham", lover)


def log_odds(judged):
    return math.log(judged["probability"] / (1 - judged["probability"]))


def workers_of(pid):
    """Return the processes that serve."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/comm").read_text() for child in children}
    return [child for child, name in names.items() if "worker" in name]


def fields_of(raw):
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()
    return dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)


def test_two_recipients_of_one_newsletter_get_what_each_of_them_wants(running_chain):
    chain = running_chain
    disagree(chain, "ana", "bob", "shop")
    chain.send(newsletter(100, "shop"), "ana", "bob")

    (hers,) = chain.arrived("ana", "Junk", "100@shop.example")
    (his,) = chain.arrived("bob", "INBOX", "100@shop.example")
    assert not chain.copies("ana", "INBOX", "100@shop.example")
    assert not chain.copies("bob", "Junk", "100@shop.example")
    ours, theirs = fields_of(hers), fields_of(his)
    assert ours["X-Spam-Flag"] == "YES"
    assert "X-Spam-Flag" not in theirs
    assert ours["X-Mtspam-Verdict"] == "spam"
    assert theirs["X-Mtspam-Verdict"] == "ham"
    # Explained to each: everybody's say is the same for both, their own is not.
    assert ", you +" in ours["X-Mtspam-Why"]
    assert ", you -" in theirs["X-Mtspam-Why"]
    everyone = {one["X-Mtspam-Why"].partition(",")[0] for one in (ours, theirs)}
    assert len(everyone) == 1
    # Nothing about one shows to the other.
    assert b"bob" not in hers
    assert theirs["X-Mtspam-Score"].encode() not in hers
    assert b"ana" not in his
    assert ours["X-Mtspam-Score"].encode() not in his


def test_moved_back_over_imap_the_next_one_lands_right(running_chain):
    chain = running_chain
    disagree(chain, "carl", "dora", "tools")
    chain.send(newsletter(100, "tools"), "carl", "dora")
    chain.arrived("carl", "Junk", "100@tools.example")
    watched = (newsletter(300, "tools"), newsletter(300, "else"), letter(1))
    before = [log_odds(chain.judged(raw, "eva")) for raw in watched]
    doras = chain.judged(newsletter(300, "tools"), "dora")

    with chain.dovecot.imap("carl") as imap:
        imap.select("Junk")
        status, _ = imap.uid("MOVE", "1:*", "INBOX")
        assert status == "OK"
    wait_until(
        lambda: chain.judged(newsletter(101, "tools"), "carl")["action"] == "no action",
        "the verdict to follow",
    )
    chain.send(newsletter(101, "tools"), "carl", "dora")
    chain.arrived("carl", "INBOX", "101@tools.example")
    chain.arrived("dora", "INBOX", "101@tools.example")

    model = Settings().model
    bound = model.voice_per_day * (1 + model.young_labels)
    after = [log_odds(chain.judged(raw, "eva")) for raw in watched]
    for old, new in zip(before, after, strict=True):
        assert abs(new - old) <= bound
    # What he said is no harm to who wanted it anyway.
    assert chain.judged(newsletter(300, "tools"), "dora")["verdict"] == doras["verdict"] == "ham"


def test_an_unknown_recipient_is_refused_and_the_other_gets_the_mail(running_chain):
    chain = running_chain
    chain.send(letter(10), "eva", "stranger")
    chain.arrived("eva", "INBOX", "letter10@people.example")
    wait_until(lambda: "User doesn't exist" in chain.postfix.log, "the refusal in Postfix's log")
    refused = [line for line in chain.postfix.log.splitlines() if "to=<stranger@" in line]
    assert "status=bounced" in refused[-1]


def test_a_message_with_forged_verdicts_dots_and_long_lines_arrives_whole(running_chain):
    chain = running_chain
    body = b"".join(
        [b"..two dots\r\n.one dot\r\n", b"x" * 900 + b"\r\n", "\u00e4\u00f6\r\n".encode("latin-1")]
    )
    raw = letter(11).replace(b"Subject:", b"X-Spam-Flag: NO\r\nX-Mtspam-Why: trust me\r\nSubject:")
    chain.send(raw + body, "eva")
    (got,) = chain.arrived("eva", "INBOX", "letter11@people.example")
    assert got.replace(b"\r\n", b"\n").rstrip().endswith(body.replace(b"\r\n", b"\n").rstrip())
    assert b"trust me" not in got
    assert b"X-Spam-Flag" not in got


def test_while_the_mailboxes_are_away_mail_waits_in_postfix(tmp_path):
    with chain(tmp_path, users=("ana", "bob"), started=False) as stopped:
        stopped.send(letter(20), "ana", "bob")
        wait_until(lambda: stopped.postfix.queued().get("deferred"), "the mail to be deferred")
        with stopped.dovecot.running():
            stopped.postfix.run("postqueue", "-f")
            for user in ("ana", "bob"):
                stopped.arrived(user, "INBOX", "letter20@people.example")
            wait_until(lambda: not stopped.postfix.queued(), "the queue to be empty")
            for user in ("ana", "bob"):
                assert len(stopped.copies(user, "INBOX", "letter20@people.example")) == 1


@pytest.mark.parametrize("concurrency", [1, 20])
def test_killed_workers_lose_nothing_and_deliver_nothing_twice(tmp_path, concurrency):
    n_messages, n_kills = 30, 6
    users = ("ana", "bob")
    # Answers are slow, so that most kills hit messages that Dovecot has stored unheard.
    at_once = f"lmtp_destination_concurrency_limit = {concurrency}"
    with chain(tmp_path, users, slow_seconds=0.15, main=at_once) as running:
        for number in range(n_messages):
            running.send(letter(number), *users)
        for _ in range(n_kills):
            for pid in wait_until(
                lambda: workers_of(running.service.process.pid), "a worker to be there"
            ):
                kill_and_wait(pid)
            n_stored = running.dovecot.log.count("stored mail")
            running.postfix.run("postqueue", "-f")
            wait_until(
                lambda before=n_stored: (
                    running.dovecot.log.count("stored mail") > before
                    or not running.postfix.queued()
                ),
                "mail to be stored",
            )
        wait_until(lambda: not running.postfix.queued(), "the queue to be empty", seconds=120)
        # Some were tried again, and were known here: none came to Dovecot a second time.
        assert "status=deferred" in running.postfix.log
        assert "Delivered before" in running.postfix.log
        assert "discard action" not in running.dovecot.log
        for user in users:
            wrong = {
                number: n_copies
                for number in range(n_messages)
                if (
                    n_copies := len(
                        running.copies(user, "INBOX", f"letter{number}@people.example")
                    )
                )
                != 1
            }
            assert wrong == {}
