"""Names become keys: keyed with the installation's secret, so that no name is ever stored."""

import hashlib

from mtspam.types import NOBODY, GroupKey, UserKey

__all__ = [
    "canonical_address",
    "canonical_user_key",
    "group_key",
    "keyed",
    "session_key",
    "user_key",
]

_BYTES = 16


def canonical_address(name: str, tag_separators: str = "+") -> str:
    """Return the one form of a user's name: blanks, case and ``+tag`` do not make another user.

    A domain in other letters than ASCII gets the form in which it stands in the DNS.

    Parameters
    ----------
    name
        An address, or a name without a domain.
    tag_separators
        What follows one of these characters in a local part is a tag.

    Examples
    --------
    >>> canonical_address(" Ana+lists@Example.ORG ")
    'ana@example.org'
    """
    name = name.strip()
    local, at, domain = name.rpartition("@")
    if not at:
        return name.casefold()
    local = local.casefold()
    for separator in tag_separators:
        local = local.partition(separator)[0] or local
    return f"{local}@{_canonical_domain(domain)}"


def _canonical_domain(domain: str) -> str:
    domain = domain.rstrip(".")
    if domain.isascii():
        return domain.lower()
    import idna  # noqa: PLC0415 - large tables, which hardly any address needs

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:  # which all of its errors are
        return domain.casefold()  # nothing that could stand in the DNS, but still one name


def keyed(data: bytes, secret: bytes, purpose: bytes) -> bytes:
    """Return 16 bytes that stand for `data`; other ones for each purpose."""
    return hashlib.blake2b(data, digest_size=_BYTES, key=secret, person=purpose).digest()


def user_key(name: str | None, secret: bytes) -> UserKey:
    """Return the key of a user; nobody's for None and for an empty name."""
    return canonical_user_key(canonical_address(name or ""), secret)


def canonical_user_key(name: str, secret: bytes) -> UserKey:
    """Return the key of a user whose name is in its one form already; nobody's if empty."""
    if not name:
        return UserKey(NOBODY)
    return UserKey(keyed(name.encode("utf-8", "surrogatepass"), secret, b"user"))


def group_key(name: str | None, secret: bytes) -> GroupKey:
    """Return the key of a group; none for None and for an empty name."""
    canonical = (name or "").strip().casefold()
    if not canonical:
        return GroupKey(NOBODY)
    return GroupKey(keyed(canonical.encode("utf-8", "surrogatepass"), secret, b"group"))


def session_key(name: str, secret: bytes) -> str:
    """Return what stands for a visit's name, in hexadecimal."""
    return keyed(name.encode("utf-8", "surrogatepass"), secret, b"session").hex()
