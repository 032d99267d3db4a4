"""Names become keys, messages become digests: both keyed with the installation's secret."""

import hashlib

from mtspam.types import NOBODY, GroupKey, UserKey

__all__ = ["canonical_address", "group_key", "message_digest", "user_key"]

_BYTES = 16
_OWN_FIELDS = b"x-mtspam-"


def canonical_address(name: str) -> str:
    """Return the one form of a user's name: blanks, case and ``+tag`` do not make another user.

    Examples
    --------
    >>> canonical_address(" Ana+lists@Example.ORG ")
    'ana@example.org'
    """
    name = name.strip().casefold()
    local, at, domain = name.rpartition("@")
    if not at:
        return name
    return f"{local.partition('+')[0] or local}@{domain.rstrip('.')}"


def _keyed(data: bytes, secret: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_BYTES, key=secret, person=purpose).digest()


def user_key(name: str | None, secret: bytes) -> UserKey:
    """Return the key of a user; nobody's for None and for an empty name."""
    canonical = canonical_address(name or "")
    if not canonical:
        return UserKey(NOBODY)
    return UserKey(_keyed(canonical.encode("utf-8", "surrogatepass"), secret, b"user"))


def group_key(name: str | None, secret: bytes) -> GroupKey:
    """Return the key of a group; none for None and for an empty name."""
    canonical = (name or "").strip().casefold()
    if not canonical:
        return GroupKey(NOBODY)
    return GroupKey(_keyed(canonical.encode("utf-8", "surrogatepass"), secret, b"group"))


def message_digest(raw: bytes, secret: bytes) -> bytes:
    """Return 16 bytes that stand for a message, whatever its line ends and our own fields."""
    raw = raw.replace(b"\r\n", b"\n")
    head, blank, body = raw.partition(b"\n\n")
    if _OWN_FIELDS in head.lower():
        head = _without_own_fields(head)
    return _keyed(head + blank + body, secret, b"message")


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
