"""Preparing corpora: what is kept of a header, and which list a message came through."""

import pytest
from headers import list_of, split_header, strip_headers


def test_stripping_keeps_subject_and_mime_fields_with_their_folded_lines() -> None:
    raw = (
        b"From a@example.com Mon Jan  1 00:00:00 2001\n"
        b"Received: from x\n\tby y\n"
        b"subject: one\n two\n"
        b"X-Subject: no\n"
        b"MIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed;\n boundary="b"\n'
        b"List-Id: <l.example.com>\n"
        b"\nFrom: in the body\n\nX-Kept: too\n"
    )
    assert strip_headers(raw) == (
        b"subject: one\n two\n"
        b"MIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed;\n boundary="b"\n'
        b"\nFrom: in the body\n\nX-Kept: too\n"
    )


@pytest.mark.parametrize("raw", [b"", b"Subject: only\n", b"Subject: a\r\n\r\nbody\r\n\r\nmore"])
def test_splitting_loses_nothing(raw: bytes) -> None:
    header, body = split_header(raw)
    assert header + body == raw
    assert b"\n\n" not in header.replace(b"\r", b"")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"List-Id: Talk <Talk.Example.org>\nFrom: a@b.example\n\n", "list:talk.example.org"),
        (b"Precedence: bulk\nFrom: News <n@News.Example.com>\n\n", "from:news.example.com"),
        (b"From: a@b.example\n\nPrecedence: bulk\n", None),
        (b"Precedence: first-class\nFrom: a@b.example\n\n", None),
    ],
)
def test_lists_are_told_by_their_headers(raw: bytes, name: str | None) -> None:
    assert list_of(raw) == name


def test_a_known_newsletter_is_named_by_its_sender() -> None:
    assert list_of(b"From: a@b.example\n\n", is_newsletter=True) == "from:b.example"
