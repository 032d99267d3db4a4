"""The settings that stand: listed, digested, in order, and quick to import."""

import subprocess
import sys
from dataclasses import replace

import pytest

from mtspam.config import Settings, VerdictSettings
from mtspam.errors import ConfigError


@pytest.mark.parametrize("known", Settings.known(), ids=lambda known: known.key)
def test_each_setting_is_described_and_its_default_is_allowed(known):
    assert known.doc.endswith(".")
    assert known.reason
    assert not known.reason.endswith(".")
    assert known.checked(known.default) == known.default
    if known.kind in {int, float}:
        assert known.low is not None
        assert known.high is not None


def test_sections_are_named_after_their_classes():
    for name, section in Settings.sections().items():
        assert section.__name__ == f"{name.capitalize()}Settings"


def test_a_mapping_comes_back_as_it_was_given():
    settings = Settings.from_mapping({"model": {"shared_bits": 9}, "mail": {"max_depth": 2}})
    assert settings.model.shared_bits == 9
    assert Settings.from_mapping(settings.to_mapping()) == settings


def test_an_error_in_a_mapping_names_its_source():
    with pytest.raises(ConfigError, match=r"^snapshot header: unknown setting 'mail\.x'"):
        Settings.from_mapping({"mail": {"x": 1}}, source="snapshot header")


def test_the_digest_changes_with_each_setting_that_affects_the_fold_and_with_no_other():
    settings = Settings()
    for known in Settings.known():
        section = known.key.partition(".")[0]
        if known.kind not in {int, float} or section in {"verdict", "journal"}:
            continue
        other = known.high if known.default != known.high else known.low
        changed = Settings.from_mapping({section: {known.name: known.kind(other)}})
        assert (changed.digest() != settings.digest()) is known.affects_fold, known.key
    calmer = replace(settings, verdict=VerdictSettings(spam_above=0.99))
    assert calmer.digest() == settings.digest()


def test_the_digest_is_the_same_in_every_process():
    code = "from mtspam.config import Settings; print(Settings().digest())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == Settings().digest()


@pytest.mark.parametrize(
    "lines",
    [{"ham_below": 0.6}, {"spam_above": 0.4}, {"spam_threshold": 0.81}, {"spam_threshold": 0.19}],
)
def test_the_lines_between_verdicts_must_not_fall(lines):
    with pytest.raises(ConfigError, match="must not fall"):
        VerdictSettings(**lines)


def test_the_lines_between_verdicts_may_coincide():
    one = VerdictSettings(ham_below=0.5, spam_above=0.5)
    assert one.ham_below == one.spam_threshold == one.spam_above


def test_settings_are_imported_without_the_heavy_libraries():
    code = (
        "import sys; import mtspam.config, mtspam.resources;"
        "print([m for m in ('numpy', 'numba', 'polars', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
