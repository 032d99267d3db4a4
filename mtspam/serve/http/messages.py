"""What goes over the wire, whatever carries it: a request, an answer, a refusal."""

from dataclasses import dataclass, field

import msgspec

from mtspam.errors import ProtocolError

__all__ = [
    "JSON",
    "MOST_DIGITS",
    "Answer",
    "Arrived",
    "Fields",
    "RefusedError",
    "all_of",
    "first_of",
    "json_answer",
]

JSON = "application/json"
MOST_DIGITS = 18
"""Of a number of bytes in a header field; Python itself refuses to read thousands of them."""

Fields = list[tuple[bytes, bytes]]
"""Header fields of a request in their order, names in lower case."""


class RefusedError(ProtocolError):
    """A request that gets an error for its answer.

    Parameters
    ----------
    status
        Of HTTP.
    text
        What was wrong; for the answer's body, never for a header.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    def answer(self) -> "Answer":
        """Return the answer that says so."""
        return json_answer({"error": str(self)}, self.status)


@dataclass(slots=True)
class Arrived:
    """A request that is complete.

    Parameters
    ----------
    target
        The path with its query, or the command of a line protocol.
    fields
        Header fields.
    body
        As sent, not yet unpacked.
    keeps_alive
        Whether the client asked for the connection to stay open.
    """

    target: bytes
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    keeps_alive: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    media_type: str = JSON


def json_answer(value: object, status: int = 200) -> Answer:
    """Return an answer whose body is compact JSON."""
    return Answer(status, msgspec.json.encode(value))


def first_of(fields: Fields, name: bytes) -> bytes | None:
    """Return the value of the first field of a name, None where there is none.

    Examples
    --------
    >>> first_of([(b"ip", b"192.0.2.1"), (b"ip", b"::1")], b"ip")
    b'192.0.2.1'
    """
    for key, value in fields:
        if key == name:
            return value
    return None


def all_of(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of all fields of a name, in their order."""
    return [value for key, value in fields if key == name]
