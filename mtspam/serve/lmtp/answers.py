"""What the next hop says after a message, noted the moment its bytes are here."""

from typing import Final

from mtspam.serve.lmtp.codec import END, ReplyReader
from mtspam.serve.lmtp.parcels import Parcel

__all__ = ["END_AND_LEAVE", "Answers"]

END_AND_LEAVE: Final = END + b"QUIT\r\n"
"""For a message of which nobody knows whether its end was sent: the answers to both come last."""

_GOODBYE: Final = 221


class Answers:
    r"""Put replies to the recipients of a delivery, in their order.

    What was taken from a connection and not yet noted is lost if the process is killed. So it is
    to be noted before anything else is done, be it the reading from the next connection.

    Parameters
    ----------
    parcel
        Record of the delivery, of whose recipients some may be answered for already.
    is_lmtp
        Whether there is a reply for each recipient; over SMTP one is for all.

    Examples
    --------
    >>> from contextlib import closing
    >>> from mtspam.serve.lmtp.parcels import Parcels
    >>> with closing(Parcels()) as parcels:
    ...     parcel = parcels.hold("0f" * 16, ["ana@example.org", "bob@example.org"])
    ...     Answers(parcel, is_lmtp=True).take(b"250 2.0.0 Stored\r\n452 4.2.2 Ov")
    ...     parcel.open_places(), parcel.place_of("ana@example.org")
    ([1], 0)
    """

    def __init__(self, parcel: Parcel, *, is_lmtp: bool) -> None:
        self._parcel = parcel
        self._is_lmtp = is_lmtp
        self._replies = ReplyReader()
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take bytes as they come.

        Raises
        ------
        ProtocolError
            If they are no replies.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            reply = self._replies.take(line)
            places = self._parcel.open_places()
            if reply is None or not places:
                continue
            if reply.code == _GOODBYE:
                self._parcel.give_up()
                return
            # Over SMTP one reply is for all; one behind it is to a line that was sent on top.
            for place in places[:1] if self._is_lmtp else places:
                self._parcel.note(place, is_delivered=reply.is_positive)
