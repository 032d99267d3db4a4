"""What people say about messages, as events of the journal."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from mtspam.ahead import ahead
from mtspam.journal import LabelEvent
from mtspam.journal.identity import People
from mtspam.spam.hashing import MailHasher
from mtspam.spam.recalling import Recalled
from mtspam.spam.records import LabelledMessage
from mtspam.types import Label, LabelKind

__all__ = ["ANSWERS", "CHUNK", "label_batches", "label_events"]

CHUNK = 256

_Settle = Callable[[bytes, Recalled], tuple[bytes, Recalled]]

ANSWERS: dict[Label, tuple[tuple[LabelKind, int], ...]] = {
    Label.HAM: ((LabelKind.SPAM, 0),),
    Label.SPAM: ((LabelKind.SPAM, 1),),
    Label.PHISHING: ((LabelKind.SPAM, 1), (LabelKind.PHISHING, 1)),
    Label.BULK: ((LabelKind.BULK, 1),),
}
"""Which questions a label answers, and how."""


def label_events(
    messages: Sequence[LabelledMessage],
    hasher: MailHasher,
    people: People,
    settle: _Settle,
) -> tuple[list[LabelEvent], list[str]]:
    """Turn labelled messages into events; a label may answer several questions.

    Parameters
    ----------
    messages
        The messages and what is said about them.
    hasher
        Reads them.
    people
        Knows who says so.
    settle
        Tells which message it is and what is to be learnt of it, given that as it is now.

    Returns
    -------
    tuple
        The events, and the id of each message.
    """
    features, priors = hasher.hash([message.raw for message in messages])
    now = int(time.time())
    events: list[LabelEvent] = []
    ids: list[str] = []
    for message, example, prior in zip(
        messages, hasher.examples(features), priors.tolist(), strict=True
    ):
        digest, learnt = settle(message.raw, Recalled(example, prior))
        user, group = people.keys(message.user, message.group)
        ids.append(digest.hex())
        events += [
            LabelEvent(
                # A label of the future would keep its user's voice from coming back till then.
                time=now if message.time is None else min(message.time, now),
                user=user,
                group=group,
                kind=kind,
                value=value,
                weight=1.0,
                digest=digest,
                source=message.source,
                example=learnt.example,
                prior=learnt.prior,
            )
            for kind, value in ANSWERS[message.label]
        ]
    return events, ids


def label_batches(
    messages: Iterable[LabelledMessage], hasher: MailHasher, people: People, settle: _Settle
) -> Iterator[tuple[list[LabelEvent], list[str]]]:
    """Turn any number of labelled messages into events, `CHUNK` messages at a time.

    Where there are more than one chunk has, a thread reads on meanwhile.

    Yields
    ------
    tuple
        As `label_events` returns.
    """
    source = iter(messages)
    chunks = iter(lambda: list(islice(source, CHUNK)), [])
    first = next(chunks, [])
    if not first:
        return
    made = (label_events(one, hasher, people, settle) for one in chain([first], chunks))
    # To start a thread takes longer than to learn one message.
    yield from ahead(made) if len(first) == CHUNK else made
