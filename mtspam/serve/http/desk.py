"""What the framework's handlers share: whom to ask, who may teach, how bodies are taken in."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Receive

from mtspam.serve.contract import Service
from mtspam.serve.http.connections import Room
from mtspam.serve.http.messages import Fields, RefusedError
from mtspam.serve.http.passwords import Gate
from mtspam.serve.http.scanning import Scanner
from mtspam.serve.http.unpacking import message_of
from mtspam.serve.roster import Roster, Staff

__all__ = [
    "AnyRequest",
    "Desk",
    "admit",
    "began_of",
    "body_in",
    "desk_of",
    "fields_of",
    "may_teach",
    "message_in",
    "staff_of",
    "totals_of",
]

AnyRequest = Request[Any, Any, Any]

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Desk:
    """What handlers need; one for each face.

    Parameters
    ----------
    service
        Whom to ask.
    scanner
        Answers scans.
    gate
        Knows the password.
    room
        Bytes that may be arriving.
    limit
        The most bytes of a message.
    is_trusted
        Whether all clients of the socket may teach.
    began
        Unix seconds at which the face was started.
    """

    service: Service
    scanner: Scanner
    gate: Gate
    room: Room
    limit: int
    is_trusted: bool
    began: float


def desk_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Desk:
    """Return what a request's handler works with."""
    desk: Desk = connection.app.state.desk
    return desk


def totals_of(desk: Desk) -> Mapping[str, float]:
    """Return the counts of all workers and figures of the model; none where nobody counts."""
    counters = getattr(desk.service, "counters", None)
    figures = getattr(desk.service, "model_figures", None)
    totals = {} if counters is None else counters.totals()
    return totals if figures is None else {**totals, **figures()}


def staff_of(desk: Desk) -> list[Staff]:
    """Return the processes of the service; none where there is only this one."""
    roster = getattr(desk.service, "roster", None)
    return roster.staff() if isinstance(roster, Roster) else []


def began_of(desk: Desk) -> float:
    """Return the Unix seconds at which the service began, whichever of its workers answers."""
    roster = getattr(desk.service, "roster", None)
    return roster.began if isinstance(roster, Roster) else desk.began


def fields_of(request: AnyRequest) -> Fields:
    """Return a request's header fields."""
    return list(request.scope["headers"])


async def may_teach(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let through who may teach, as a guard of a handler; see `admit`.

    Raises
    ------
    RefusedError
        For all others.
    """
    await admit(connection)


async def admit(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Let through who may teach: whoever uses the control socket, or knows the password.

    Raises
    ------
    RefusedError
        For all others; as `Gate.admit` does.
    """
    desk = desk_of(connection)
    if desk.is_trusted:
        return
    password = connection.headers.get("password")
    authorization = connection.headers.get("authorization", "")
    if password is None and authorization[: len(_BEARER)].lower() == _BEARER:
        password = authorization[len(_BEARER) :]
    asked = connection.query_params.get("password") if password is None else _as_typed(password)
    await desk.gate.admit(asked, connection.client.host if connection.client else "")


def _as_typed(password: str) -> str:
    """Return a password as it was meant out of a header field, which was read as Latin-1.

    Most clients send there what a terminal gives them, which is UTF-8; some send Latin-1.
    """
    try:
        return password.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return password


@asynccontextmanager
async def message_in(request: AnyRequest) -> AsyncIterator[bytes]:
    """Take in the message of a request; its room is given back on leaving.

    Raises
    ------
    RefusedError
        As `body_in`, and where it cannot be unpacked.
    """
    async with body_in(request) as body:
        yield message_of(fields_of(request), body, desk_of(request).limit)


@asynccontextmanager
async def body_in(request: AnyRequest, limit: int | None = None) -> AsyncIterator[bytes]:
    """Take in the body of a request as it was sent; its room is given back on leaving.

    Parameters
    ----------
    limit
        The most bytes; None: those of a message.

    Raises
    ------
    RefusedError
        Where it is too large, or there is no room for it.
    """
    desk = desk_of(request)
    most = desk.limit if limit is None else limit
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    n_bytes = 0
    try:
        async for chunk in _chunks_of(request.receive):
            if n_bytes + len(chunk) > most:
                raise _too_large(most)
            if not desk.room.take(len(chunk)):
                raise RefusedError(503, "too much is arriving")
            n_bytes += len(chunk)
            chunks.append(chunk)
        yield b"".join(chunks)
    finally:
        desk.room.give_back(n_bytes)


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body must not have more than {limit} bytes")


async def _chunks_of(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise RefusedError(400, "the client went away")
        if event["type"] == "http.request":
            if event["body"]:
                yield event["body"]
            if not event.get("more_body", False):
                return
