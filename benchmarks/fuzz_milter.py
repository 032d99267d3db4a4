"""What holds for milter whatever bytes a mail server sends, cut wherever."""

import struct

from mtspam.errors import ProtocolError
from mtspam.serve.contract import Action, Ruling
from mtspam.serve.milter.message import Room
from mtspam.serve.milter.session import Close, Reply, Session, Submitted
from mtspam.spam.records import Judgement
from mtspam.types import Verdict

__all__ = ["SEEDS", "check"]

_ROOM_BYTES = 100_000
_MESSAGE_BYTES = 20_000
_MAX_ANSWER_BYTES = 2_000_000
_FINAL = b"acdrty"

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


def _packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + command + data


_OFFER = _packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF))
_CLIENT = _packet(b"C", b"mx\x004\x09\xdd192.0.2.1\x00") + _packet(b"H", b"mx\x00")
_MESSAGE = b"".join(
    (
        _packet(b"D", b"Mi\x004Q\x00{auth_authen}\x00ana\x00"),
        _packet(b"M", b"<a@example.org>\x00SIZE=4\x00"),
        _packet(b"R", b"<b@example.com>\x00"),
        _packet(b"T"),
        _packet(b"L", b"X-Spam\x00 No\x00"),
        _packet(b"L", b"Subject\x00 lunch\n\tat noon\x00"),
        _packet(b"N"),
        _packet(b"B", b"text\r\n"),
        _packet(b"E"),
    )
)
SEEDS = (
    _OFFER + _CLIENT + _MESSAGE + _packet(b"Q"),
    _OFFER + _CLIENT + _MESSAGE + _MESSAGE,
    _OFFER + _CLIENT + _MESSAGE[:90] + _packet(b"A") + _packet(b"K") + _CLIENT + _MESSAGE,
    _packet(b"O", struct.pack(">III", 2, 0x1F, 0)) + _CLIENT + _MESSAGE,
    _packet(b"U", b"XFOO\x00") + _packet(b"B", bytes(300)),
)


def check(data: bytes) -> None:
    """Send bytes to a session; raise where something does not hold."""
    size, stream = data[:1], data[1:]
    step_bytes = (size[0] if size else 0) or len(stream) or 1
    room = Room(_ROOM_BYTES)
    session = Session(_MESSAGE_BYTES, room)
    actions = list(Action)
    n_messages = 0
    try:
        for start in range(0, len(stream), step_bytes):
            session.feed(stream[start : start + step_bytes])
            while (step := session.next()) is not None:
                if isinstance(step, Close):
                    return
                if isinstance(step, Reply):
                    _whole(step.data)
                elif isinstance(step, Submitted):
                    action = actions[n_messages % len(actions)]
                    n_messages += 1
                    _answered(session, step, action)
    except ProtocolError:
        pass
    finally:
        session.drop()
        if room.n_free != _ROOM_BYTES:
            raise AssertionError(f"{_ROOM_BYTES - room.n_free} bytes of room were not given back")


def _answered(session: Session, submitted: Submitted, action: Action) -> None:
    if submitted.raw is not None and len(submitted.raw) > _MESSAGE_BYTES + 2:
        raise AssertionError(f"a message of {len(submitted.raw)} bytes was kept")
    ruling = Ruling(
        recipient="",
        judgement=_JUDGEMENT,
        action=action,
        points=7.0,
        required=5.0,
        subject=submitted.envelope.helo,
        text=submitted.envelope.sender,
        fields=(("X-Mtspam-Verdict", submitted.envelope.queue_id or "spam"),),
    )
    packets = _whole(session.answer(ruling))
    finals = [one for one in packets if one[:1] in _FINAL]
    if len(finals) != 1 or packets[-1] != finals[0]:
        raise AssertionError(f"{packets!r} has not one final reply, at the end")


def _whole(data: bytes) -> list[bytes]:
    """Cut an answer into its packets, which it must be made of."""
    if len(data) > _MAX_ANSWER_BYTES:
        raise AssertionError(f"an answer of {len(data)} bytes")
    packets = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        packet, data = data[4 : 4 + length], data[4 + length :]
        if len(packet) != length or not length:
            raise AssertionError(f"{packet!r} is no packet of {length} bytes")
        packets.append(packet)
    return packets
