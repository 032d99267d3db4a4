"""Replies of the spamd protocol, whose form depends on the version that the client speaks."""

import re
from collections.abc import Sequence

from mtspam import __version__
from mtspam.serve.contract import Ruling
from mtspam.serve.fields import ascii_value, with_fields
from mtspam.serve.spamd.codec import Command, Request
from mtspam.spam.records import Reason

__all__ = ["error_reply", "pong", "scan_reply", "spam_fields", "tell_reply", "unscored_reply"]

_OK = b"SPAMD/1.1 0 EX_OK\r\n"
_HEAD_END = re.compile(rb"\n\r?\n")
_MAX_STARS = 50
_SHOWN_CHARACTERS = 60

# From these versions on clients read Content-length, and Spam: before a rewritten message.
_WITH_LENGTH = 1.3
_WITH_REWRITE_LENGTH = 1.2

_REWRITING = {Command.PROCESS, Command.HEADERS}
_WORDS = {True: ("Yes", "True"), False: ("No", "False")}


def error_reply(code: int, text: str) -> bytes:
    """Return a reply that says by a sysexits code and one line what went wrong."""
    return f"SPAMD/1.0 {code} {ascii_value(text)}\r\n".encode("ascii")


def pong() -> bytes:
    """Return the reply to a PING."""
    return b"SPAMD/1.5 0 PONG\r\n"


def tell_reply(*, did_set: bool = False, did_remove: bool = False) -> bytes:
    """Return the reply to a TELL: what was done, if anything."""
    done = b"DidSet: local\r\n" * did_set + b"DidRemove: local\r\n" * did_remove
    return _OK + done + b"\r\n\r\n"


def scan_reply(request: Request, ruling: Ruling, reasons: Sequence[Reason] = ()) -> bytes:
    """Return the reply to a request for a verdict.

    Parameters
    ----------
    request
        What was asked, and by which version.
    ruling
        The verdict.
    reasons
        The strongest features, for a report.
    """
    command, is_spam = request.command, ruling.is_spam
    is_short = command is Command.REPORT_IFSPAM
    word = _WORDS[is_spam][0 if is_short else 1]
    spam = f"Spam: {word} ; {ruling.points:.1f} / {ruling.required:.1f}\r\n".encode("ascii")
    if command is Command.CHECK:
        return _OK + spam + b"\r\n"
    if command in _REWRITING:
        return _rewritten(request, spam_fields(ruling), spam)
    if command is Command.SYMBOLS:
        body = ",".join(symbol.name for symbol in ruling.symbols)
    else:
        body = "" if is_short and not is_spam else _report(ruling, reasons)
    return _with_body(request, body.encode("ascii", "replace"), spam)


def unscored_reply(request: Request, required: float) -> bytes | None:
    """Return the reply that lets a message pass without a verdict: ham with 0 points.

    None where there is nothing to pass: a rewritten message is asked for that was not read.
    """
    command = request.command
    if command in _REWRITING and request.is_cut:
        return None
    word = "No" if command is Command.REPORT_IFSPAM else "False"
    spam = f"Spam: {word} ; 0.0 / {required:.1f}\r\n".encode("ascii")
    if command is Command.CHECK:
        return _OK + spam + b"\r\n"
    if command in _REWRITING:
        status = f"No, score=0.0 required={required:.1f} tests=none {_TRAILER}"
        return _rewritten(request, [_CHECKER, ("X-Spam-Status", status)], spam)
    body = {
        Command.SYMBOLS: b"MTSPAM_UNSCORED",
        Command.REPORT: b"mtspam: not scored, the service could not judge this message\n",
    }
    return _with_body(request, body.get(command, b""), spam)


# Header fields, in the form in which clients of spamd look for them.

_CHECKER = ("X-Spam-Checker-Version", f"mtspam {__version__}")
_TRAILER = f"autolearn=no version={__version__}"


def spam_fields(ruling: Ruling) -> list[tuple[str, str]]:
    """Return the header fields of a ruling; those that clients of spamd look for come first."""
    is_spam = ruling.is_spam
    tests = ",".join(symbol.name for symbol in ruling.symbols) or "none"
    score = f"score={ruling.points:.1f} required={ruling.required:.1f}"
    fields = dict([_CHECKER])
    if is_spam:
        fields["X-Spam-Flag"] = "YES"
    fields["X-Spam-Level"] = "*" * min(_MAX_STARS, max(0, int(ruling.points)))
    fields["X-Spam-Status"] = f"{_WORDS[is_spam][0]}, {score} tests={tests} {_TRAILER}"
    if is_spam:
        fields["X-Spam-Report"] = " ".join(
            f"* {symbol.points:4.1f} {symbol.name} {symbol.text}" for symbol in ruling.symbols
        )
    others = [(name, value) for name, value in ruling.fields if name not in fields]
    return [*fields.items(), *others]


def _rewritten(request: Request, fields: Sequence[tuple[str, str]], spam: bytes) -> bytes:
    message = request.message
    if request.command is Command.HEADERS:
        message = _head(message)
    body = with_fields(message, fields)
    if request.version < _WITH_REWRITE_LENGTH:
        return b"SPAMD/1.0 0 EX_OK\r\n" + body
    length = b"Content-length: %d\r\n" % len(body)
    if request.version < _WITH_LENGTH:
        spam = b""
    return b"".join((_OK, length, spam, b"\r\n", body))


def _head(message: bytes) -> bytes:
    """Return the header of a message with the empty line that ends it."""
    if message.startswith((b"\n", b"\r\n")):
        return message[: message.index(b"\n") + 1]
    found = _HEAD_END.search(message)
    if found is not None:
        return message[: found.end()]
    line_end = b"\r\n" if b"\r\n" in message or b"\n" not in message else b"\n"
    return message + (line_end if message.endswith(b"\n") else 2 * line_end)


def _with_body(request: Request, body: bytes, spam: bytes) -> bytes:
    if request.version >= _WITH_LENGTH:
        return b"".join((_OK, b"Content-length: %d\r\n" % len(body), spam, b"\r\n", body))
    if request.command is Command.SYMBOLS:
        body += b"\r\n"
    return b"".join((_OK, spam, b"\r\n", body))


def _report(ruling: Ruling, reasons: Sequence[Reason]) -> str:
    """Return the report: the verdict, what each level says, the strongest features."""
    verdict = "spam" if ruling.is_spam else "not spam"
    lines = [
        f"mtspam: {verdict}, {ruling.points:.1f} points where {ruling.required:.1f} make spam",
        f"mtspam-id: {ruling.judgement.id}",  # for Exim, which sees nothing but the report
        "",
        *(f"{symbol.points:5.1f} {symbol.name}: {symbol.text}" for symbol in ruling.symbols),
    ]
    if reasons:
        lines += ["", "What counted most, in log-odds of spam:"]
        lines += [
            f"{reason.total:+5.1f} {reason.kind}: {reason.text[:_SHOWN_CHARACTERS]}"
            for reason in reasons
        ]
    return "".join(f"{ascii_value(line)}\n" for line in lines)
