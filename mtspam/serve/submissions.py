"""What workers tell the writer and what it answers, as bytes and back. No sockets here."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mtspam.errors import ProtocolError
from mtspam.journal import LabelEvent, pack_example, unpack_example
from mtspam.journal.events import DIGEST_BYTES, KEY_BYTES
from mtspam.mail.views import N_VIEWS
from mtspam.serve.contract import LearnOutcome
from mtspam.serve.parts import Forgetting, Removal
from mtspam.types import GroupKey, LabelKind, UserKey

__all__ = ["Answer", "Change", "Frames", "Submission"]

Change = tuple[LabelEvent, ...] | Removal
"""The labels of one message, or one that is taken back."""

_MAX_FRAME_BYTES = 64 << 20
_FRAME = struct.Struct("<I")
_HEAD = struct.Struct("<QdB")  # number, deadline, kind
_EVENT = struct.Struct(f"<qddBBBBHI{DIGEST_BYTES}s")
_REMOVAL = struct.Struct(f"<BH{DIGEST_BYTES}s")
_ANSWER = struct.Struct("<QBBq")  # number, outcome, whether more will follow, events
_LABEL, _REMOVE, _FORGET = 1, 2, 3
_KINDS = tuple(LabelKind)
_OUTCOMES = tuple(LearnOutcome)
_FAILED = 255


@dataclass(frozen=True, slots=True)
class Submission:
    """A change that a worker asks for.

    Parameters
    ----------
    number
        The worker's own; the answer bears it.
    deadline
        After this moment of the monotonic clock nobody waits for an answer.
    change
        What to write.
    """

    number: int
    deadline: float
    change: Change | Forgetting

    def encode(self) -> bytes:
        """Return it as a frame."""
        if isinstance(self.change, Forgetting):
            head = _HEAD.pack(self.number, self.deadline, _FORGET)
            return _framed(head, self.change.user, *self.change.aliases)
        if isinstance(self.change, Removal):
            source = self.change.source.encode()
            head = _HEAD.pack(self.number, self.deadline, _REMOVE)
            fixed = _REMOVAL.pack(len(self.change.user), len(source), self.change.digest)
            return _framed(head, fixed, self.change.user, source)
        parts = [_HEAD.pack(self.number, self.deadline, _LABEL)]
        for event in self.change:
            source, packed = event.source.encode(), pack_example(event.example)
            fixed = _EVENT.pack(
                event.time,
                event.weight,
                event.prior,
                _KINDS.index(event.kind),
                event.value,
                len(event.user),
                len(event.group),
                len(source),
                len(packed),
                event.digest,
            )
            parts += [fixed, event.user, event.group, source, packed]
        return _framed(*parts)

    @classmethod
    def decode(cls, frame: bytes) -> "Submission":
        """Read a frame without its length.

        Raises
        ------
        ProtocolError
            Where it is none, or is of another version of this program.
        JournalError
            Where an example is damaged.
        DataError
            Where a label is not one that the journal takes.
        """
        try:
            number, deadline, kind = _HEAD.unpack_from(frame)
            if kind == _FORGET:
                return cls(number, deadline, _forgetting(frame))
            if kind == _REMOVE:
                return cls(number, deadline, _removal(frame))
            return cls(number, deadline, tuple(_events(frame)))
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise ProtocolError(f"a submission of {len(frame)} bytes is torn") from error


def _removal(frame: bytes) -> Removal:
    n_user, n_source, digest = _REMOVAL.unpack_from(frame, _HEAD.size)
    (user, source), at = _cut(frame, _HEAD.size + _REMOVAL.size, (n_user, n_source))
    if at != len(frame):
        raise IndexError
    return Removal(UserKey(user), digest, source.decode())


def _forgetting(frame: bytes) -> Forgetting:
    keys = frame[_HEAD.size :]
    if not keys or len(keys) % KEY_BYTES:
        raise IndexError
    user, *aliases = (UserKey(keys[at : at + KEY_BYTES]) for at in range(0, len(keys), KEY_BYTES))
    return Forgetting(user, tuple(aliases))


def _events(frame: bytes) -> Iterator[LabelEvent]:
    at = _HEAD.size
    while at < len(frame):
        time, weight, prior, kind, value, *sizes, digest = _EVENT.unpack_from(frame, at)
        (user, group, source, packed), at = _cut(frame, at + _EVENT.size, sizes)
        example = unpack_example(packed)
        if len(example.views) != N_VIEWS:
            raise ProtocolError(f"an example has {len(example.views)} views, not {N_VIEWS}")
        yield LabelEvent(
            time=time,
            user=UserKey(user),
            group=GroupKey(group),
            kind=_KINDS[kind],
            value=value,
            weight=weight,
            digest=digest,
            source=source.decode(),
            example=example,
            prior=prior,
        )


def _cut(frame: bytes, at: int, sizes: Sequence[int]) -> tuple[list[bytes], int]:
    """Return pieces of the sizes given, and where they end."""
    if at + sum(sizes) > len(frame):
        raise IndexError
    pieces = []
    for size in sizes:
        pieces.append(frame[at : at + size])
        at += size
    return pieces, at


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a submission.

    Parameters
    ----------
    number
        The submission's.
    outcome
        None: it could not be written.
    text
        Why not.
    n_events
        Events deleted.
    is_last
        Whether no other answer to the same submission follows.
    """

    number: int
    outcome: LearnOutcome | None
    text: str = ""
    n_events: int = 0
    is_last: bool = True

    def encode(self) -> bytes:
        """Return it as a frame."""
        code = _FAILED if self.outcome is None else _OUTCOMES.index(self.outcome)
        fixed = _ANSWER.pack(self.number, code, not self.is_last, self.n_events)
        return _framed(fixed, self.text.encode())

    @classmethod
    def decode(cls, frame: bytes) -> "Answer":
        """Read a frame without its length.

        Raises
        ------
        ProtocolError
            Where it is none.
        """
        try:
            number, code, is_more, n_events = _ANSWER.unpack_from(frame)
            outcome = None if code == _FAILED else _OUTCOMES[code]
            text = frame[_ANSWER.size :].decode()
            return cls(number, outcome, text, n_events, not is_more)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise ProtocolError(f"an answer of {len(frame)} bytes is torn") from error


def _framed(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return _FRAME.pack(len(body)) + body


class Frames:
    """Cuts a stream into frames.

    Examples
    --------
    >>> frames = Frames()
    >>> frames.feed(Answer(7, LearnOutcome.NEW).encode())
    >>> [Answer.decode(frame).number for frame in frames]
    [7]
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data

    def __iter__(self) -> Iterator[bytes]:
        """Yield the frames that are whole and forget them.

        Raises
        ------
        ProtocolError
            Where a frame would be larger than any is.
        """
        at = 0
        try:
            while len(self._buffer) - at >= _FRAME.size:
                (length,) = _FRAME.unpack_from(self._buffer, at)
                if length > _MAX_FRAME_BYTES:
                    raise ProtocolError(f"a frame of {length} bytes; at most {_MAX_FRAME_BYTES}")
                if len(self._buffer) - at - _FRAME.size < length:
                    return
                at += _FRAME.size + length
                yield bytes(self._buffer[at - length : at])
        finally:
            del self._buffer[:at]
