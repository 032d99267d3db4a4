"""Files of settings, good and bad."""

import pytest

from mtspam.config import Settings
from mtspam.errors import ConfigError


def written(tmp_path, text):
    path = tmp_path / "mtspam.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    path = written(tmp_path, "[mail]\nmax_parts = 7\n[verdict]\nham_below = 0\n")
    settings = Settings.from_toml(path)
    expected = Settings().to_mapping()
    expected["mail"]["max_parts"] = 7
    expected["verdict"]["ham_below"] = 0.0
    assert settings.to_mapping() == expected


def test_an_empty_file_is_all_defaults(tmp_path):
    assert Settings.from_toml(written(tmp_path, "")) == Settings()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[mail]\nmax_part = 7\n", 2, "unknown setting 'mail.max_part'; .* 'mail.max_parts'$"),
        ("\n[mial]\nmax_parts = 7\n", 2, "unknown setting 'mial'; .* 'mail'$"),
        ("max_parts = 7\n", 1, "unknown setting 'max_parts'; .* 'mail.max_parts'$"),
        ("[model]\n# x\nmax_parts = 7\n", 3, "unknown setting 'model.max_parts'; .* 'mail.max_p"),
        ("[http]\nport = 7\n", 2, "unknown setting 'http.port'; .* 'http.listen'$"),
        (
            "[spamd]\nallow_tel = 7\n",
            2,
            "unknown setting 'spamd.allow_tel'; .* 'spamd.allow_tell'$",
        ),
        (
            "[lmtp]\nxyz = 7\n",
            2,
            "unknown setting 'lmtp.xyz'; those of 'lmtp' are listen, next_hop, ",
        ),
        ("[zzzzqqqq]\n", 1, "unknown setting 'zzzzqqqq'; the known sections are mail, model"),
        ("[mail]\nmax_depth = 1\nmax_parts = 0 # none\n", 3, "mail.max_parts is 0, but must be"),
        ("mail.max_parts = 'x'\n", 1, "mail.max_parts is 'x', but must be a whole number"),
        ("mail = 3\n", 1, "mail is 3, but must be a table"),
        ("[verdict]\nham_below = 0.9\n", 1, "verdict.ham_below 0.9, .* must not fall"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_file_and_line(tmp_path, text, line, said):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=f"^{path}:{line}: {said}"):
        Settings.from_toml(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mail\n", "not TOML: .*line 1"),
        ("[mail]\nmax_parts = 1\nmax_parts = 2\n", "not TOML: .*line 3"),
        (b"# caf\xe9\n", "not UTF-8 at byte 5"),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=f"^{path}: {said}"):
        Settings.from_toml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: No such file or directory"):
        Settings.from_toml(tmp_path / "none.toml")


def test_a_line_not_found_leaves_the_file_named(tmp_path):
    path = written(tmp_path, 'mail = { "max_parts" = 0 }\n')
    with pytest.raises(ConfigError, match=f"^{path}: mail.max_parts is 0"):
        Settings.from_toml(path)
