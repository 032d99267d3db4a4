"""The password of who may teach: its hash, and a gate that guessing does not pass."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import secrets
import time
from collections import OrderedDict

from mtspam.errors import ConfigError
from mtspam.serve.http.messages import RefusedError

__all__ = ["Gate", "hash_password", "is_password"]

_log = logging.getLogger(__name__)

# One of the choices for scrypt that OWASP calls equal: 32 MB, a quarter of a second a guess.
_N, _R, _P = 2**15, 8, 3
_MAX_MEMORY_BYTES = 1 << 30
_KEY_BYTES = 32
_NO_HASH = "http.password_hash is no hash as `mtspam serve --hash-password` prints it"
_WINDOW_SECONDS = 60.0
_MAX_SOURCES = 10_000
_IPV6_NETWORK_BITS = 64


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    key = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        key, salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY_BYTES, dklen=_KEY_BYTES
    )


def hash_password(password: str) -> str:
    """Return what to put into the configuration for a password.

    Examples
    --------
    >>> is_password("sesame", hash_password("sesame"))
    True
    """
    salt = secrets.token_bytes(16)
    parts = (salt, _derived(password, salt, _N, _R, _P))
    shown = "$".join(base64.b64encode(part).decode("ascii") for part in parts)
    return f"scrypt${_N}${_R}${_P}${shown}"


def is_password(password: str, stored: str) -> bool:
    """Tell whether a password is the one that was hashed; as slow as hashing one.

    Raises
    ------
    ConfigError
        Where `stored` is no hash.
    """
    expected, salt, costs = _parsed(stored)
    return hmac.compare_digest(_derived(password, salt, *costs), expected)


def _parsed(stored: str) -> tuple[bytes, bytes, tuple[int, int, int]]:
    try:
        n, r, p, salt, expected = stored.removeprefix("scrypt$").split("$")
        costs = int(n), int(r), int(p)
        parts = [base64.b64decode(part, validate=True) for part in (expected, salt)]
    except (ValueError, binascii.Error) as problem:
        raise ConfigError(_NO_HASH) from problem
    if len(parts[0]) != _KEY_BYTES or any(one < 1 for one in costs):
        raise ConfigError(_NO_HASH)
    return parts[0], parts[1], costs


class Gate:
    """Lets through who knows the password; remembers that, and who guessed wrong of late.

    Parameters
    ----------
    stored
        The hash; nobody gets through where it is empty.
    max_failures
        Wrong guesses of one source within a minute.

    Raises
    ------
    ConfigError
        Where `stored` is neither empty nor a hash.
    """

    def __init__(self, stored: str, max_failures: int) -> None:
        if stored:
            _parsed(stored)
        self._stored = stored
        self._max_failures = max_failures
        self._key = secrets.token_bytes(32)
        self._known: bytes | None = None
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        # One at a time: each takes memory and a core.
        self._turn = asyncio.Lock()

    async def admit(self, password: str | None, source: str) -> None:
        """Return where the password is right.

        Parameters
        ----------
        password
            As given; None where none was.
        source
            The client's address.

        Raises
        ------
        RefusedError
            401 without a password or with a wrong one, 403 where none is set, 429 after too
            many wrong ones.
        """
        if not self._stored:
            raise RefusedError(
                403, "teaching over TCP is off: set http.password_hash, or use the control socket"
            )
        if password is None:
            raise RefusedError(
                401, "a password is needed: header Password or Authorization: Bearer"
            )
        mark = hmac.digest(self._key, password.encode("utf-8", "surrogatepass"), "sha256")
        if self._known is not None and hmac.compare_digest(mark, self._known):
            return
        source = _network_of(source)
        async with self._turn:
            self._refuse_guessing(source)
            if await asyncio.to_thread(is_password, password, self._stored):
                self._known = mark
                return
            self._note_failure(source)
        _log.warning("wrong password over HTTP", extra={"source": source})
        raise RefusedError(401, "the password is wrong")

    def _refuse_guessing(self, source: str) -> None:
        began, n_failures = self._failures.get(source, (0.0, 0))
        if n_failures >= self._max_failures and time.monotonic() - began < _WINDOW_SECONDS:
            raise RefusedError(429, "too many wrong passwords: try again in a minute")

    def _note_failure(self, source: str) -> None:
        now = time.monotonic()
        began, n_failures = self._failures.pop(source, (now, 0))
        if now - began >= _WINDOW_SECONDS:
            began, n_failures = now, 0
        self._failures[source] = (began, n_failures + 1)
        while len(self._failures) > _MAX_SOURCES:
            self._failures.popitem(last=False)


def _network_of(source: str) -> str:
    """Return what stands for a client: an IPv6 host has a whole network of addresses."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    if address.version == 4:  # noqa: PLR2004 - IP's version number
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False))
