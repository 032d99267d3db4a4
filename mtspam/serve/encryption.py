"""What encrypts connections: made from the files that the settings name."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from mtspam.config import Settings, TlsSettings
from mtspam.errors import ConfigError

__all__ = ["HANDSHAKE_SECONDS", "listening", "server_context", "wants_encryption"]

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take to agree on the encryption; before that it is not counted."""


def wants_encryption(settings: Settings) -> bool:
    """Tell whether any face is to listen for encrypted connections."""
    return bool(settings.spamd.tls_listen or settings.http.tls_listen)


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return how this service encrypts: TLS 1.2 or later.

    Raises
    ------
    ConfigError
        Where a file is missing or does not hold.
    """
    if not settings.certificate:
        raise ConfigError("tls.certificate is empty, but encrypted connections need one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a callback a key with a passphrase would ask for it on the terminal.
        context.load_cert_chain(settings.certificate, settings.key or None, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        files = settings.certificate + (f" or tls.key {settings.key}" if settings.key else "")
        raise ConfigError(f"tls.certificate {files}: {_why(error)}") from error
    if settings.client_ca:
        try:
            context.load_verify_locations(settings.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls.client_ca {settings.client_ca}: {_why(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def listening(
    protocol: Callable[[], asyncio.BaseProtocol],
    sock: socket.socket,
    context: ssl.SSLContext | None,
) -> asyncio.Server:
    """Serve each connection to a socket by a protocol, encrypted where there is a context."""
    loop = asyncio.get_running_loop()
    seconds = None if context is None else HANDSHAKE_SECONDS
    serve = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
    return await serve(protocol, sock=sock, ssl=context, ssl_handshake_timeout=seconds)


def _no_password() -> str:
    raise ConfigError("tls.key has a passphrase; nobody is there to type it in")


def _why(error: OSError) -> str:
    return str(error.strerror or error)
