"""Made-up messages and the features that come out of them, as text.

A case is two files in ``tests/golden/mail``: ``NAME.eml`` and ``NAME.tokens``. To add one, write
the message and run ``python -m tests.mail.test_golden``, which writes the second file of every
case; then read what changed.
"""

from pathlib import Path

import pytest

from mtspam.config import MailSettings
from mtspam.mail.extractor import DEFECTS, Extractor
from mtspam.mail.tokens import read_tokens
from mtspam.mail.views import TOKEN_KINDS, View

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "mail"
CASES = sorted(FOLDER.glob("*.eml"))


def describe(raw):
    """Defects, number of windows, and one line for each token: view, kind, text."""
    extractor = Extractor(MailSettings(), seed=1)
    extractor.read(raw)
    tokens = read_tokens(extractor)
    defects = [name for bit, name in DEFECTS.items() if extractor.defects & bit]
    windows = [sum(token.view == view for token in tokens) for view in (View.HEAD, View.BODY)]
    lines = [
        " ".join(["defects:", *defects]),
        f"windows: {windows[0]} {windows[1]}",
        *sorted(
            f"{token.view.name.lower()} {token.kind}: {token.text}"
            for token in tokens
            if token.view > View.BODY
        ),
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_message_gives_its_tokens(path):
    assert describe(path.read_bytes()) == path.with_suffix(".tokens").read_text("utf-8")


def test_the_cases_show_every_kind_of_token():
    shown = "".join(path.with_suffix(".tokens").read_text("utf-8") for path in CASES)
    kinds = {line.partition(":")[0].partition(" ")[2] for line in shown.splitlines()}
    assert set(TOKEN_KINDS.values()) <= kinds


def test_each_case_has_both_files():
    assert {path.stem for path in CASES} == {path.stem for path in FOLDER.glob("*.tokens")}
    assert len(CASES) >= 15


def regenerate():
    """Write what the messages give now."""
    for path in CASES:
        path.with_suffix(".tokens").write_text(describe(path.read_bytes()), "utf-8")


if __name__ == "__main__":
    regenerate()
