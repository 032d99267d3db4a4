"""What holds for OpenSMTPD's filter whatever lines come, cut wherever."""

from mtspam.serve.contract import Action
from mtspam.serve.opensmtpd.message import UNTOUCHED, Decision
from mtspam.serve.opensmtpd.session import Filter, Limits, Submitted

__all__ = ["SEEDS", "check"]

_ROOM_BYTES = 20_000
_SESSIONS = 8
_HEAD = b"filter|0.7|1.0|smtp-in|data-line|5e55|70ce|"
_REPORT = b"report|0.7|1.0|smtp-in|"

SEEDS = (
    b"config|protocol|0.7\nconfig|ready\n",
    b"".join(
        (
            _REPORT + b"link-connect|5e55|mx|pass|192.0.2.1:25|192.0.2.2:25\n",
            _REPORT + b"link-identify|5e55|EHLO|mx\n",
            _REPORT + b"link-auth|5e55|pass|a|b\n",
            _REPORT + b"tx-begin|5e55|abc\n",
            _REPORT + b"tx-mail|5e55|abc|ok|a@example.org\n",
            _REPORT + b"tx-rcpt|5e55|abc|ok|b|c@example.com\n",
            _HEAD + b"X-Spam: no\n" + _HEAD + b"\tfolded\n" + _HEAD + b"Subject: lunch\n",
            _HEAD + b"\n" + _HEAD + b"..text | text\n" + _HEAD + b".\n",
            b"filter|0.7|1.0|smtp-in|commit|5e55|70ce\n",
            _REPORT + b"tx-commit|5e55|abc|100\n" + _REPORT + b"link-disconnect|5e55\n",
        )
    ),
    _HEAD + b"Subject: " + b"x" * 300 + b"\n" + _HEAD + b".\n",
    _REPORT + b"tx-reset|5e55|abc\n" + _REPORT + b"tx-rollback|5e55|abc\n",
)
_DECISIONS = (
    UNTOUCHED,
    Decision.of(Action.REJECT, (), None, None),
    Decision.of(Action.REWRITE_SUBJECT, (("X-Mtspam-Id", "0"),), "[SPAM] lunch", None),
)


def check(data: bytes) -> None:
    """Give lines to the filter; raise where something does not hold."""
    chosen = data[0] if data else 0
    limits = Limits(message_bytes=5_000, total_bytes=_ROOM_BYTES, sessions=_SESSIONS)
    one = Filter(limits, _DECISIONS[chosen % 2])
    sessions = set()
    for number, line in enumerate(data[1:].split(b"\n")):
        said = one.take(line)
        if isinstance(said, Submitted):
            sessions.add(said.session)
            decision = _DECISIONS[(chosen + number) % len(_DECISIONS)]
            written = b"".join(one.answer(said, decision))
            _look(written, said)
        elif said and not said.startswith((b"register|", b"filter-")):
            raise AssertionError(f"{said!r} is no line of the protocol")
        fields = line.split(b"|")
        sessions.update(fields[4:6])
    for name in sessions:
        one.take(_REPORT + b"link-disconnect|" + name)


def _look(written: bytes, submitted: Submitted) -> None:
    begun = b"filter-dataline|" + submitted.session + b"|" + submitted.token + b"|"
    *lines, last = written.split(b"\n")
    if last or not lines or lines[-1] != begun + b".":
        raise AssertionError(f"{written!r} does not end a message")
    for line in lines[:-1]:
        if not line.startswith(begun) or line == begun + b".":
            raise AssertionError(f"{line!r} is no line of a message")
