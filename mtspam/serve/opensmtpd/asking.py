"""Asks the running service about a message over its control socket, without blocking."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtspam.errors import ServiceError
from mtspam.serve.contract import Action, Envelope
from mtspam.serve.opensmtpd.message import Decision

__all__ = ["ServiceAsker"]

_MAX_REPLY_BYTES = 4_194_304
_OK = 200
_REFUSALS = {Action.REJECT: "550 5.7.1", Action.TEMPFAIL: "451 4.7.1"}


class ServiceAsker:
    """Asks for a decision.

    Parameters
    ----------
    path
        The control socket of the service.
    timeout_seconds
        How long an answer may take.
    """

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds

    async def decide(self, raw: bytes, envelope: Envelope) -> Decision:
        """Return what is to become of a message.

        Raises
        ------
        ServiceError
            Where the service is not there, refuses, or takes too long.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, body = await self._post(raw, envelope)
        except TimeoutError as error:
            raise ServiceError(
                f"the service at {self._path} took over {self._timeout_seconds:g} s"
            ) from error
        except (
            OSError,
            ValueError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ) as error:
            raise ServiceError(f"no service answers at {self._path} ({error})") from error
        return _decision(status, body)

    async def _post(self, raw: bytes, envelope: Envelope) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        try:
            writer.write(_head(envelope, len(raw)))
            writer.write(raw)
            head = await reader.readuntil(b"\r\n\r\n")
            status, length = _read_head(head)
            if length is None:
                return status, await reader.read(_MAX_REPLY_BYTES)
            return status, await reader.readexactly(min(length, _MAX_REPLY_BYTES))
        finally:
            writer.transport.abort()


def _head(envelope: Envelope, length: int) -> bytes:
    lines = ["POST /checkv2 HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {_plain(value)}" for name, value in _fields(envelope)]
    lines += [f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace")


def _fields(envelope: Envelope) -> Iterator[tuple[str, str]]:
    for recipient in envelope.recipients:
        # A comma parts addresses there, unless it is quoted.
        yield "Rcpt", f"<{recipient}>"
    for name, value in (
        ("From", None if envelope.sender is None else f"<{envelope.sender}>"),
        ("User", envelope.submitter),
        ("IP", envelope.client_address),
        ("Hostname", envelope.client_name),
        ("Helo", envelope.helo),
        ("Queue-Id", envelope.queue_id),
    ):
        if value is not None:
            yield name, value


def _plain(value: str) -> str:
    """Return a value that cannot end its line."""
    return "".join(c if c >= " " and c != "\x7f" else "?" for c in value)


def _read_head(head: bytes) -> tuple[int, int | None]:
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return status, int(value)
    return status, None


def _decision(status: int, body: bytes) -> Decision:
    try:
        reply = json.loads(body)
        if status != _OK:
            raise ServiceError(f"the service says: {str(reply.get('error', status))[:300]}")
        action = Action(reply["action"])
        added = reply.get("milter", {}).get("add_headers", {})
        text = reply.get("messages", {}).get("smtp_message")
        if text is not None:
            text = f"{_REFUSALS.get(action, '451 4.7.1')} {text}"
        return Decision.of(action, tuple(_added(added)), reply.get("subject"), text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"what answers (status {status}) is no mtspam: {error}") from error


def _added(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, entries in fields.items():
        for entry in entries if isinstance(entries, list) else [entries]:
            yield name, str(entry["value"] if isinstance(entry, dict) else entry)
