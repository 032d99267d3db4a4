"""Which addresses are one user, which group a user belongs to, and under which keys they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mtspam.config import IdentitySettings
from mtspam.errors import ConfigError
from mtspam.journal.keys import canonical_address, canonical_user_key, group_key
from mtspam.types import GroupKey, UserKey

__all__ = ["NOBODY_IN_PARTICULAR", "Identity", "People", "Person"]

_N_PEOPLE = 4096  # whose keys are kept at hand, instead of hashing their names again
_MAX_CHAIN = 16
_MAX_ADDRESS_CHARACTERS = 320  # 64 and 255 with the sign between them


@dataclass(frozen=True, slots=True)
class Person:
    """One user under the one name by which they are known; empty for nobody and for no group."""

    user: str
    group: str


NOBODY_IN_PARTICULAR = Person("", "")


class Identity:
    """Brings every address of a person to one name.

    Parameters
    ----------
    settings
        The rules.

    Raises
    ------
    ConfigError
        Where the alias file cannot be read, a line of it is wrong, or aliases go round in a
        circle.

    Examples
    --------
    >>> identity = Identity(IdentitySettings(default_domain="example.org"))
    >>> identity.person("<Ana+lists@Example.ORG>"), identity.person("ana").user
    (Person(user='ana@example.org', group='example.org'), 'ana@example.org')
    """

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings
        if settings.groups not in {"domain", "none"}:
            raise ConfigError(
                f"identity.groups is {settings.groups!r}, but must be 'domain' or 'none'"
            )
        self._aliases: dict[str, str] = {}
        if settings.alias_file:
            self._aliases = self._read_aliases(Path(settings.alias_file))

    def person(self, address: str | None) -> Person:
        """Return whom an address stands for; nobody where it is None or empty."""
        user = self.canonical(address)
        if not user:
            return NOBODY_IN_PARTICULAR
        domain = user.rpartition("@")[2] if "@" in user else ""
        return Person(user, domain if self._settings.groups == "domain" else "")

    def canonical(self, address: str | None) -> str:
        """Return the one name of an address, aliases followed; empty for None and for nothing."""
        name = self._plain(address or "")
        return self._aliases.get(name, name)

    def names(self, address: str | None) -> tuple[str, ...]:
        """Return every name under which whom an address stands for may have been known.

        First the one that `canonical` gives; then those from before an alias or the default
        domain was set: aliases, and names without that domain.
        """
        name = self.canonical(address)
        given = self._plain(address or "")
        aliases = [alias for alias, end in self._aliases.items() if end == name]
        domain = f"@{self._settings.default_domain.lower()}"
        all_names = [one for one in (name, given, *aliases) if one]
        bare = [one.removesuffix(domain) for one in all_names if domain != "@"]
        return tuple(dict.fromkeys([*all_names, *bare]))

    @staticmethod
    def group(name: str) -> str:
        """Return the one name of a group given by its domain."""
        return canonical_address("@" + name.strip()).removeprefix("@")

    def _plain(self, address: str) -> str:
        """Return an address in its canonical form, without following aliases."""
        address = address.strip()
        if address.startswith("<") and address.endswith(">"):
            address = address[1:-1]
        address = address[:_MAX_ADDRESS_CHARACTERS]
        if address and "@" not in address and self._settings.default_domain:
            address = f"{address}@{self._settings.default_domain}"
        return canonical_address(address, self._settings.tag_separators)

    def _read_aliases(self, path: Path) -> dict[str, str]:
        """Read the alias file and follow every chain to its end."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"identity.alias_file {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"identity.alias_file {path}: not UTF-8") from error
        direct: dict[str, str] = {}
        places: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            alias, colon, target = (part.strip() for part in text.partition(":"))
            if not (alias and colon and target) or any(sign in target for sign in ',|"/: '):
                raise ConfigError(
                    f"{path}:{number}: {text!r} is no line `alias: address` with one address"
                )
            name = self._plain(alias)
            direct[name] = self._plain(target)
            places[name] = number
        return {name: _end_of(name, direct, f"{path}:{places[name]}") for name in direct}


def _end_of(name: str, direct: dict[str, str], place: str) -> str:
    """Follow a chain of aliases to its end."""
    for _ in range(_MAX_CHAIN):
        target = direct[name]
        if target == name or target not in direct:
            return target
        name = target
    raise ConfigError(
        f"{place}: aliases go round in a circle, or more than {_MAX_CHAIN} follow each other"
    )


class People:
    """Keys of people by their addresses: the same over every protocol and by command line.

    Parameters
    ----------
    identity
        The rules.
    secret
        The installation's.

    Examples
    --------
    >>> people = People(Identity(IdentitySettings(default_domain="example.org")), bytes(32))
    >>> people.keys("ana") == people.keys("Ana+lists@Example.ORG")
    True
    """

    def __init__(self, identity: Identity, secret: bytes) -> None:
        self._identity = identity
        self._secret = secret
        self.keys_of = lru_cache(_N_PEOPLE)(self._keys_of)

    def person(self, address: str | None, group: str | None = None) -> Person:
        """Return whom an address stands for, in a group if one is named, else in their own."""
        person = self._identity.person(address)
        if group is None:
            return person
        return Person(person.user, self._identity.group(group))

    def keys(self, address: str | None, group: str | None = None) -> tuple[UserKey, GroupKey]:
        """Return the keys of whom an address stands for; see `person`."""
        return self.keys_of(self.person(address, group))

    def all_keys(self, address: str | None) -> tuple[UserKey, ...]:
        """Return all keys that whom an address stands for may have had; none for nobody."""
        names = self._identity.names(address)
        return tuple(canonical_user_key(name, self._secret) for name in names)

    def columns(
        self, addresses: Sequence[str | None] | None, groups: Sequence[str | None] | None
    ) -> tuple[list[UserKey] | None, list[GroupKey] | None]:
        """Return the keys of many, column by column; None where nobody is named."""
        if addresses is None and groups is None:
            return None, None
        n = len(addresses if addresses is not None else groups or ())
        nobody = [None] * n
        keys = [
            self.keys(address, group)
            for address, group in zip(addresses or nobody, groups or nobody, strict=True)
        ]
        return [user for user, _ in keys], [group for _, group in keys]

    def _keys_of(self, person: Person) -> tuple[UserKey, GroupKey]:
        return (
            canonical_user_key(person.user, self._secret),
            group_key(person.group, self._secret),
        )
