"""Lists of senders whom a user lets pass or wants nothing of."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from mtspam.errors import ConfigError
from mtspam.serve.authentication import Sender

__all__ = ["Listing", "SenderLists"]


class Listing(Enum):
    """What a user's lists say of a sender."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNPROVEN = "unproven"
    """Whoever is claimed to have sent it is allowed, but nothing proves that they did."""


@dataclass(frozen=True, slots=True)
class SenderLists:
    """Whom to let pass and whom to keep out: addresses, and domains with a leading sign.

    An address counts before a domain; of two entries alike, the one that denies counts.

    Examples
    --------
    >>> lists = SenderLists.of(allow=["ana@example.org"], deny=["@example.org"])
    >>> lists.listing(Sender("ana@example.org", ("ana@example.org",), is_proven=True))
    <Listing.ALLOWED: 'allowed'>
    >>> lists.listing(Sender("bob@example.org", ("bob@example.org",), is_proven=False))
    <Listing.DENIED: 'denied'>
    """

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> "SenderLists":
        """Make lists of entries as people write them.

        Raises
        ------
        ConfigError
            Where an entry is neither an address nor a domain with a leading ``@``.
        """
        return cls(frozenset(map(_entry, allow)), frozenset(map(_entry, deny)))

    def __bool__(self) -> bool:
        return bool(self.allow or self.deny)

    def listing(self, sender: Sender) -> Listing | None:
        """Return what these lists say of a sender; None where they name neither name nor domain.

        To keep out needs no proof, to let pass does.
        """
        for names in (sender.named, tuple(map(_domain, sender.named))):
            if any(name in self.deny for name in names):
                return Listing.DENIED
            of_author = sender.address if names is sender.named else _domain(sender.address)
            if of_author and of_author in self.allow:
                return Listing.ALLOWED if sender.is_proven else Listing.UNPROVEN
        return None


def _domain(address: str) -> str:
    return "@" + address.rpartition("@")[2]


def _entry(text: str) -> str:
    entry = text.strip().lower()
    local, at, domain = entry.rpartition("@")
    if not at or not domain or "@" in local or any(sign in entry for sign in " <>,;*"):
        raise ConfigError(f"{text!r} is neither an address nor a domain such as '@example.org'")
    return entry
