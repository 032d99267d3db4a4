"""The application that answers whatever is no scan, and its OpenAPI document."""

import logging
from collections.abc import Sequence
from html import escape
from typing import Any

from litestar import Litestar, MediaType, Response, get
from litestar.datastructures import MutableScopeHeaders, State
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Scope

from mtspam import __version__
from mtspam.errors import DataError
from mtspam.serve.contract import BusyError, UnavailableError
from mtspam.serve.http.desk import AnyRequest, Desk
from mtspam.serve.http.door import SERVER_NAME, date_now
from mtspam.serve.http.messages import RefusedError
from mtspam.serve.http.own import OwnController
from mtspam.serve.http.peers import PEER_HANDLERS

__all__ = ["build_app"]

_log = logging.getLogger(__name__)

_NOT_FOUND = 404
# At the root it would answer for every unknown path.
_SCHEMA_PATH = "/schema"
_OPENAPI_TYPE = "application/vnd.oai.openapi+json"
_UNKNOWN = {"error": "invalid command", "error_domain": "protocol-error"}


def build_app(desk: Desk, routes: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """Put the application of one face together.

    Parameters
    ----------
    desk
        What the handlers work with.
    routes
        Further handlers, of other rooms.
    """
    return Litestar(
        [OwnController, *PEER_HANDLERS, _openapi, _docs, *routes],
        state=State({"desk": desk}),
        before_send=[_complete_head],
        exception_handlers={
            RefusedError: _refused,
            BusyError: _unavailable,
            UnavailableError: _unavailable,
            DataError: _wrong,
            HTTPException: _malformed,
            Exception: _failed,
        },
        openapi_config=OpenAPIConfig(
            title="mtspam",
            version=__version__,
            summary="A spam filter that learns for everybody and for each user at once",
            use_handler_docstrings=True,
            path=_SCHEMA_PATH,
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            components=Components(
                security_schemes={
                    "password": SecurityScheme(
                        type="apiKey",
                        name="Password",
                        security_scheme_in="header",
                        description="Needed over TCP; `Authorization: Bearer` does as well.",
                    )
                }
            ),
        ),
        # Bodies are taken in by `desk`, which knows all limits.
        request_max_body_size=None,
        logging_config=None,
        debug=False,
    )


@get("/openapi.json", media_type=_OPENAPI_TYPE, include_in_schema=False)
async def _openapi(request: AnyRequest) -> Response[dict[str, Any]]:
    """Tell what can be asked, for programs."""
    return Response(request.app.openapi_schema.to_schema(), media_type=_OPENAPI_TYPE)


@get("/docs", media_type=MediaType.HTML, include_in_schema=False)
async def _docs(request: AnyRequest) -> Response[str]:
    """Show what can be asked, as a page that needs nothing from elsewhere."""
    schema = request.app.openapi_schema.to_schema()
    rows = [
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td>"
        f"<td>{escape(operation.get('description', ''))}</td>"
        f"<td>{_parameters(operation)}</td></tr>"
        for path, methods in sorted(schema["paths"].items())
        for method, operation in methods.items()
    ]
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>mtspam</title>"
        "<style>body{font:1rem/1.5 sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
        "td,th{padding:.4rem .8rem;text-align:left;vertical-align:top;white-space:pre-line;"
        "border-bottom:1px solid #ccc}</style>"
        f"<h1>mtspam {__version__}</h1>"
        "<p>The same for programs: <a href='openapi.json'>openapi.json</a></p>"
        "<table><tr><th>Request</th><th>What it does</th><th>Parameters</th></tr>"
        + "".join(rows)
        + "</table></html>"
    )
    return Response(page, media_type=MediaType.HTML)


def _parameters(operation: dict[str, Any]) -> str:
    return "\n".join(
        f"<code>{escape(one['name'])}</code> {escape(one.get('description', ''))}"
        for one in operation.get("parameters", [])
    )


async def _complete_head(message: Message, scope: Scope) -> None:
    """Add what every answer carries; connections close unless the client asks for more."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    headers["server"] = SERVER_NAME
    headers["date"] = date_now()
    headers.setdefault("cache-control", "no-store")
    asked = [value for name, value in scope["headers"] if name == b"connection"]
    if not any(b"keep-alive" in value.lower() for value in asked):
        headers["connection"] = "close"


def _refused(_: AnyRequest, refusal: RefusedError) -> Response[dict[str, str]]:
    return Response({"error": str(refusal)}, status_code=refusal.status)


def _unavailable(_: AnyRequest, problem: BusyError | UnavailableError) -> Response[dict[str, str]]:
    _log.warning("refused over HTTP: %s", problem)
    return Response({"error": str(problem)}, status_code=503)


def _wrong(_: AnyRequest, problem: DataError) -> Response[dict[str, str]]:
    return Response({"error": str(problem)}, status_code=400)


def _malformed(_: AnyRequest, problem: HTTPException) -> Response[dict[str, str]]:
    if problem.status_code == _NOT_FOUND:
        return Response(_UNKNOWN, status_code=500)
    extra = getattr(problem, "extra", None)
    details = "; ".join(_detail(one) for one in extra) if isinstance(extra, list) else ""
    # The framework names the whole target, and a password may be in it.
    text = details or problem.detail.partition(" for path ")[0]
    return Response({"error": text}, status_code=problem.status_code, headers=problem.headers)


def _detail(one: Any) -> str:  # noqa: ANN401 - the framework's own list of anything
    if isinstance(one, dict):
        return f"{one.get('key', 'request')}: {one.get('message', 'is not allowed')}"
    return str(one)


def _failed(_: AnyRequest, problem: Exception) -> Response[dict[str, str]]:
    _log.error("failed over HTTP", exc_info=problem)
    return Response({"error": "internal error"}, status_code=500)
