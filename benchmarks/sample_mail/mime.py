"""RFC 5322 and MIME, written by hand so that no library's folding changes the bytes."""

import base64
import quopri
from dataclasses import dataclass
from email.utils import formatdate

from sample_mail.slots import Dice

__all__ = ["Draft", "Part", "attachment", "html_part", "mixed", "related_texts", "render", "text"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A MIME part: its headers and its body as it is sent."""

    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What somebody wrote, before any server touched it.

    Parameters
    ----------
    name, address
        The sender, as in From.
    subject
        Text; it is encoded where it is not ASCII.
    content
        The body.
    label
        What the receiver says about it.
    note
        Which kind of mail it is.
    host
        The server that hands it in.
    headers
        Further headers, in order.
    return_path
        The envelope's sender, where it is another.
    passes
        Whether the receiving server finds the sender to be authentic.
    charset
        That of encoded headers.
    """

    name: str
    address: str
    subject: str
    content: Part
    label: str
    note: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()
    return_path: str = ""
    passes: bool = True
    charset: str = "utf-8"


def _encoded(value: str, charset: str) -> str:
    if value.isascii():
        return value
    # A word may have 75 characters, and none may be cut within a letter.
    n = 10 if any(ord(char) > 0x7FF for char in value) else 20
    words = [value[at : at + n].encode(charset, "replace") for at in range(0, len(value), n)]
    return "\n ".join(f"=?{charset}?B?{base64.b64encode(word).decode()}?=" for word in words)


def _transfer(raw: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(raw)
    if encoding == "quoted-printable":
        return quopri.encodestring(raw)
    return raw


def text(content: str, *, charset: str = "utf-8", encoding: str = "", kind: str = "plain") -> Part:
    """Make a part of text; the encoding defaults to 7bit where that will do."""
    raw = content.encode(charset, "xmlcharrefreplace" if kind == "html" else "replace")
    if not encoding:
        is_plain = raw.isascii() and charset != "iso-2022-jp"
        encoding = "7bit" if is_plain else "quoted-printable"
    if raw.isascii() and encoding == "7bit" and charset == "utf-8":
        charset = "us-ascii"
    return Part(
        headers=(
            ("Content-Type", f'text/{kind}; charset="{charset}"'),
            ("Content-Transfer-Encoding", encoding),
        ),
        body=_transfer(raw, encoding),
    )


def html_part(content: str, *, charset: str = "utf-8", encoding: str = "") -> Part:
    """Make a part of HTML."""
    return text(content, charset=charset, encoding=encoding, kind="html")


def attachment(name: str, content_type: str, data: bytes) -> Part:
    """Make an attached file."""
    return Part(
        headers=(
            ("Content-Type", f'{content_type}; name="{name}"'),
            ("Content-Transfer-Encoding", "base64"),
            ("Content-Disposition", f'attachment; filename="{name}"'),
        ),
        body=base64.encodebytes(data),
    )


def _multipart(kind: str, parts: tuple[Part, ...], dice: Dice) -> Part:
    boundary = dice.pick(["----=_Part_", "=-", "b1_", "--_NmP-", "0000000000"]) + dice.token(12)
    pieces = [
        b"--%s\n%s\n%s" % (boundary.encode(), _header_block(part.headers), part.body)
        for part in parts
    ]
    body = b"\n".join(pieces) + b"\n--%s--\n" % boundary.encode()
    return Part(headers=(("Content-Type", f'multipart/{kind}; boundary="{boundary}"'),), body=body)


def related_texts(plain: Part, html: Part, dice: Dice) -> Part:
    """Offer the same as text and as HTML."""
    return _multipart("alternative", (plain, html), dice)


def mixed(parts: tuple[Part, ...], dice: Dice) -> Part:
    """Put files behind a text."""
    return _multipart("mixed", parts, dice)


def _header_block(headers: tuple[tuple[str, str], ...]) -> bytes:
    return "".join(f"{name}: {value}\n" for name, value in headers).encode()


def _mailbox(name: str, address: str, charset: str) -> str:
    if not name:
        return address
    shown = _encoded(name, charset) if not name.isascii() else f'"{name}"'
    return f"{shown} <{address}>"


def render(draft: Draft, user: str, time: int, dice: Dice) -> bytes:
    """Write the message as it lies in the mailbox of `user` since `time`."""
    net = dice.pick(["192.0.2", "198.51.100", "203.0.113"])
    domain = draft.address.rpartition("@")[2]
    seen = "pass" if draft.passes else dice.pick(["fail", "softfail", "none"])
    receiver = (user.capitalize() if dice.chance(0.5) else "", f"{user}@example.org")
    headers = [
        ("Return-Path", f"<{draft.return_path or draft.address}>"),
        (
            "Received",
            f"from {draft.host} ({draft.host} [{net}.{dice.between(1, 254)}])\n"
            f"\tby mx.example.org with ESMTPS id {dice.token(10)}\n"
            f"\tfor <{user}@example.org>; {formatdate(time)}",
        ),
        ("Authentication-Results", f"mx.example.org; spf={seen} smtp.mailfrom={domain}"),
        ("Date", formatdate(time - dice.between(2, 90))),
        ("From", _mailbox(draft.name, draft.address, draft.charset)),
        ("To", _mailbox(*receiver, "utf-8")),
        ("Subject", _encoded(draft.subject, draft.charset)),
        ("Message-ID", f"<{dice.token(14)}@{draft.host}>"),
        *draft.headers,
        ("MIME-Version", "1.0"),
        *draft.content.headers,
    ]
    return _header_block(tuple(headers)) + b"\n" + draft.content.body
