"""What is done with mail: limits and lists for everybody, by group, and by user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from mtspam.config import ActionsSettings
from mtspam.config.fields import KnownSetting, known_settings
from mtspam.config.reading import Locate, read_toml
from mtspam.errors import ConfigError
from mtspam.journal.identity import Identity, Person
from mtspam.serve.authentication import Sender
from mtspam.serve.contract import Action
from mtspam.serve.lists import Listing, SenderLists

__all__ = ["TOGETHER", "Limits", "Policy", "severity"]

TOGETHER = ("agree", "first", "worst")
"""The rules for protocols with one answer for all recipients."""

_SEVERITY = {action: number for number, action in enumerate(Action)}


def severity(action: Action) -> int:
    """Rank an action: 0 for none, the more the harder it hits."""
    return _SEVERITY[action]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From which probability of spam on each action is taken; above 1: never."""

    add_header: float
    rewrite_subject: float
    quarantine: float
    tempfail: float
    reject: float
    discard: float
    lowest: float = field(init=False, compare=False)
    """The limit from which on anything is done at all."""

    def __post_init__(self) -> None:
        """Find the lowest limit once: each ruling asks for it."""
        lowest = min(float(getattr(self, name)) for name in _ACTIONS)
        object.__setattr__(self, "lowest", lowest)

    def action(self, probability: float) -> Action:
        """Return the hardest action whose limit a probability reaches."""
        chosen = Action.NO_ACTION
        if probability >= self.lowest:
            for name, action in _ACTIONS.items():
                if probability >= getattr(self, name):
                    chosen = action
        return chosen


_ACTIONS = {
    "add_header": Action.ADD_HEADER,
    "rewrite_subject": Action.REWRITE_SUBJECT,
    "quarantine": Action.QUARANTINE,
    "tempfail": Action.TEMPFAIL,
    "reject": Action.REJECT,
    "discard": Action.DISCARD,
}
_LIST_NAMES = ("allow", "deny")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the policy file says of one group or one user."""

    limits: Mapping[str, float]
    lists: SenderLists


_NOTHING = _Entry({}, SenderLists())


class Policy:
    """Finds the limits and the lists that hold for a person.

    Of limits, the user's go before the group's, and these before the settings'. Of lists, the
    first of the three that names a sender decides.

    Parameters
    ----------
    settings
        The limits for everybody, and where the policy file is.
    identity
        Brings the names in the file to their one form.

    Raises
    ------
    ConfigError
        Where the file cannot be read or says something unknown; the text names file and key.
    """

    def __init__(self, settings: ActionsSettings, identity: Identity) -> None:
        if settings.together not in TOGETHER:
            allowed = ", ".join(map(repr, TOGETHER))
            raise ConfigError(f"actions.together is {settings.together!r}, but must be {allowed}")
        self.default = Limits(**{name: getattr(settings, name) for name in _ACTIONS})
        self._everyone = _NOTHING
        self._groups: dict[str, _Entry] = {}
        self._users: dict[str, _Entry] = {}
        if settings.policy_file:
            self._read(Path(settings.policy_file), identity)
        entries = (self._everyone, *self._groups.values(), *self._users.values())
        self.has_lists = any(entry.lists for entry in entries)
        """Whether anybody lists any sender."""

    def limits(self, person: Person) -> Limits:
        """Return the limits that hold for a person."""
        entries = self._entries(person)
        limits = self.default
        for entry in reversed(entries):
            if entry.limits:
                limits = replace(limits, **entry.limits)
        return limits

    def listing(self, person: Person, sender: Sender) -> Listing | None:
        """Return what the lists that hold for a person say of a sender."""
        for entry in self._entries(person):
            found = entry.lists.listing(sender)
            if found is not None:
                return found
        return None

    def _entries(self, person: Person) -> tuple[_Entry, ...]:
        """Return what is said of a person, the nearest first."""
        return (
            self._users.get(person.user, _NOTHING),
            self._groups.get(person.group, _NOTHING),
            self._everyone,
        )

    def _read(self, path: Path, identity: Identity) -> None:
        mapping, locate = read_toml(path)
        readers: dict[str, Callable[[Mapping[str, object]], None]] = {
            "everyone": lambda table: self._take_everyone(table, locate),
            "group": lambda tables: self._groups.update(
                _entries("group", tables, locate, identity.group)
            ),
            "user": lambda tables: self._users.update(
                _entries("user", tables, locate, identity.canonical)
            ),
        }
        for key, value in mapping.items():
            if key not in readers:
                raise ConfigError(
                    f"{locate(key)}: {key!r} is unknown; a policy file has the tables"
                    " everyone, group and user"
                )
            readers[key](_table(value, key, locate))

    def _take_everyone(self, table: Mapping[str, object], locate: Locate) -> None:
        self._everyone = _entry("everyone", table, locate)
        if self._everyone.limits:
            name = next(iter(self._everyone.limits))
            raise ConfigError(
                f"{locate(f'everyone.{name}')}: everyone.{name} is the setting actions.{name}"
            )


def _table(value: object, key: str, locate: Locate) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{locate(key)}: {key} is {value!r}, but must be a table")
    return cast("Mapping[str, object]", value)


def _entries(
    kind: str, tables: Mapping[str, object], locate: Locate, canonical: Callable[[str], str]
) -> dict[str, _Entry]:
    """Read the tables of all groups, or of all users, by the one form of their names."""
    found: dict[str, _Entry] = {}
    for name, value in tables.items():
        key = f'{kind}."{name}"'
        known = canonical(name)
        if not known:
            raise ConfigError(f"{locate(key)}: {name!r} is no {kind}'s name")
        if known in found:
            raise ConfigError(f"{locate(key)}: {name!r} is there already, under another name")
        found[known] = _entry(key, _table(value, key, locate), locate)
    return found


def _entry(key: str, table: Mapping[str, object], locate: Locate) -> _Entry:
    """Read what is said of one group, one user, or everybody."""
    limits: dict[str, float] = {}
    lists: dict[str, list[str]] = {}
    for name, value in table.items():
        try:
            if name in _LIST_NAMES:
                lists[name] = _names(value)
                SenderLists.of(allow=lists[name])
            else:
                limits[name] = float(_limit(name).checked(value))
        except ConfigError as error:
            raise ConfigError(f"{locate(f'{key}.{name}')}: {key}.{name}: {error}") from None
    return _Entry(limits, SenderLists.of(**lists))


def _limit(name: str) -> KnownSetting:
    """Return the setting that says what a limit may be."""
    if name not in _ACTIONS:
        allowed = ", ".join((*_ACTIONS, *_LIST_NAMES))
        raise ConfigError(f"this key is unknown; known are {allowed}")
    return next(known for known in known_settings(ActionsSettings) if known.name == name)


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{value!r} is not a list of addresses")
    return cast("list[str]", value)
