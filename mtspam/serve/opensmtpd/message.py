"""A message as OpenSMTPD's filters see it: lines, before and after our fields are put in."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final

from mtspam.serve.contract import Action
from mtspam.serve.fields import is_forged, without_forged

__all__ = ["UNTOUCHED", "Cleaner", "Decision", "changed_lines", "raw_of"]

_SPAM_FIELD = ("X-Spam", "Yes")
_SPAM_ACTIONS = frozenset(
    {Action.ADD_HEADER, Action.REWRITE_SUBJECT, Action.QUARANTINE, Action.DISCARD}
)
_FOLDED = (b" ", b"\t")
_ANY = b"Any: "  # makes any line a field
_LEADING = b"X-Mtspam-Leading:"  # takes in what would continue our last field
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
    """Takes the fields that only we may write out of a message, line by line."""

    def __init__(self) -> None:
        self.is_in_header = True
        self._is_dropped = False

    def cleaned(self, line: bytes) -> bytes | None:
        """Return what stays of the next line, None if all goes; folded ones go with the first."""
        if not self.is_in_header:
            return line
        if not line or line == b"\r":
            self.is_in_header = self._is_dropped = False
        elif not line.startswith(_FOLDED):
            name, colon, _ = line.partition(b":")
            self._is_dropped = bool(colon) and is_forged(name.decode("utf-8", "replace"))
        if self._is_dropped:
            return None
        if b"\r" in line:
            # Some readers see another field behind a lone carriage return.
            return without_forged(_ANY + line + b"\n\n")[len(_ANY) : -2]
        return line


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
    cleaner = cleaner or Cleaner()
    own = [_field_line(name, value) for name, value in decision.fields]
    if own and lines.startswith(_FOLDED):
        own.append(_LEADING)
    yield from own
    given = iter(bytes(lines).split(b"\n")[:-1])
    if decision.subject is not None:
        given = _renamed(given, _field_line("Subject", decision.subject))
    for line in given:
        kept = cleaner.cleaned(line)
        if kept is not None:
            yield kept


def _renamed(lines: Iterator[bytes], subject: bytes) -> Iterator[bytes]:
    """Put a line in the place of the first subject, or behind the header if there is none."""
    for line in lines:
        if not line or line == b"\r":
            yield subject
            yield line
            break
        if _is_subject(line):
            yield subject
            yield from dropwhile(lambda folded: folded.startswith(_FOLDED), lines)
            return
        yield line
    else:
        yield subject
    yield from lines


def _is_subject(line: bytes) -> bool:
    return line.partition(b":")[0].rstrip(b" \t").lower() == b"subject"


def _field_line(name: str, value: str) -> bytes:
    text = "".join(c if c >= " " and c != "\x7f" else " " for c in f"{name}: {value}")
    return text.encode("utf-8", "surrogateescape")
