"""The endpoints of ranking: Cohere's to ask, Metarank's to give feedback."""

from litestar import Response, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from mtspam.errors import DataError
from mtspam.serve.contract import BusyError, UnavailableError
from mtspam.serve.http.desk import AnyRequest, admit, body_in, desk_of, fields_of, may_teach
from mtspam.serve.http.messages import RefusedError
from mtspam.serve.http.rankingschema import TakesEvents, TakesRanking
from mtspam.serve.http.unpacking import message_of
from mtspam.serve.rerank.answers import FeedbackReply, MessageReply, RerankReply
from mtspam.serve.rerank.ranker import Ranker
from mtspam.serve.rerank.requests import UnknownModelError

__all__ = ["RANKING_HANDLERS", "feedback", "rerank", "rerank_first"]

_REFUSALS = {
    400: "The request is malformed.",
    401: "A password is needed, or it is wrong.",
    403: "This is not allowed here.",
    404: "There is no model of this name.",
    413: "The request is too large.",
    415: "The request is packed in a way that is not known.",
    429: "Too many are asking, or too many wrong passwords.",
    503: "The service cannot do it now; try again.",
}


def _refusals(*statuses: int) -> dict[int, ResponseSpec]:
    return {
        status: ResponseSpec(MessageReply, generate_examples=False, description=_REFUSALS[status])
        for status in statuses
    }


def _told(problem: Exception, status: int) -> Response[MessageReply]:
    return Response(MessageReply(str(problem)), status_code=status)


def _refused(_: AnyRequest, refusal: RefusedError) -> Response[MessageReply]:
    return _told(refusal, refusal.status)


def _malformed(_: AnyRequest, problem: DataError) -> Response[MessageReply]:
    return _told(problem, 400)


def _unknown(_: AnyRequest, problem: UnknownModelError) -> Response[MessageReply]:
    return _told(problem, 404)


def _busy(_: AnyRequest, problem: BusyError) -> Response[MessageReply]:
    return _told(problem, 429)


def _unavailable(_: AnyRequest, problem: UnavailableError) -> Response[MessageReply]:
    return _told(problem, 503)


def _wrong(_: AnyRequest, problem: HTTPException) -> Response[MessageReply]:
    return Response(MessageReply(problem.detail), status_code=problem.status_code)


_HANDLERS: ExceptionHandlersMap = {
    RefusedError: _refused,
    UnknownModelError: _unknown,
    DataError: _malformed,
    BusyError: _busy,
    UnavailableError: _unavailable,
    HTTPException: _wrong,
}


def _ranker_of(request: AnyRequest) -> Ranker:
    ranker: Ranker | None = getattr(desk_of(request).service, "ranker", None)
    if ranker is None:
        raise UnavailableError("nothing is ranked here")
    return ranker


async def _ranked(request: AnyRequest, protocol: int) -> RerankReply:
    ranker = _ranker_of(request)
    limit = ranker.settings.max_body_bytes
    async with body_in(request, limit) as raw:
        asked = await ranker.read(message_of(fields_of(request), raw, limit))
    if ranker.wants_journal(asked):
        await admit(request)
    return await ranker.rank(asked, protocol=protocol)


@post(
    "/v2/rerank",
    status_code=200,
    operation_class=TakesRanking,
    responses=_refusals(400, 401, 403, 404, 413, 415, 429, 503),
    exception_handlers=_HANDLERS,
)
async def rerank(request: AnyRequest) -> RerankReply:
    """Bring documents into the best order known for a query, a user and a market.

    The reply's `id` is the one that clicks name as their `ranking`, where the request says
    `journal: true`; that needs the password.
    """
    return await _ranked(request, 2)


@post(
    "/v1/rerank",
    status_code=200,
    operation_class=TakesRanking,
    responses=_refusals(400, 401, 403, 404, 413, 415, 429, 503),
    exception_handlers=_HANDLERS,
)
async def rerank_first(request: AnyRequest) -> RerankReply:
    """Do the same as version 2, and tell the documents, too, on `return_documents`."""
    return await _ranked(request, 1)


@post(
    "/feedback",
    status_code=200,
    operation_class=TakesEvents,
    guards=[may_teach],
    responses=_refusals(400, 401, 403, 413, 415, 429, 503),
    security=[{"password": []}],
    exception_handlers=_HANDLERS,
)
async def feedback(request: AnyRequest) -> FeedbackReply:
    """Take what was shown and what was clicked; when the answer comes it is on the disk.

    One event, a list of events, or an event a line, in Metarank's shape. What was told to one
    worker the others know at their next request.
    """
    ranker = _ranker_of(request)
    limit = ranker.settings.max_body_bytes
    async with body_in(request, limit) as raw:
        return await ranker.learn(message_of(fields_of(request), raw, limit))


RANKING_HANDLERS: list[HTTPRouteHandler] = [rerank, rerank_first, feedback]
"""All handlers of this module."""
