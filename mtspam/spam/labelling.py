"""What people say about messages, as events of the journal."""

import time
from collections.abc import Sequence

from mtspam.journal import LabelEvent
from mtspam.spam.hashing import MailHasher
from mtspam.spam.keys import group_key, message_digest, user_key
from mtspam.spam.records import LabelledMessage
from mtspam.types import Label, LabelKind

__all__ = ["ANSWERS", "label_events"]

ANSWERS: dict[Label, tuple[tuple[LabelKind, int], ...]] = {
    Label.HAM: ((LabelKind.SPAM, 0),),
    Label.SPAM: ((LabelKind.SPAM, 1),),
    Label.PHISHING: ((LabelKind.SPAM, 1), (LabelKind.PHISHING, 1)),
    Label.BULK: ((LabelKind.BULK, 1),),
}
"""Which questions a label answers, and how."""


def label_events(
    messages: Sequence[LabelledMessage], hasher: MailHasher, secret: bytes
) -> tuple[list[LabelEvent], list[str]]:
    """Turn labelled messages into events; a label may answer several questions.

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
        digest = message_digest(message.raw, secret)
        ids.append(digest.hex())
        events += [
            LabelEvent(
                # A label of the future would keep its user's voice from coming back till then.
                time=now if message.time is None else min(message.time, now),
                user=user_key(message.user, secret),
                group=group_key(message.group, secret),
                kind=kind,
                value=value,
                weight=1.0,
                digest=digest,
                source=message.source,
                example=example,
                prior=prior,
            )
            for kind, value in ANSWERS[message.label]
        ]
    return events, ids
