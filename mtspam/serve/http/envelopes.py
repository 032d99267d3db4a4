"""Header fields of a request to the envelope of its message, by rspamd's names."""

import re

from mtspam.serve.contract import Envelope
from mtspam.serve.http.messages import Fields, RefusedError, all_of

__all__ = ["envelope_of", "refuse_local_objects", "split_addresses"]

_LOCAL_OBJECTS = frozenset({b"file", b"path", b"shm", b"shm-offset", b"shm-length"})
# A comma inside a quoted local part does not part two addresses.
_ADDRESSES = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')


def split_addresses(value: bytes) -> list[str]:
    """Return the addresses of a field that may hold several, without angle brackets.

    Examples
    --------
    >>> split_addresses(b'<ana@example.org>, "b, c"@example.org')
    ['ana@example.org', '"b, c"@example.org']
    """
    text = value.decode("utf-8", "replace")
    # Most hold one: looking for a comma first saves the expression.
    parts = _ADDRESSES.findall(text) if "," in text else [text]
    return [address for part in parts if (address := part.strip(" \t<>"))]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace").strip()


def _sender(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace").strip().strip("<> ")


def envelope_of(fields: Fields, protocol: str) -> Envelope:
    """Return what the header fields of a request say of its message.

    `Deliver-To` names the one recipient whose verdict is asked for; without it all of `Rcpt`
    count. `User` is who submitted the message after logging in, never a recipient.
    """
    first: dict[bytes, bytes] = {}
    for name, value in fields:
        first.setdefault(name, value)
    only = first.get(b"deliver-to")
    recipients: list[str] = []
    for value in all_of(fields, b"rcpt") if only is None else [only]:
        recipients += split_addresses(value)
    return Envelope(
        recipients=tuple(recipients),
        sender=_sender(first.get(b"from")),
        submitter=_text(first.get(b"user")) or None,
        client_address=_text(first.get(b"ip")),
        client_name=_text(first.get(b"hostname")),
        helo=_text(first.get(b"helo")),
        queue_id=_text(first.get(b"queue-id")),
        protocol=protocol,
    )


def refuse_local_objects(fields: Fields) -> None:
    """Refuse a request to read the message from a file or shared memory of this machine.

    Raises
    ------
    RefusedError
        Where it is one; a client must not make us read what it may not read itself.
    """
    for name, _ in fields:
        if name in _LOCAL_OBJECTS:
            raise RefusedError(403, f"the header {name.decode()} is not allowed: send the message")
