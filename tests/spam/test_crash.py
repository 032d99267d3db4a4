"""Killed while learning, and learning on a disk that is full: no label is lost or learnt twice."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtspam.errors import JournalError, SnapshotError
from mtspam.journal import Journal
from mtspam.spam import SpamFilter
from mtspam.types import Label
from tests.spam.conftest import NEWS, PILLS, arrays_of, basics, fill, mail, said, with_model

ROOT = Path(__file__).resolve().parents[2]

# Learns message after message and says after each call how many it has been promised.
CODE = """
import json, sys
from pathlib import Path
from mtspam.config import Settings
from mtspam.spam import LabelledMessage, SpamFilter
from mtspam.types import Label

state, settings, start = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
with SpamFilter.open(Path(state), Settings.from_mapping(settings)) as spam_filter:
    for n in range(start, 100_000, 3):
        spam_filter.learn_many(
            LabelledMessage(f"Subject: {i}\\n\\nText {i}".encode(), label, "ana", time=i)
            for i, label in zip(range(n, n + 3), (Label.SPAM, Label.HAM, Label.SPAM))
        )
        print(n + 3, flush=True)
"""


def test_killed_while_learning(open_state, state, small, is_exact):
    promised = 0
    with open_state():
        pass
    for n_acknowledged in (1, 30):
        command = [
            sys.executable,
            "-c",
            CODE,
            state,
            json.dumps(small.to_mapping()),
            str(promised),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            for _ in range(n_acknowledged):
                promised = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            promised = max([promised, *map(int, process.stdout.read().split())])
        assert process.returncode == -signal.SIGKILL
        with open_state(read_only=True) as reader:
            # A call is there as a whole or not at all.
            n_events = reader.status().n_events
            assert n_events in {promised, promised + 3}
            seen = arrays_of(reader)
        with open_state() as spam_filter:
            assert arrays_of(spam_filter) == seen
            assert spam_filter.status().is_exact
        assert is_exact(state)
        with open_state() as spam_filter:
            assert spam_filter.check().is_equal


@pytest.fixture
def tiny(small):
    """Settings with which a model fits a small disk."""
    return with_model(
        small, shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8, max_users=8
    )


def long_mail(n):
    return b"\n".join([mail(PILLS, n), *(b"%x" % (n * 7919 + i * i) for i in range(900))])


def test_a_full_disk_while_learning(small_disk, tiny):
    state = small_disk / "state"
    with SpamFilter.open(state, tiny) as spam_filter:
        spam_filter.learn_many(basics())
    with SpamFilter.open(state, tiny) as spam_filter:
        spam_filter.learn(mail(NEWS, 1), Label.SPAM, user="ana")
        before, status = arrays_of(spam_filter), spam_filter.status()
        with pytest.raises(JournalError) as error:
            spam_filter.learn_many(said(long_mail(n), Label.SPAM) for n in range(300))
        assert "full" in str(error.value)
        assert "\n" not in str(error.value)
        assert arrays_of(spam_filter) == before
        now = spam_filter.status()
        assert (now.n_events, now.labels, now.is_exact) == (25, status.labels, True)
    with SpamFilter.open(state, tiny) as spam_filter:
        assert spam_filter.check().is_equal
        assert arrays_of(spam_filter) == before
        assert spam_filter.learn(mail(NEWS, 2), Label.SPAM).n_new == 1


def test_a_full_disk_while_closing(small_disk, tiny):
    state = small_disk / "state"
    with SpamFilter.open(state, tiny) as spam_filter:
        spam_filter.learn_many(basics())
    spam_filter = SpamFilter.open(state, tiny)
    spam_filter.learn(mail(NEWS, 1), Label.SPAM)
    learnt = arrays_of(spam_filter)
    filler = fill(small_disk)
    with pytest.raises(SnapshotError) as error:
        spam_filter.close()
    assert "\n" not in str(error.value)
    # Nothing is lost, for readers and for the next writer, who need not wait for the lock.
    with SpamFilter.open(state, tiny, read_only=True) as reader:
        assert arrays_of(reader) == learnt
    filler.unlink()
    with SpamFilter.open(state, tiny) as spam_filter:
        assert arrays_of(spam_filter) == learnt
    with Journal.open(state / "journal.sqlite", read_only=True) as journal:
        assert journal.counts().n_live == 25
    with SpamFilter.open(state, tiny, read_only=True) as reader:
        assert reader.check().is_equal
