"""What holds for LMTP whatever bytes a mail server or a next hop sends, cut wherever."""

from mtspam.errors import ProtocolError
from mtspam.serve.contract import Action, Ruling
from mtspam.serve.lmtp.codec import MAX_LINE_BYTES, Reply, ReplyReader, stuffed, unstuffed
from mtspam.serve.lmtp.copies import make_plan
from mtspam.serve.lmtp.session import Hello, Message, Rcpt, Session
from mtspam.spam.records import Judgement
from mtspam.types import Verdict

__all__ = ["SEEDS", "check"]

_MESSAGE_BYTES = 20_000
_MAX_RECIPIENTS = 5

_BEGIN = b"LHLO mx.example.org\r\nXFORWARD NAME=a ADDR=192.0.2.1 IDENT=4Q\r\n"
_ENVELOPE = (
    b"MAIL FROM:<ana@example.org> SIZE=90 BODY=8BITMIME\r\nRCPT TO:<bob@example.com>\r\n"
    b'RCPT TO:<"a b"@example.com>\r\nDATA\r\n'
)
_MAIL = b"X-Spam-Flag: NO\r\nSubject: lunch\r\n at noon\r\n\r\n..\r\n.a\nb\rc\r\n.\r\n"
SEEDS = (
    _BEGIN + _ENVELOPE + _MAIL + b"QUIT\r\n",
    _BEGIN + _ENVELOPE + _MAIL + _ENVELOPE + _MAIL + b"RSET\r\nNOOP\r\n",
    _BEGIN + _ENVELOPE + b".\r\n" + _ENVELOPE + b"\n.\n\r\n.\n\r.\r\r\n.\r\n",
    b"250-mx\r\n250-PIPELINING\r\n250 SIZE\r\n354 Go on\r\n451 4.3.0 Later\r\n",
)

_JUDGEMENT = Judgement(
    verdict=Verdict.SPAM,
    score=2.0,
    probability=0.9,
    shared=2.0,
    group=0.0,
    personal=0.0,
    starter=0.0,
    phishing=None,
    bulk=None,
    id="0" * 32,
    defects=(),
)
_ACTIONS = (Action.NO_ACTION, Action.REWRITE_SUBJECT, Action.QUARANTINE, Action.REJECT)


def check(data: bytes) -> None:
    """Raise where something does not hold for these bytes."""
    step, data = (data[0] % 7 or 10_000, data[1:]) if data else (10_000, b"")
    _check_session(data, step)
    _check_replies(data)


def _check_session(data: bytes, step: int) -> None:
    session = Session("here", max_recipients=_MAX_RECIPIENTS, max_message_bytes=_MESSAGE_BYTES)
    n_open = 0
    for at in range(0, len(data), step):
        session.receive(data[at : at + step])
        while (request := session.next_request()) is not None:
            if isinstance(request, Message):
                _hold(0 < len(request.recipients) == n_open <= _MAX_RECIPIENTS, "recipients")
                _check_message(request)
                n_open = 0
                for _ in request.recipients:
                    session.answer(Reply.of("250 2.0.0 Ok"))
                continue
            if isinstance(request, Hello):
                session.offered = frozenset({"SIZE", "8BITMIME", "SMTPUTF8"})
            session.answer(Reply.of("250 2.0.0 Ok"))
            n_open = n_open + 1 if isinstance(request, Rcpt) else 0
        _hold(session.n_held <= _MESSAGE_BYTES + MAX_LINE_BYTES + step, "held")
    for line in session.take_outgoing().splitlines():
        _hold(line[:3].isdigit() and line[3:4] in (b" ", b"-"), "an answer")


def _check_message(message: Message) -> None:
    if message.raw is None:
        return
    _hold(len(message.raw) <= _MESSAGE_BYTES, "size")
    rulings = [
        Ruling(
            recipient=path.address,
            judgement=_JUDGEMENT,
            action=_ACTIONS[at % len(_ACTIONS)],
            points=7.0,
            required=5.0,
            subject="[SPAM] a",
            fields=(("X-Spam-Flag", "YES"),),
        )
        for at, path in enumerate(message.recipients)
    ]
    plan = make_plan(message.raw, message.sender.address, rulings)
    told = [*plan.answers, *(at for copy in plan.copies for at in copy.recipients)]
    _hold(sorted(told) == list(range(len(rulings))), "everybody once")
    for copy in plan.copies:
        wire = stuffed(copy.raw)
        _hold(wire.find(b"\r\n.\r\n") == len(wire) - 5, "one end")
        _hold(wire.count(b"\n") == wire.count(b"\r") == wire.count(b"\r\n"), "line ends")
        _hold(unstuffed(wire[:-3]).startswith(copy.raw), "what was stuffed")


def _check_replies(data: bytes) -> None:
    reader = ReplyReader()
    for line in data.split(b"\n"):
        try:
            reply = reader.take(line + b"\n")
        except ProtocolError:
            reader = ReplyReader()
            continue
        if reply is not None:
            encoded = reply.encode()
            _hold(encoded.count(b"\n") == len(reply.lines), "lines of a reply")


def _hold(is_held: bool, what: str) -> None:  # noqa: FBT001 - a condition
    if not is_held:
        raise AssertionError(what)
