import numpy as np

from mtspam.config import MailSettings
from mtspam.kernels import texttokens
from mtspam.mail.extractor import Extractor
from mtspam.mail.letters import LOOK_ALIKES, fold_table
from mtspam.mail.tokens import read_tokens
from mtspam.mail.views import TOKEN_KINDS, View

EXTRACTOR = Extractor(MailSettings(), seed=1)


def tokens_of(raw, view):
    EXTRACTOR.read(raw)
    return [(token.kind, token.text) for token in read_tokens(EXTRACTOR) if token.view == view]


def test_windows_are_shown_as_bytes():
    assert tokens_of(b"A: \xff'\n\nhi you", View.HEAD) == [
        ("window", "A: \\xff"),
        ("window", ": \\xff'"),
        ("window", " \\xff'\\n"),
    ]
    assert tokens_of(b"\nhi you", View.BODY)[0] == ("window", "hi y")


def test_fields_are_shown_with_their_names():
    raw = b"X-Empty:\nX-None:\nX-Mailer: Bird 3\nTo: a@b.example\n\nx"
    assert tokens_of(raw, View.FIELDS) == [
        ("field", "x-empty"),
        ("field", "x-none"),
        ("field", "x-mailer"),
        ("field-word", "x-mailer:Bird"),
        ("field-word", "x-mailer:3"),
        ("field", "to"),
        ("recipients", "to"),
    ]


def test_words_of_a_decoded_field_have_its_name():
    raw = b"From: =?utf-8?q?J=C3=B6?= <j@x.example>\nX-A: =?utf-8?b?w7w=?= b\n\nx"
    words = [text for kind, text in tokens_of(raw, View.FIELDS) if kind == "field-word"]
    assert words == ["from:Jö", "from:j", "from:x.example", "x-a:ü", "x-a:b"]


def test_nothing_that_controls_a_terminal_is_shown():
    raw = b"From: \x1b[31mred\x07@x.example\nSubject: \x1b]0;t\x07 \xe2\x80\xae a\n\n\x9b1m a\x00b"
    EXTRACTOR.read(raw)
    assert all(token.text.isprintable() for token in read_tokens(EXTRACTOR))


def test_long_texts_are_cut():
    raw = b"List-Id: " + b"x" * 5000 + b"\n\n"
    text = next(text for kind, text in tokens_of(raw, View.IDENTITY) if kind == "list")
    assert len(text) == 120
    assert text.endswith("…")


def test_kinds_have_names_of_their_own():
    assert len(set(TOKEN_KINDS.values())) == len(TOKEN_KINDS)
    assert all(len(kind) == 1 and kind.isascii() for kind in TOKEN_KINDS)


def test_look_alikes_fold_to_what_they_look_like():
    table = fold_table()
    for latin, letters in LOOK_ALIKES.items():
        for letter in letters:
            entry = int(table[ord(letter)])
            assert entry & 0xFFFFFF == ord(latin)
            assert entry >> 24 == texttokens.CLASS_FOREIGN


def test_the_fold_table_is_case_blind_and_keeps_scripts_apart():
    table = fold_table()
    assert table[ord("É")] == table[ord("e")] == table[ord("E")]
    assert table[ord("Ж")] == table[ord("ж")] != table[ord("x")]
    assert np.all(table[:128] & 0xFFFFFF < 128)
    for letter in "\u200b\u00ad\u0301":
        assert int(table[ord(letter)]) >> 24 == texttokens.CLASS_IGNORED
    for letter in " .,-\n\x00":
        assert int(table[ord(letter)]) >> 24 == texttokens.CLASS_BREAK
