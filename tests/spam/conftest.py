"""A small filter over a state of its own, made-up mail, and states compared bit by bit."""

import dataclasses
from contextlib import suppress

import numpy as np
import pytest

from mtspam.config import ModelSettings, Settings
from mtspam.journal import Journal
from mtspam.snapshot import read_snapshot
from mtspam.spam import LabelledMessage, SpamFilter
from mtspam.types import Label

SECRET = bytes(range(32))
DAY = 86_400
MONDAY = 1_736_150_400
SMALL = ModelSettings(
    shared_bits=12,
    personal_bits=12,
    group_bits=10,
    auxiliary_bits=10,
    max_users=256,
    max_groups=8,
    replay_messages=24,
)
PILLS = "Subject: cheap pills {n}\nFrom: deals{n}@pills.invalid\n\nBuy {word} pills, order {n}\n"
LUNCH = "Subject: lunch {n}\nFrom: ana@example.org\n\nSee you at noon, {word}, table {n}\n"
NEWS = "Subject: issue {n}\nFrom: news@example.com\nList-Id: <news.example.com>\n\nNew: {word}\n"
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet")


def mail(template, n):
    return template.format(n=n, word=WORDS[n % len(WORDS)]).encode()


def said(raw, label, user=None, group=None, day=0):
    return LabelledMessage(raw, label, user, group, MONDAY + day * DAY)


def fill(disk):
    """Leave no room on a disk; the file that takes it is returned."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def contents(state):
    """The arrays of a closed state, and what its snapshot says of them."""
    found = read_snapshot(state / "model.snapshot", verify=True)
    return found.header, {name: array.tobytes() for name, array in found.arrays.items()}


def arrays_of(spam_filter):
    """The arrays of an open filter as they are now."""
    return {n: a.tobytes() for n, a in spam_filter._kept.learner.arrays().items()}


@pytest.fixture
def small():
    return Settings(model=SMALL)


@pytest.fixture
def open_state(tmp_path, small):
    """Open a state by name; all have the same secret, so that they can be compared."""

    def open_state(name="state", settings=small, **options):
        state = tmp_path / name
        if not state.exists() and not options.get("read_only"):
            state.mkdir()
            (state / "secret").write_bytes(SECRET)
        return SpamFilter.open(state, settings, **options)

    return open_state


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def taught(open_state, state):
    """A closed state with twelve labels of each answer."""
    with open_state() as spam_filter:
        spam_filter.learn_many(basics())
    return state


def basics(n=12):
    for i in range(n):
        yield said(mail(PILLS, i), Label.SPAM)
        yield said(mail(LUNCH, i), Label.HAM)


@pytest.fixture
def is_exact(tmp_path, small):
    """Whether a closed state equals the fold of its journal, by a learner of the test's own."""
    from mtspam.fold import fold_journal

    def is_exact(state, settings=small):
        with Journal.open(state / "journal.sqlite", read_only=True) as journal:
            learner = fold_journal(journal, settings.model, 5)
        return contents(state)[1] == {n: a.tobytes() for n, a in learner.arrays().items()}

    return is_exact


def with_model(settings, **changes):
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, **changes))


def some_labels(rng, n, users=(None, "ana", "ben"), groups=(None, "org")):
    """Labels of every kind, with repetitions, changed minds and runs of one answer."""
    for i in range(n):
        template = (PILLS, LUNCH, NEWS)[rng.integers(3)]
        raw = mail(template, int(rng.integers(n // 2)))
        if template is NEWS:
            label = rng.choice([Label.HAM, Label.SPAM, Label.BULK])
        else:
            right = Label.SPAM if template is PILLS else Label.HAM
            label = rng.choice([right, right, right, Label.PHISHING])
        yield said(raw, Label(label), rng.choice(users), rng.choice(groups), i // 20)


@pytest.fixture
def rng():
    return np.random.default_rng(7)
