"""From TOML to checked sections: every complaint names the file, the line and the way out."""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from mtspam.config.fields import Section, known_settings
from mtspam.errors import ConfigError

__all__ = ["Locate", "build_sections", "read_toml"]

Locate: TypeAlias = Callable[[str], str]
"""Gives the place of a key, ``file:line``, as far as it is known."""

_OTHER_NAMES = dict.fromkeys(
    ("address", "bind", "bind_socket", "host", "port", "socket"), "listen"
)
"""What other programs call a setting that here has another name."""


def read_toml(path: Path) -> tuple[Mapping[str, object], Locate]:
    """Read a file of settings.

    Returns
    -------
    mapping
        What the file says, unchecked.
    locate
        The place of a key in the file.

    Raises
    ------
    ConfigError
        Where the file is missing, unreadable or no TOML.
    """
    try:
        text = path.read_bytes().decode()
        mapping = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error

    def locate(key: str) -> str:
        line = _line_of(text, key)
        return f"{path}:{line}" if line else str(path)

    return mapping, locate


def build_sections(
    sections: Mapping[str, type[Section]], mapping: Mapping[str, object], locate: Locate
) -> dict[str, Section]:
    """Check what a file says and make its sections; those it does not name are left out.

    Raises
    ------
    ConfigError
        Where a key is unknown or a value is not allowed.
    """
    built = {}
    for name, values in mapping.items():
        section = sections.get(name)
        if section is None:
            raise ConfigError(f"{locate(name)}: {_unknown(name, sections)}")
        if not isinstance(values, Mapping):
            raise ConfigError(f"{locate(name)}: {name} is {values!r}, but must be a table")
        built[name] = _build_section(sections, name, values, locate)
    return built


def _build_section(
    sections: Mapping[str, type[Section]],
    name: str,
    values: Mapping[str, object],
    locate: Locate,
) -> Section:
    known = {item.name: item for item in known_settings(sections[name])}
    checked = {}
    for leaf, value in values.items():
        key = f"{name}.{leaf}"
        if leaf not in known:
            raise ConfigError(f"{locate(key)}: {_unknown(key, sections)}")
        try:
            checked[leaf] = known[leaf].checked(value)
        except ConfigError as error:
            raise ConfigError(f"{locate(key)}: {error}") from error
    try:
        return sections[name](**checked)
    except ConfigError as error:
        raise ConfigError(f"{locate(name)}: {error}") from error


def _unknown(key: str, sections: Mapping[str, type[Section]]) -> str:
    """Say that a key is unknown and name the nearest that is known."""
    keys = [item.key for section in sections.values() for item in known_settings(section)]
    name, _, leaf = key.rpartition(".")
    near = [other for other in keys if other.rpartition(".")[2] == leaf]
    if not near and name in sections:
        leaves = [item.name for item in known_settings(sections[name])]
        wanted = _OTHER_NAMES.get(leaf, leaf)
        close = [wanted] if wanted in leaves else difflib.get_close_matches(leaf, leaves, n=1)
        if not close:
            return f"unknown setting {key!r}; those of {name!r} are {', '.join(leaves)}"
        near = [f"{name}.{close[0]}"]
    near = near or difflib.get_close_matches(key, [*sections, *keys], n=1)
    if near:
        return f"unknown setting {key!r}; the nearest known one is {near[0]!r}"
    return f"unknown setting {key!r}; the known sections are {', '.join(sections)}"


def _line_of(text: str, key: str) -> int | None:
    """Find the line of a key; None where the file writes it in a way not looked for here."""
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.partition("#")[0].strip()
        if stripped.startswith("["):
            table = stripped.strip("[] ")
            name = table
        else:
            name = f"{table}.{stripped.partition('=')[0].strip()}".removeprefix(".")
        if name == key:
            return number
    return None
