"""Messages become digests, keyed with the installation's secret; the keys of people beside."""

from mtspam.journal.keys import (
    canonical_address,
    canonical_user_key,
    group_key,
    keyed,
    user_key,
)

__all__ = [
    "canonical_address",
    "canonical_user_key",
    "group_key",
    "message_digest",
    "user_key",
]

_OWN_FIELDS = b"x-mtspam-"


def message_digest(raw: bytes, secret: bytes) -> bytes:
    """Return 16 bytes that stand for a message, whatever its line ends and our own fields."""
    if b"\r" in raw:  # one byte is found many times as quickly as two
        raw = raw.replace(b"\r\n", b"\n")
    end = raw.find(b"\n\n")
    head = raw if end < 0 else raw[:end]
    if _OWN_FIELDS in head.lower():
        raw = _without_own_fields(head) + raw[len(head) :]
    return keyed(raw, secret, b"message")


def _without_own_fields(head: bytes) -> bytes:
    """Return a header without the fields that mtspam adds."""
    kept: list[bytes] = []
    is_own = False
    for line in head.split(b"\n"):
        if not line.startswith((b" ", b"\t")):
            is_own = line.lower().startswith(_OWN_FIELDS)
        if not is_own:
            kept.append(line)
    return b"\n".join(kept)
