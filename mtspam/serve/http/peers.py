"""rspamd's endpoints: its scans on connections that the framework has, teaching, figures."""

import logging
from typing import Any

from litestar import HttpMethod, Response, get, post, route
from litestar.handlers import HTTPRouteHandler

from mtspam.serve.contract import LearnOutcome
from mtspam.serve.http.desk import (
    AnyRequest,
    began_of,
    body_in,
    desk_of,
    fields_of,
    may_teach,
    message_in,
    totals_of,
)
from mtspam.serve.http.envelopes import envelope_of, refuse_local_objects
from mtspam.serve.http.figures import OPENMETRICS, as_auth, as_metrics, as_stat
from mtspam.serve.http.messages import Answer, Arrived, Fields, RefusedError, first_of
from mtspam.serve.http.own import TakesMessage, refusals
from mtspam.serve.http.scanning import PONG
from mtspam.types import Label

__all__ = [
    "PEER_HANDLERS",
    "auth",
    "healthy",
    "learn_class",
    "learn_ham",
    "learn_spam",
    "metrics",
    "ping",
    "scan",
    "scan_parts",
    "stat",
]

_log = logging.getLogger(__name__)

_TEACHING = refusals(208, 400, 401, 403, 413, 415, 429, 503)
_SECURED: list[dict[str, list[str]]] = [{"password": []}]


def _response(answer: Answer) -> Response[bytes]:
    return Response(answer.body, status_code=answer.status, media_type=answer.media_type)


@route(
    ["/checkv2", "/check", "/symbols", "/scan"],
    http_method=[HttpMethod.GET, HttpMethod.POST],
    status_code=200,
    operation_class=TakesMessage,
    responses=refusals(400, 403, 413, 415, 503),
)
async def scan(request: AnyRequest) -> Response[dict[str, Any]]:
    """Scan a message as rspamd does.

    What is known of it stands in header fields: `Deliver-To`, `Rcpt`, `From`, `IP`, `Helo`,
    `Hostname`, `User`, `Queue-Id`.
    """
    return await _scanned(request)


@post(
    "/checkv3",
    status_code=200,
    responses=refusals(400, 403, 413, 415, 503),
)
async def scan_parts(request: AnyRequest) -> Response[dict[str, Any]]:
    """Scan a message sent as a form of the parts `metadata` and `message`."""
    return await _scanned(request)


async def _scanned(request: AnyRequest) -> Response[Any]:
    async with body_in(request) as body:
        path = request.scope["path"].encode("utf-8", "replace")
        arrived = Arrived(path, fields_of(request), body)
        return _response(desk_of(request).scanner.answer(arrived))


@get("/ping", media_type="text/plain")
async def ping() -> Response[bytes]:
    """Answer that somebody is here."""
    return _response(PONG)


@post(
    "/learnspam",
    status_code=200,
    operation_class=TakesMessage,
    guards=[may_teach],
    responses=_TEACHING,
    security=_SECURED,
)
async def learn_spam(request: AnyRequest) -> Response[dict[str, Any]]:
    """Learn a message as spam, for the user in `Deliver-To`, else for everybody."""
    return await _learnt(request, Label.SPAM)


@post(
    "/learnham",
    status_code=200,
    operation_class=TakesMessage,
    guards=[may_teach],
    responses=_TEACHING,
    security=_SECURED,
)
async def learn_ham(request: AnyRequest) -> Response[dict[str, Any]]:
    """Learn a message as ham, for the user in `Deliver-To`, else for everybody."""
    return await _learnt(request, Label.HAM)


@post(
    "/learnclass",
    status_code=200,
    operation_class=TakesMessage,
    guards=[may_teach],
    responses=_TEACHING,
    security=_SECURED,
)
async def learn_class(request: AnyRequest) -> Response[dict[str, Any]]:
    """Learn a message as what the header `Class` says: spam, ham, phishing or bulk."""
    given = (first_of(fields_of(request), b"class") or b"").decode("latin-1").strip().lower()
    allowed = [label.value for label in Label]
    if given not in allowed:
        raise RefusedError(400, f"the header Class must be one of {', '.join(allowed)}")
    return await _learnt(request, Label(given))


def _speaker(fields: Fields) -> str | None:
    """Return who teaches: None where no field says so, empty where one does and names nobody."""
    recipients = envelope_of(fields, "http").recipients
    if recipients:
        return recipients[0]
    is_named = any(name in (b"deliver-to", b"rcpt") for name, _ in fields)
    return "" if is_named else None


async def _learnt(request: AnyRequest, label: Label) -> Response[dict[str, Any]]:
    fields = fields_of(request)
    refuse_local_objects(fields)
    user = _speaker(fields)
    async with message_in(request) as raw:
        if not raw:
            raise RefusedError(400, "Empty body is not permitted")
        learnt = await desk_of(request).service.learn(raw, label, user=user, source="http")
    if learnt.outcome is LearnOutcome.SAME:
        # Silence would look like success to whoever gave the label.
        text = f"{learnt.id} has been already learned as {label.value}, ignore it"
        _log.info("label refused: already learned", extra={"id": learnt.id})
        return Response({"error": text}, status_code=208)
    return Response({"success": True})


@get("/stat")
async def stat(request: AnyRequest) -> Response[dict[str, Any]]:
    """Tell rspamd's figures, as far as they make sense here."""
    desk = desk_of(request)
    return Response(as_stat(totals_of(desk), began_of(desk)))


@get(
    "/auth",
    guards=[may_teach],
    responses=refusals(401, 403, 429),
    security=_SECURED,
)
async def auth(request: AnyRequest) -> Response[dict[str, Any]]:
    """Tell whether the password is right."""
    desk = desk_of(request)
    return Response(as_auth(totals_of(desk), began_of(desk)))


@get("/metrics", media_type=OPENMETRICS)
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Tell all counts as OpenMetrics."""
    desk = desk_of(request)
    return Response(as_metrics(totals_of(desk), began_of(desk)), media_type=OPENMETRICS)


@get(["/healthy", "/ready"])
async def healthy() -> dict[str, bool]:
    """Answer that this worker can be asked."""
    return {"success": True}


PEER_HANDLERS: list[HTTPRouteHandler] = [
    scan,
    scan_parts,
    ping,
    learn_spam,
    learn_ham,
    learn_class,
    stat,
    auth,
    metrics,
    healthy,
]
"""All handlers of this module."""
