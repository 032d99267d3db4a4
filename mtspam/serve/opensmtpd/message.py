"""A message as OpenSMTPD's filters see it: lines, before and after our fields are put in."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mtspam.serve.contract import Action
from mtspam.serve.fields import is_forged

__all__ = ["UNTOUCHED", "Cleaner", "Decision", "changed_lines", "raw_of"]

_SPAM_FIELD = ("X-Spam", "Yes")
_SPAM_ACTIONS = frozenset(
    {Action.ADD_HEADER, Action.REWRITE_SUBJECT, Action.QUARANTINE, Action.DISCARD}
)
_FOLDED = (b" ", b"\t")
_STUFFED = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to become of a message.

    Parameters
    ----------
    fields
        To put above the others.
    subject
        The new one, if it is to be rewritten.
    refusal
        What the sender is told at the end, if it is to be refused.
    """

    fields: tuple[tuple[str, str], ...] = ()
    subject: str | None = None
    refusal: str | None = None

    @classmethod
    def of(
        cls,
        action: Action,
        fields: Sequence[tuple[str, str]],
        subject: str | None,
        text: str | None,
    ) -> "Decision":
        """Decide by a ruling.

        OpenSMTPD can neither hold nor drop a message from a filter; it is marked instead. That a
        message goes into the folder for junk rests on ``X-Spam: Yes``.
        """
        if action is Action.REJECT:
            return cls(refusal=text or "550 5.7.1 Message refused as spam")
        if action is Action.TEMPFAIL:
            return cls(refusal=text or "451 4.7.1 Message deferred, try again later")
        marks = (_SPAM_FIELD,) if action in _SPAM_ACTIONS else ()
        return cls(fields=(*fields, *marks), subject=subject)


UNTOUCHED: Final = Decision()
"""The message passes; only what was forged is taken out."""


def raw_of(lines: bytes | bytearray) -> bytes:
    r"""Return the message that lines with dots doubled stand for.

    Examples
    --------
    >>> raw_of(b"Subject: a\n\n..b\n")
    b'Subject: a\r\n\r\n.b\r\n'
    """
    return _STUFFED.sub(b"", bytes(lines)).replace(b"\n", b"\r\n")


class Cleaner:
    """Says line by line what of a message stays: all but the fields that only we may write."""

    def __init__(self) -> None:
        self.is_in_header = True
        self._is_dropped = False

    def keeps(self, line: bytes) -> bool:
        """Tell whether the next line stays; a folded line goes with the one before it."""
        if not self.is_in_header:
            return True
        if not line or line == b"\r":
            self.is_in_header = self._is_dropped = False
        elif not line.startswith(_FOLDED):
            name, colon, _ = line.partition(b":")
            self._is_dropped = bool(colon) and is_forged(name.decode("utf-8", "replace"))
        return not self._is_dropped


def changed_lines(
    lines: bytes | bytearray, decision: Decision, cleaner: Cleaner | None = None
) -> Iterator[bytes]:
    """Yield the lines of a message, each without its end, as they are to be stored.

    Parameters
    ----------
    lines
        The message, each line with its end.
    decision
        What is to become of it.
    cleaner
        One that goes on with further lines, if there are any.
    """
    for name, value in decision.fields:
        yield _field_line(name, value)
    cleaner = cleaner or Cleaner()
    new_subject = None if decision.subject is None else _field_line("Subject", decision.subject)
    is_old_subject = False
    for line in bytes(lines).split(b"\n")[:-1]:
        is_kept = cleaner.keeps(line)
        if cleaner.is_in_header and not line.startswith(_FOLDED):
            is_old_subject = new_subject is not None and _is_subject(line)
        elif not cleaner.is_in_header:
            is_old_subject = False
        if new_subject is not None and (not cleaner.is_in_header or is_old_subject):
            yield new_subject
            new_subject = None
        if is_kept and not is_old_subject:
            yield line
    if new_subject is not None:
        yield new_subject


def _is_subject(line: bytes) -> bool:
    return line.partition(b":")[0].rstrip(b" \t").lower() == b"subject"


def _field_line(name: str, value: str) -> bytes:
    text = "".join(c if c >= " " and c != "\x7f" else " " for c in f"{name}: {value}")
    return text.encode("utf-8", "surrogateescape")
