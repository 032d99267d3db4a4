"""Who a message is really from, as far as the mail server's Authentication-Results say.

References
----------
M. Kucherawy, "Message Header Field for Indicating Message Authentication Status", RFC 8601 (2019).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mtspam.serve.fields import field_values

__all__ = ["MethodResult", "Sender", "read_results", "sender_of"]

_MAX_VALUE_CHARACTERS = 16_384
_MAX_METHODS = 64
_MAX_NESTING = 16
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BETWEEN_ADDRESSES = re.compile(r"[\s<>,;:()]+")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s;"=/]+)|([;=/])|\s+')


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method's result: ``dkim=pass`` with its properties, such as ``header.d``."""

    method: str
    result: str
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom a message claims to be from, and whether that is proven.

    Parameters
    ----------
    address
        The one address in ``From``, in small letters; empty where there is none, or several.
    named
        All addresses that a list may name: those in ``From`` and the envelope sender.
    is_proven
        Whether a trusted server's results say that `address` is no forgery.
    """

    address: str
    named: tuple[str, ...]
    is_proven: bool


def sender_of(raw: bytes, envelope_sender: str | None, trusted: frozenset[str]) -> Sender:
    """Read who sent a message.

    Parameters
    ----------
    raw
        The message.
    envelope_sender
        As the mail server says, if it does.
    trusted
        Names (authserv-id) of the servers whose results are believed, in small letters. Of their
        fields the topmost counts alone: the server has put it above what came from outside.
    """
    fields = field_values(raw, ["from", "authentication-results"])
    authors = [value for name, value in fields if name == "from"]
    addresses = [address for value in authors for address in _addresses(value)]
    sole = addresses[0] if len(authors) == 1 and len(addresses) == 1 else ""
    named = [*addresses, (envelope_sender or "").strip().strip("<>").lower()]
    results = _trusted_results(fields, trusted) if sole and trusted else []
    return Sender(
        address=sole,
        named=tuple(dict.fromkeys(name for name in named if name)),
        is_proven=_proves(results, sole.rpartition("@")[2]),
    )


def _addresses(value: str) -> list[str]:
    """Return the addresses in a field's value, each once; what is quoted or a comment is none.

    The library's reader is for well-formed values: it fails on others, and takes one of several
    addresses where it should take none.
    """
    if len(value) > _MAX_VALUE_CHARACTERS:
        return []
    plain = _QUOTED.sub(" ", _without_comments(value)).lower()
    words = (word.rpartition("@") for word in _BETWEEN_ADDRESSES.split(plain))
    found = [f"{local}@{domain}" for local, _, domain in words if local and domain]
    return list(dict.fromkeys(found))


def _trusted_results(fields: list[tuple[str, str]], trusted: frozenset[str]) -> list[MethodResult]:
    """Return what the topmost field of a trusted server says."""
    for name, value in fields:
        if name == "authentication-results":
            server, results = read_results(value)
            if server in trusted:
                return results
    return []


def _proves(results: list[MethodResult], domain: str) -> bool:
    """Tell whether results prove that a message is from a domain."""
    for one in results:
        if one.result != "pass":
            continue
        said = one.properties
        if one.method == "dmarc":
            # The method looks at the domain in From alone; which one that was need not be said.
            proven = said.get("header.from", domain).rpartition("@")[2] == domain
        elif one.method == "dkim":
            proven = _is_aligned(said.get("header.d") or said.get("header.i", ""), domain)
        elif one.method == "spf":
            proven = _is_aligned(said.get("smtp.mailfrom", ""), domain)
        else:
            proven = False
        if proven:
            return True
    return False


def _is_aligned(proven: str, domain: str) -> bool:
    """Tell whether a proven domain may speak for a domain: it is the same or one above it."""
    proven = proven.rpartition("@")[2].rstrip(".")
    # One label alone is a registry, whose word is no proof of anything below it.
    return bool(proven) and (proven == domain or ("." in proven and domain.endswith("." + proven)))


def read_results(value: str) -> tuple[str, list[MethodResult]]:
    """Read the value of one Authentication-Results field.

    Returns
    -------
    tuple
        The server's name in small letters, empty where the value is none of the kind; and what
        its methods found, those left out that cannot be read.

    Examples
    --------
    >>> server, found = read_results("mx.example.org; spf=pass smtp.mailfrom=ana@example.org")
    >>> server, found[0].method, found[0].result, found[0].properties
    ('mx.example.org', 'spf', 'pass', {'smtp.mailfrom': 'ana@example.org'})
    """
    parts = list(_parts(_tokens(_without_comments(value[:_MAX_VALUE_CHARACTERS]))))
    if not parts or not parts[0]:
        return "", []
    server, *version = parts[0]
    if server in {"=", "/"} or len(version) > 1 or (version and version[0] != "1"):
        return "", []
    results = [_result(part) for part in parts[1 : 1 + _MAX_METHODS]]
    return server, [one for one in results if one is not None]


def _without_comments(value: str) -> str:
    """Replace comments by blanks; they nest, and quoted text holds none."""
    kept: list[str] = []
    depth, is_quoted, is_escaped = 0, False, False
    for letter in value:
        if is_escaped:
            is_escaped = False
        elif letter == "\\" and (is_quoted or depth):
            is_escaped = True
        elif letter == '"' and not depth:
            is_quoted = not is_quoted
        elif letter == "(" and not is_quoted:
            depth += 1
            if depth > _MAX_NESTING:
                return ""
        elif letter == ")" and depth:
            depth -= 1
            kept.append(" ")
            continue
        if not depth:
            kept.append(letter)
    return "" if depth or is_quoted else "".join(kept)


def _tokens(value: str) -> Iterator[tuple[str, bool]]:
    """Cut a value into words in small letters; with each, whether it is one of ``; = /``."""
    at = 0
    while at < len(value):
        found = _TOKEN.match(value, at)
        if found is None:
            at += 1  # a quotation mark that nothing closes
            continue
        at = found.end()
        if found[1] is not None:
            yield re.sub(r"\\(.)", r"\1", found[1]).lower(), False
        elif found[2] is not None:
            yield found[2].lower(), False
        elif found[3] is not None:
            yield found[3], True


def _parts(tokens: Iterator[tuple[str, bool]]) -> Iterator[list[str]]:
    """Cut words at semicolons."""
    part: list[str] = []
    for word, is_sign in tokens:
        if is_sign and word == ";":
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _result(part: list[str]) -> MethodResult | None:
    """Read ``method[/version]=result`` and the properties behind it."""
    if len(part) > 2 and part[1] == "/":  # noqa: PLR2004 - method, slash, version
        part = [part[0], *part[3:]]
    if len(part) < 3 or part[1] != "=":  # noqa: PLR2004 - method, equals sign, result
        return None
    method, _, result, *rest = part
    properties: dict[str, str] = {}
    for at, word in enumerate(rest):
        if word == "=" and 0 < at < len(rest) - 1:
            properties.setdefault(rest[at - 1], "".join(_value_at(rest, at + 1)))
    return MethodResult(method, result, properties)


def _value_at(words: list[str], at: int) -> Iterator[str]:
    """Yield the words of a value: slashes belong to it, as in ``header.b=a/b``."""
    yield words[at]
    for sign, word in zip(words[at + 1 :: 2], words[at + 2 :: 2], strict=False):
        if sign != "/":
            return
        yield sign + word
