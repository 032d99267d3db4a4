"""The views of a message and the kinds of its tokens, with their names for people."""

from enum import IntEnum

__all__ = ["N_TOKEN_VIEWS", "N_VIEWS", "N_WINDOW_VIEWS", "TOKEN_KINDS", "View"]


class View(IntEnum):
    """One way to look at a message; each is a set of features of its own."""

    HEAD = 0
    """Four-byte windows of the first raw bytes of the header."""
    BODY = 1
    """Four-byte windows of the first bytes of the body, transfer encoding undone."""
    FIELDS = 2
    """Tokens of the header fields."""
    TEXT = 3
    """Tokens of subject, text, links and attachments."""
    IDENTITY = 4
    """Who it is from and where it leads: addresses, list, whole subject, linked sites."""


N_VIEWS = len(View)
N_WINDOW_VIEWS = 2
N_TOKEN_VIEWS = N_VIEWS - N_WINDOW_VIEWS

TOKEN_KINDS: dict[str, str] = {
    "H": "field",
    "f": "field-word",
    "a": "address",
    "A": "address-domain",
    "i": "list",
    "n": "recipients",
    "r": "relay-host",
    "R": "relay-domain",
    "4": "relay-network",
    "z": "time-zone",
    "w": "word",
    "p": "pair",
    "s": "subject-word",
    "P": "subject-pair",
    "S": "subject",
    "h": "hidden-word",
    "c": "ideograph",
    "C": "ideograph-pair",
    "L": "long-word",
    "N": "long-number",
    "x": "disguised-word",
    "u": "link-host",
    "d": "link-domain",
    "l": "link-tld",
    "/": "link-path",
    ":": "link-scheme",
    "@": "link-with-user",
    "#": "link-to-number",
    "I": "image",
    "M": "link-shows-other-host",
    "<": "tag",
    ".": "file-ending",
    "F": "file-word",
    "!": "defect",
}
"""Name of each kind of token, by the character that marks it in a golden file."""
