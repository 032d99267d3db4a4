"""What became of a message when it came before, so far as nobody was told; and what does now."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from typing import Final

from mtspam.errors import ProtocolError
from mtspam.serve.lmtp.answers import END_AND_LEAVE, Answers
from mtspam.serve.lmtp.codec import Reply
from mtspam.serve.lmtp.parcels import Parcel, Parcels
from mtspam.serve.lmtp.session import Path

__all__ = ["UNDER_WAY", "Past"]

_log = logging.getLogger(__name__)

UNDER_WAY: Final = Reply.of("451 4.3.0 This very message is being delivered already")
_DELIVERED: Final = Reply.of("250 2.0.0 Delivered before")
_READ_BYTES: Final = 1 << 16
_SILENT_SECONDS: Final = 5.0


class Past:
    """Notes about one message while it is worked on.

    Parameters
    ----------
    parcels
        The records of all workers; None: nothing is noted, and nothing known.
    number
        The message's, the same whenever it comes again.
    """

    def __init__(self, parcels: Parcels | None, number: str) -> None:
        self._shelf = parcels if number else None
        self._number = number
        self._parcels: list[Parcel] = []
        # Of recipients whose mail is delivered: which record says so, and where in it.
        self._delivered: dict[int, tuple[Parcel, int]] = {}

    async def recall(
        self, recipients: Sequence[Path], *, is_lmtp: bool, seconds: float
    ) -> dict[int, Reply]:
        """Return replies for those who have the message or are getting it, by their places.

        Parameters
        ----------
        recipients
            All of the envelope.
        is_lmtp
            Whether the next hop answers for each recipient.
        seconds
            How long it may take to store a message.
        """
        if self._shelf is None:
            return {}
        found = self._shelf.taken_over(self._number)
        if found is None:
            return dict.fromkeys(range(len(recipients)), UNDER_WAY)
        self._parcels += found
        replies: dict[int, Reply] = {}
        for parcel in found:
            if parcel.open_places():
                await _hear(parcel, is_lmtp=is_lmtp, seconds=seconds)
            for at, recipient in enumerate(recipients):
                place = None if at in replies else parcel.place_of(recipient.address)
                if place is not None:
                    replies[at] = _DELIVERED
                    self._delivered[at] = parcel, place
        return replies

    def hold(self, places: Sequence[int], recipients: Sequence[Path]) -> Parcel | None:
        """Make a record of a delivery to those in these places of the envelope."""
        if self._shelf is None:
            return None
        parcel = self._shelf.hold(self._number, [recipients[at].address for at in places])
        if parcel is None:
            _log.debug("lmtp: a delivery goes without a record")
            return None
        self._parcels.append(parcel)
        return parcel

    def note(self, parcel: Parcel | None, n_before: int, at: int, reply: Reply) -> None:
        """Note whose the reply is that came after `n_before` others, and is in the record."""
        if parcel is not None and reply.is_positive:
            self._delivered[at] = parcel, n_before

    def settle(self, n_told: int) -> None:
        """Forget those in the first places of the envelope: the mail server knows of them."""
        for at in [at for at in self._delivered if at < n_told]:
            parcel, place = self._delivered.pop(at)
            parcel.settle(place)

    def give_up(self) -> None:
        """Expect nothing more from the next hop."""
        for parcel in self._parcels:
            parcel.give_up()

    def release(self) -> None:
        """Leave to the next try what nobody was told."""
        for parcel in self._parcels:
            parcel.release()


async def _hear(parcel: Parcel, *, is_lmtp: bool, seconds: float) -> None:
    """Read what the next hop has answered, or will, over a connection that another began."""
    connection = parcel.connection()
    if connection is not None:
        with connection, contextlib.suppress(OSError, ProtocolError):
            async with asyncio.timeout(seconds):
                await _hear_all(parcel, connection, is_lmtp=is_lmtp)
    parcel.give_up()


async def _hear_all(parcel: Parcel, connection: socket.socket, *, is_lmtp: bool) -> None:
    connection.settimeout(0.0)
    answers = Answers(parcel, is_lmtp=is_lmtp)
    is_nudged = False
    while parcel.open_places():
        try:
            async with asyncio.timeout(None if is_nudged else _SILENT_SECONDS):
                await _readable(connection)
        except TimeoutError:
            # Whoever died may have done so right before the last line, or with answers in hand. If
            # the line is there already, this one is no command. Either way we learn when there is
            # nothing more to come.
            is_nudged = True
            await asyncio.get_running_loop().sock_sendall(connection, END_AND_LEAVE)
            continue
        with contextlib.suppress(BlockingIOError):
            data = connection.recv(_READ_BYTES)
            if not data:
                return
            answers.take(data)


async def _readable(connection: socket.socket) -> None:
    """Wait for bytes without taking them, so that nothing comes between taking and noting."""
    loop = asyncio.get_running_loop()
    is_there = asyncio.Event()
    loop.add_reader(connection, is_there.set)
    try:
        await is_there.wait()
    finally:
        loop.remove_reader(connection)
