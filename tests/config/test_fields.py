"""Declaring and checking settings, on a toy section."""

import math
from dataclasses import dataclass

import pytest

from mtspam.config.fields import Section, known_settings, plain, setting
from mtspam.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ToySettings(Section):
    """A toy."""

    size: int = setting(3, doc="How many.", reason="Enough.", low=1, high=9, unit="toys")
    rate: float = setting(0.5, doc="How fast.", reason="Fair.", low=0.0, high=1.0)
    is_red: bool = setting(False, doc="Red.", reason="Plain.", affects_fold=True)
    name: str = setting("bear", doc="Its name.", reason="Short.")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", 1),
        ("size", 9),
        ("rate", 0.0),
        ("rate", 1.0),
        ("is_red", True),
        ("name", ""),
    ],
)
def test_a_value_at_its_limit_is_taken(key, value):
    assert getattr(ToySettings(**{key: value}), key) == value


def test_a_whole_number_becomes_the_number_that_is_asked_for():
    assert type(ToySettings(rate=1).rate) is float


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("size", 0, "a whole number from 1 up to 9"),
        ("size", 10, "a whole number from 1 up to 9"),
        ("size", 3.0, "a whole number from 1 up to 9"),
        ("size", True, "a whole number from 1 up to 9"),
        ("size", None, "a whole number from 1 up to 9"),
        ("rate", math.nextafter(1.0, 2.0), "a number from 0.0 up to 1.0"),
        ("rate", math.nan, "a number from 0.0 up to 1.0"),
        ("rate", math.inf, "a number from 0.0 up to 1.0"),
        ("rate", 10**400, "a number from 0.0 up to 1.0"),
        ("rate", "1", "a number from 0.0 up to 1.0"),
        ("is_red", 1, "true or false"),
        ("name", 7, "a text"),
    ],
)
def test_a_value_not_allowed_is_named_with_what_is_allowed(key, value, allowed):
    with pytest.raises(ConfigError, match=f"^toy.{key} is .*, but must be {allowed}$"):
        ToySettings(**{key: value})


def test_a_long_value_is_cut_in_the_error():
    with pytest.raises(ConfigError) as caught:
        ToySettings(size="x" * 10_000)
    assert len(str(caught.value)) < 200


def test_settings_are_listed_in_the_order_of_their_declaration():
    listed = known_settings(ToySettings)
    assert [known.key for known in listed] == ["toy.size", "toy.rate", "toy.is_red", "toy.name"]
    assert [known.kind for known in listed] == [int, float, bool, str]
    assert [known.affects_fold for known in listed] == [False, False, True, False]
    assert listed[0].unit == "toys"


@pytest.mark.parametrize(
    ("value", "text"),
    [(65_536, "65_536"), (0.001, "0.001"), (1e-8, "1e-08"), (False, "false"), ("a", '"a"')],
)
def test_values_are_written_as_toml_has_them(value, text):
    assert plain(value) == text
