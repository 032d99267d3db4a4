"""Made-up mail that means harm: what stops other parsers, and messages broken at random."""

import random

__all__ = ["ATTACKS", "PIECES", "html", "mutated", "nested", "with_parts"]

PIECES = (
    b"\n\n", b"\r\n\r\n", b"Subject: ", b"From: ", b"Content-Type: text/html; charset=utf-16\n",
    b"Content-Type: multipart/mixed; boundary=x\n", b"--x\n", b"--x--", b"=?utf-8?b?", b"?=",
    b"Content-Transfer-Encoding: base64\n", b"Content-Type: message/rfc822\n\n", b"charset=hz\n",
    b"Content-Type: text/plain; charset=iso-2022-jp; name=\"=?gb2312?q?=a3?=.zip\"\n", b"\x1b$B",
    b"<div style='display:none'>", b"<a href=", b"&#x1F4B0;",
    b"Received: from a.b.c ([1.2.3.4])\n",
)  # fmt: skip
"""Bytes that mean something to a parser of mail."""


def html(body: bytes) -> bytes:
    """Return a message whose text is the HTML `body`."""
    return b"Content-Type: text/html\n\n" + body


def nested(n: int) -> bytes:
    """Return a message of `n` multiparts, each within the one before."""
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(n)
    )
    return opened + b"\nhi\n" + b"".join(b"--b%d--\n" % i for i in reversed(range(n)))


def with_parts(n: int) -> bytes:
    """Return a message with `n` parts beside each other."""
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nhi\n" * n + b"--b--\n"


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Return `raw` with a few of its bytes changed, left out, doubled or moved."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        start, end = sorted(rng.randint(0, len(data)) for _ in range(2))
        kind = rng.randrange(5)
        if kind == 0:
            data[start : start + rng.randint(1, 4)] = rng.randbytes(rng.randint(0, 6))
        elif kind == 1:
            del data[start : min(end, start + 200)]
        elif kind == 2:
            data[start:start] = data[end : end + 300]
        elif kind == 3:
            data[start:start] = rng.choice(PIECES)
        else:
            data[start:end] = data[start:end].translate(bytes(range(1, 256)) + b"\n")
    return bytes(data)


ATTACKS: dict[str, bytes] = {
    "16,000 semicolons": b"Content-Type: text/plain" + b";" * 16_000 + b"\n\nx",
    "20,000 encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\n\nx",
    "80,000 encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 80_000 + b"\n\nx",
    "8,000 addresses": b"To: " + b"a@b, " * 8_000 + b"\n\nx",
    "2,000 parentheses in To": b"To: " + b"(" * 2_000 + b"\n\nx",
    "multipart nested 1,000 deep": nested(1_000),
    "multipart nested 60,000 deep": nested(60_000),
    "message/rfc822 nested 1,000 deep": b"Content-Type: message/rfc822\n\n" * 1_000,
    "20,000 open tags": html(b"<a " * 20_000),
    "20,000 open comments": html(b"<!--" * 20_000),
    "20,000 open quotes": html(b'<a="' * 20_000),
    "a declaration that is none": html(b"<![" * 20_000),
    "100,000 empty parts": with_parts(100_000),
    "100,000 headers": b"A: b\n" * 100_000 + b"\nx",
    "200,000 folded lines": b"A: b\n" + b" c\n" * 200_000 + b"\nx",
    "100,000 semicolons": b"Content-Type: text/plain" + b";" * 100_000 + b"\n\nx",
    "10,000 open parameters": b"Content-Type: text/plain" + b';a="' * 10_000 + b"\n\nx",
}
"""What takes Python's own parsers, or others, seconds or ends in an error there."""
