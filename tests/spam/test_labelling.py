import time
from threading import current_thread

import pytest

from mtspam.errors import DataError
from mtspam.journal.identity import Identity, People
from mtspam.spam import LabelledMessage
from mtspam.spam.hashing import MailHasher, load_starter
from mtspam.spam.keys import group_key, message_digest, user_key
from mtspam.spam.labelling import CHUNK, label_batches, label_events
from mtspam.spam.recalling import settled
from mtspam.types import Label, LabelKind
from tests.spam.conftest import LUNCH, MONDAY, PILLS, SECRET, mail, said


@pytest.fixture
def events_of(small):
    hasher = MailHasher(small, SECRET, load_starter())
    people = People(Identity(small.identity), SECRET)

    def settle(raw, said):
        return settled(raw, said, lambda _: None, SECRET)

    return lambda messages: label_events(messages, hasher, people, settle)


@pytest.mark.parametrize(
    ("label", "answers"),
    [
        (Label.HAM, [(LabelKind.SPAM, 0)]),
        (Label.SPAM, [(LabelKind.SPAM, 1)]),
        (Label.PHISHING, [(LabelKind.SPAM, 1), (LabelKind.PHISHING, 1)]),
        (Label.BULK, [(LabelKind.BULK, 1)]),
    ],
)
def test_what_a_label_answers(events_of, label, answers):
    events, ids = events_of([said(mail(PILLS, 1), label)])
    assert [(event.kind, event.value) for event in events] == answers
    assert ids == [message_digest(mail(PILLS, 1), SECRET).hex()]


def test_columns(events_of):
    messages = [
        said(mail(PILLS, 1), Label.SPAM, "ana", "org"),
        LabelledMessage(mail(LUNCH, 1), Label.HAM, source="imap"),
    ]
    first, second = events_of(messages)[0]
    assert (first.user, first.group) == (user_key("ana", SECRET), group_key("org", SECRET))
    assert (second.user, second.group, second.source) == (b"", b"", "imap")
    assert (first.time, first.weight, second.weight) == (MONDAY, 1.0, 1.0)
    assert first.digest != second.digest
    # The starter knows pills from lunch, and its word goes into the journal.
    assert first.prior != second.prior
    for event in (first, second):
        for view in event.example.views:
            assert (view[1:] > view[:-1]).all()


def test_an_example_does_not_depend_on_its_neighbours(events_of):
    messages = [said(mail(t, n), Label.SPAM) for n in range(3) for t in (PILLS, LUNCH)]
    together, _ = events_of(messages)
    for message, event in zip(messages, together, strict=True):
        ((alone,), _) = events_of([message])
        assert alone.prior == event.prior
        for one, other in zip(alone.example.views, event.example.views, strict=True):
            assert (one == other).all()


@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_batches_have_each_message_once_in_its_order(small, n):
    hasher = MailHasher(small, SECRET, None)
    people = People(Identity(small.identity), SECRET)
    readers = []

    def messages():
        for number in range(n):
            readers.append(current_thread().name)
            yield said(mail(PILLS, number), Label.SPAM)

    made = label_batches(messages(), hasher, people, lambda raw, said: (raw[-16:], said))
    sizes = [(len(events), len(ids)) for events, ids in made]
    assert [size for size, _ in sizes] == [min(CHUNK, n - at) for at in range(0, n, CHUNK)]
    assert all(size == n_ids for size, n_ids in sizes)
    # A few are read where they are asked for.
    assert set(readers[:CHUNK]) <= {current_thread().name}


def test_no_label_is_of_the_future(events_of):
    before = int(time.time())
    times = (None, before + 10**6, -5)
    messages = [LabelledMessage(mail(PILLS, 1), Label.SPAM, time=t) for t in times]
    now, future, past = (event.time for event in events_of(messages)[0])
    assert before <= now == future <= time.time()
    assert past == -5


def test_nothing_and_odd_mail(events_of):
    assert events_of([]) == ([], [])
    events, _ = events_of([LabelledMessage(raw, Label.SPAM) for raw in (b"", b"\0" * 99, b"\n")])
    assert len(events) == 3


def test_a_source_that_cannot_be_written_down(events_of):
    with pytest.raises(DataError, match="source"):
        events_of([LabelledMessage(b"a", Label.HAM, source="two\nlines")])
