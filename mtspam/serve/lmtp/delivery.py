"""The way of one client's messages to the next hop, over a connection that is kept for them."""

import logging
from collections.abc import AsyncIterator, Sequence

from mtspam.serve.lmtp.codec import Reply
from mtspam.serve.lmtp.copies import Copy
from mtspam.serve.lmtp.nexthop import Connection, LostError, NextHop, Patience
from mtspam.serve.lmtp.past import Past
from mtspam.serve.lmtp.session import Path

__all__ = ["Delivery"]

_log = logging.getLogger(__name__)


class Delivery:
    """Hand messages on; what the next hop says of each recipient is told as soon as it is known.

    Sender and recipients are named to the next hop while the client names them, so that a refusal
    is the next hop's own; if all recipients get one copy it goes into that very transaction. Other
    copies get transactions of their own.

    Parameters
    ----------
    hop
        Where mail goes.
    patience
        How long it may take.
    hostname
        What we call ourselves.
    """

    def __init__(self, hop: NextHop, patience: Patience, hostname: str) -> None:
        self._hop = hop
        self._patience = patience
        self._hostname = hostname
        self._connection: Connection | None = None
        self._n_begun: int | None = None  # recipients of the message begun there, if one is

    async def connect(self) -> Connection:
        """Return a connection that is open as far as we know.

        Raises
        ------
        LostError
            If the next hop is away.
        """
        if self._connection is None or not self._connection.is_open:
            self._n_begun = None
            self._connection = await Connection.open(self._hop, self._patience, self._hostname)
        return self._connection

    async def begin(self, sender: Path) -> Reply:
        """Begin a message, over a new connection where the old one was hung up meanwhile.

        Raises
        ------
        LostError
            If the next hop is away.
        """
        await self.reset()
        connection = await self.connect()
        was_kept = connection.is_used
        try:
            reply = await connection.mail(sender)
        except LostError:
            if not was_kept:
                raise
            connection = await self.connect()
            reply = await connection.mail(sender)
        self._n_begun = 0 if reply.is_positive else None
        return reply

    async def name(self, recipient: Path) -> Reply:
        """Name a recipient of the message that is begun.

        Raises
        ------
        LostError
            If the next hop broke off, now or before.
        """
        connection = self._connection
        if self._n_begun is None or connection is None or not connection.is_open:
            raise LostError("the next hop broke off before")
        reply = await connection.rcpt(recipient)
        self._n_begun += reply.is_positive
        return reply

    async def reset(self) -> None:
        """Drop the message that is begun there, if one is."""
        connection, n_begun = self._connection, self._n_begun
        self._n_begun = None
        if n_begun is None or connection is None or not connection.is_open:
            return
        try:
            await connection.reset()
        except LostError as error:
            _log.debug("nothing was under way, but %s", error)

    async def close(self) -> None:
        """Leave the next hop."""
        if self._connection is not None:
            await self._connection.quit()

    def drop(self) -> None:
        """Break off; what was not given whole to the next hop is not delivered."""
        if self._connection is not None:
            self._connection.drop()

    async def hand_on(
        self, copy: Copy, sender: Path, recipients: Sequence[Path], past: Past
    ) -> AsyncIterator[tuple[int, Reply]]:
        """Deliver a copy; yield the place in the envelope and the reply of each recipient of it.

        Parameters
        ----------
        copy
            What to deliver.
        sender, recipients
            All of the envelope, as they were named before.
        past
            Where it is noted what becomes of the message.

        Raises
        ------
        LostError
            If the next hop broke off: recipients of which nothing was told may or may not have
            got it.
        """
        places = list(copy.recipients)
        if not self._is_begun_with(len(recipients)) or len(places) != len(recipients):
            reply = await self.begin(sender)
            if not reply.is_positive:
                for place in places:
                    yield place, reply
                return
            accepted = []
            for place in places:
                reply = await self.name(recipients[place])
                if reply.is_positive:
                    accepted.append(place)
                else:
                    yield place, reply
            places = accepted
        if not places:
            await self.reset()
            return
        connection = await self.connect()
        self._n_begun = None
        parcel = past.hold(places, recipients)
        n_told = 0
        async for reply in connection.data(copy.raw, len(places), parcel):
            past.note(parcel, n_told, places[n_told], reply)
            yield places[n_told], reply
            n_told += 1

    def _is_begun_with(self, n_recipients: int) -> bool:
        connection = self._connection
        return connection is not None and connection.is_open and self._n_begun == n_recipients
