"""How a setting is declared, listed and checked. The settings themselves are in `sections`."""

from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from mtspam.errors import ConfigError

__all__ = ["KnownSetting", "Section", "Value", "known_settings", "plain", "setting"]

Value = bool | int | float | str
T = TypeVar("T", bool, int, float, str)

_KNOWN = "known"
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSetting:
    """All that is known about one setting.

    Parameters
    ----------
    key
        Its TOML key, ``section.name``.
    kind
        The type of its values; a whole number is taken where `float` is asked.
    default
        Its value where nothing is configured.
    doc, reason
        What it does, and why the default and the range are what they are.
    low, high
        The smallest and the largest value allowed; None for no bound.
    unit
        What a value counts, empty where the kind says it all.
    affects_fold
        Whether another value makes another model of the same journal.
    """

    key: str
    kind: type[Value]
    default: Value
    doc: str
    reason: str
    low: float | None
    high: float | None
    unit: str
    affects_fold: bool

    @property
    def name(self) -> str:
        """The key without its section."""
        return self.key.rpartition(".")[2]

    @property
    def allowed(self) -> str:
        """The values allowed, in words."""
        text = _KINDS[self.kind]
        if self.low is not None:
            text += f" from {plain(self.low)}"
        if self.high is not None:
            text += f" up to {plain(self.high)}"
        return text

    def checked(self, value: object) -> Value:
        """Return `value` in the setting's own type.

        Raises
        ------
        ConfigError
            Where the type or the range is wrong; the text has the value and what is allowed.
        """
        # By type, not by isinstance: True is no whole number here.
        kinds = (int, float) if self.kind is float else (self.kind,)
        if isinstance(value, Value) and type(value) in kinds and self._is_in_range(value):
            return self.kind(value)
        shown = repr(value)
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "…"
        raise ConfigError(f"{self.key} is {shown}, but must be {self.allowed}")

    def _is_in_range(self, value: Value) -> bool:
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        # Chained so that a value that is not a number at all (nan) is out of every range.
        return isinstance(value, str) or low <= value <= high


def setting(  # noqa: PLR0913 - a declaration, not a computation: each is named at the call
    default: T,
    *,
    doc: str,
    reason: str,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    affects_fold: bool = False,
) -> T:
    """Declare a field of a `Section`; the parameters are those of `KnownSetting`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class ToySettings(Section):
    ...     size: int = setting(3, doc="How many.", reason="Enough.", low=1, high=9)
    >>> ToySettings(size=7).size
    7
    >>> ToySettings(size=10)
    Traceback (most recent call last):
    ...
    mtspam.errors.ConfigError: toy.size is 10, but must be a whole number from 1 up to 9
    """
    known = KnownSetting(
        key="",  # its section is known to `known_settings` alone
        kind=type(default),
        default=default,
        doc=doc,
        reason=reason,
        low=low,
        high=high,
        unit=unit,
        affects_fold=affects_fold,
    )
    return field(default=default, metadata={_KNOWN: known})


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of the sections: checks every field when an object is made.

    A subclass is named after its section: `MailSettings` is the section ``mail``.

    Raises
    ------
    ConfigError
        Where a value has a wrong type or is out of range.
    """

    def __post_init__(self) -> None:
        """Check each value and give it the setting's own type."""
        for known in known_settings(type(self)):
            object.__setattr__(self, known.name, known.checked(getattr(self, known.name)))


def known_settings(section: type[Section]) -> tuple[KnownSetting, ...]:
    """List the settings of a section, in the order of their declaration."""
    name = section.__name__.removesuffix("Settings").lower()
    return tuple(
        replace(item.metadata[_KNOWN], key=f"{name}.{item.name}") for item in fields(section)
    )


def plain(value: Value) -> str:
    """Write a value as TOML would have it, with large numbers grouped to be read.

    Examples
    --------
    >>> plain(50_000_000), plain(0.5), plain(True), plain("yes")
    ('50_000_000', '0.5', 'true', '"yes"')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:_}"
