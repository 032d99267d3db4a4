"""From rulings to what each recipient gets: an answer at once, or a copy with its own fields."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mtspam.serve.contract import Action, Ruling
from mtspam.serve.fields import with_fields, without_forged
from mtspam.serve.lmtp.codec import Reply, with_plain_line_ends

__all__ = ["ACTION_FIELD", "DELIVERY_FIELD", "Copy", "Plan", "make_plan", "plan_without_verdict"]

DELIVERY_FIELD: Final = "X-Mtspam-Delivery"
"""The same whenever the same message comes again, so that a mailbox can tell a second delivery."""

ACTION_FIELD: Final = "X-Mtspam-Action"
"""Tells the mailbox server's rules of a quarantine."""

_ANSWERS = {
    Action.TEMPFAIL: ("451 4.7.1 Try again later", 400),
    Action.REJECT: ("550 5.7.1 Taken for spam", 500),
}
_SUBJECT = re.compile(rb"(?im)^subject[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n")


@dataclass(frozen=True, slots=True)
class Copy:
    """A message as some recipients get it, who are named by their places in the envelope."""

    raw: bytes
    recipients: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a message.

    Parameters
    ----------
    answers
        Of recipients whose mail goes no further, by their place in the envelope.
    copies
        For all others, ordered by their first recipient.
    delivery
        The number under which the message is delivered; empty where it is not.
    """

    answers: dict[int, Reply]
    copies: tuple[Copy, ...]
    delivery: str = ""

    def without(self, answers: dict[int, Reply]) -> "Plan":
        """Return the plan for those who are not answered for already; they get these answers."""
        if not answers:
            return self
        copies = (
            Copy(copy.raw, tuple(place for place in copy.recipients if place not in answers))
            for copy in self.copies
        )
        left = tuple(copy for copy in copies if copy.recipients)
        return Plan({**self.answers, **answers}, left, self.delivery)


def make_plan(raw: bytes, sender: str, rulings: Sequence[Ruling]) -> Plan:
    """Make one copy for each set of fields; who gets the same fields shares a copy.

    Parameters
    ----------
    raw
        The message as it came in.
    sender
        Its envelope sender.
    rulings
        One for each recipient, in their order.
    """
    answers: dict[int, Reply] = {}
    groups: dict[tuple[tuple[tuple[str, str], ...], str | None], list[int]] = {}
    for at, ruling in enumerate(rulings):
        answer = _answer_to(ruling)
        if answer is not None:
            answers[at] = answer
            continue
        fields = ruling.fields
        if ruling.action is Action.QUARANTINE:
            fields = (*fields, (ACTION_FIELD, Action.QUARANTINE.value))
        subject = ruling.subject if ruling.action is Action.REWRITE_SUBJECT else None
        groups.setdefault((fields, subject), []).append(at)
    number = _delivery_id(raw, sender)
    delivery = (DELIVERY_FIELD, number)
    plain = _plain(raw)
    copies = [
        Copy(_with_subject(with_fields(plain, (*fields, delivery)), subject), tuple(places))
        for (fields, subject), places in groups.items()
    ]
    return Plan(answers, tuple(copies), number)


def plan_without_verdict(raw: bytes, sender: str, n_recipients: int) -> Plan:
    """Give every recipient the message without a verdict, and without a forged one."""
    number = _delivery_id(raw, sender)
    copy = with_fields(_plain(raw), [(DELIVERY_FIELD, number)])
    return Plan({}, (Copy(copy, tuple(range(n_recipients))),), number)


def _answer_to(ruling: Ruling) -> Reply | None:
    """Return what is said at once; None where the message is to be delivered."""
    if ruling.action is Action.DISCARD:
        return Reply.of("250 2.0.0 Ok")
    if ruling.action not in _ANSWERS:
        return None
    text, least = _ANSWERS[ruling.action]
    given = ruling.text or ""
    is_fit = re.fullmatch(r"[45][0-9]{2} [\x20-\x7e]+", given) is not None
    # A text that would turn a refusal for good into one for now, or the reverse, is a mistake.
    return Reply.of(given if is_fit and least <= int(given[:3]) < least + 100 else text)


def _plain(raw: bytes) -> bytes:
    # Fields take the line ends of the message; what is left of it has to have one.
    plain = without_forged(with_plain_line_ends(raw))
    return plain if plain.endswith(b"\r\n") else plain + b"\r\n"


def _delivery_id(raw: bytes, sender: str) -> str:
    # The mail server's own Received field with its queue id is in it: two messages of the same
    # words are two, and one that is tried again is one.
    data = sender.encode("utf-8", "surrogateescape") + b"\0" + raw
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _with_subject(raw: bytes, subject: str | None) -> bytes:
    """Return a message whose first subject is another one."""
    if subject is None:
        return raw
    words = " ".join(subject.splitlines())
    line = b"Subject: " + words.encode("utf-8", "surrogateescape") + b"\r\n"
    end = raw.find(b"\r\n\r\n") + 2
    head, rest = (raw[:end], raw[end:]) if end > 1 else (raw, b"")
    found = _SUBJECT.search(head)
    if found is None:
        return line + raw
    return head[: found.start()] + line + head[found.end() :] + rest
