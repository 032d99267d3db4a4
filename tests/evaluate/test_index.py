"""Index and users files: what a line means, and what is said of a broken one."""

import pytest

from mtspam.errors import DataError
from mtspam.evaluate.index import Feedback, read_index, read_users
from mtspam.types import Label


def _index(tmp_path, text, users=None):
    path = tmp_path / "index"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return read_index(path, users)


@pytest.mark.parametrize(
    ("line", "label", "is_spam", "is_scored"),
    [
        ("ham a", Label.HAM, False, True),
        ("spam a", Label.SPAM, True, True),
        ("phishing a", Label.PHISHING, True, True),
        ("bulk a", Label.BULK, False, False),
        ("Spam a", Label.SPAM, True, True),
        ("PHISHING a", Label.PHISHING, True, True),
    ],
)
def test_labels(tmp_path, line, label, is_spam, is_scored):
    (entry,) = _index(tmp_path, line)
    assert (entry.label, entry.is_spam, entry.is_scored) == (label, is_spam, is_scored)


@pytest.mark.parametrize(
    ("rest", "user", "time"),
    [
        ("", None, None),
        (" ann", "ann", None),
        (" 993467899", None, 993467899),
        (" 12345678", "12345678", None),
        (" ann 993467899", "ann", 993467899),
        (" ann 7", "ann", 7),
        (" - 7", None, 7),
        (" -", None, None),
        (" 993467899 7", "993467899", 7),
        ("\r", None, None),
        ("\t ann", "ann", None),
    ],
)
def test_user_and_time(tmp_path, rest, user, time):
    (entry,) = _index(tmp_path, f"ham a{rest}\n")
    assert (entry.user, entry.time) == (user, time)


def test_capitals_give_no_feedback(tmp_path):
    entries = _index(tmp_path, "ham a\nHam b\nSPAM c\nsPam d")
    assert [entry.feedback for entry in entries] == [Feedback.AT_ONCE, *[Feedback.NEVER] * 3]
    assert [entry.has_feedback for entry in entries] == [True, False, False, False]
    assert all(entry.is_scored for entry in entries)


def test_late_feedback_of_a_delayed_index(tmp_path):
    entries = _index(tmp_path, "Ham a\nSpam b\nHAM a\nHam c\n")
    assert [entry.feedback for entry in entries] == [
        Feedback.LATER,
        Feedback.NEVER,
        Feedback.ALONE,
        Feedback.NEVER,
    ]
    assert [entry.has_feedback for entry in entries] == [False, False, True, False]
    assert [entry.is_scored for entry in entries] == [True, True, False, True]


def test_line_numbers_count_blank_lines(tmp_path):
    assert [entry.line for entry in _index(tmp_path, "\nham a\n\nspam b\n")] == [2, 4]


def test_names_that_are_no_utf8(tmp_path):
    (entry,) = _index(tmp_path, "ham caf\udce9\u00a0x")
    assert entry.path == "caf\udce9\u00a0x"


def test_users_go_before_those_of_the_index(tmp_path):
    entries = _index(tmp_path, "ham a x\nham b x\nham c", {"a": "ann", "c": "cy", "z": "zoe"})
    assert [entry.user for entry in entries] == ["ann", "x", "cy"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("ham a\nspam\n", ":2:", "1 field"),
        ("ham a\n\neggs b\n", ":3:", "'eggs'"),
        ("ham a u 1 x", ":1:", "5 field"),
        ("ham a u later", ":1:", "'later'"),
        ("ham a u -7", ":1:", "'-7'"),
        ("ham a u \u0661", ":1:", "time"),
        ("\n \n", "index:", "no message"),
    ],
)
def test_broken_index(tmp_path, text, where, what):
    with pytest.raises(DataError) as caught:
        _index(tmp_path, text)
    assert where in str(caught.value)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_users_file(tmp_path):
    path = tmp_path / "users"
    path.write_text("a ann\n\nb bob\na ann\n")
    assert read_users(path) == {"a": "ann", "b": "bob"}


@pytest.mark.parametrize("text", ["a ann\nb\n", "a ann\na bob\n", "a ann\nb c d\n"])
def test_broken_users_file(tmp_path, text):
    path = tmp_path / "users"
    path.write_text(text)
    with pytest.raises(DataError, match=r"users:2: "):
        read_users(path)


@pytest.mark.parametrize("read", [read_index, read_users])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(DataError, match=r"nowhere: cannot be read: No such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"cannot be read"):
        read(tmp_path)
