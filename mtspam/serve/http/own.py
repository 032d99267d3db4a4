"""Our own endpoints: judge, explain, learn, unlearn, forget, status."""

import time
from dataclasses import dataclass
from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from mtspam import __version__
from mtspam.errors import DataError
from mtspam.serve.contract import Envelope
from mtspam.serve.http.desk import (
    AnyRequest,
    began_of,
    desk_of,
    may_teach,
    message_in,
    staff_of,
    totals_of,
)
from mtspam.serve.http.messages import RefusedError
from mtspam.serve.http.replies import (
    ErrorReply,
    ExplainedReply,
    ForgottenReply,
    JudgedReply,
    LearntReply,
    ProcessReply,
    StatusReply,
)
from mtspam.types import Label

__all__ = ["OwnController", "TakesMessage", "refusals"]

_MAX_ADDRESS_CHARACTERS = 998
_MAX_REASONS = 1_000
_FORGOTTEN_STATUS = {True: 200, False: 202}
_REFUSALS = {
    208: "The same was said before; nothing was done.",
    400: "The request is malformed.",
    401: "A password is needed, or it is wrong.",
    403: "This is not allowed here.",
    413: "The message is too large.",
    415: "The message is packed in a way that is not known.",
    429: "Too many wrong passwords.",
    503: "The service cannot do it now; try again.",
}


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe the errors that an endpoint may answer with, for the OpenAPI document."""
    return {
        status: ResponseSpec(ErrorReply, generate_examples=False, description=_REFUSALS[status])
        for status in statuses
    }


@dataclass
class TakesMessage(Operation):
    """An operation whose body is a raw message."""

    def __post_init__(self) -> None:
        """Describe the body."""
        schema = Schema(type=OpenAPIType.STRING, content_media_type="message/rfc822")
        self.request_body = RequestBody(
            content={"message/rfc822": OpenAPIMediaType(schema=schema)},
            description="The message as it was received.",
        )


User = Annotated[
    str | None,
    QueryParameter(
        description="Address of whose mail it is, or of who says so; nobody if left out.",
        max_length=_MAX_ADDRESS_CHARACTERS,
    ),
]
Source = Annotated[
    str,
    QueryParameter(
        description="Where the label comes from, for the journal.",
        pattern="^[a-z0-9][a-z0-9:._-]{0,31}$",
    ),
]
MessageId = Annotated[
    str | None,
    QueryParameter(
        description="Id of the message as `X-Mtspam-Id` has it; then no body is needed.",
        pattern="^[0-9a-f]{32}$",
    ),
]


class OwnController(Controller):
    """The endpoints under ``/v1``."""

    path = "/v1"

    @post(
        "/judge",
        status_code=200,
        operation_class=TakesMessage,
        responses=refusals(400, 413, 415, 503),
    )
    async def judge(
        self,
        request: AnyRequest,
        user: User = None,
        sender: Annotated[
            str | None,
            QueryParameter(description="Envelope sender.", max_length=_MAX_ADDRESS_CHARACTERS),
        ] = None,
    ) -> JudgedReply:
        """Judge a message for a user."""
        envelope = Envelope(recipients=(user,) if user else (), sender=sender, protocol="http")
        async with message_in(request) as raw:
            return JudgedReply.of(desk_of(request).service.rule(raw, envelope)[0])

    @post(
        "/explain",
        status_code=200,
        operation_class=TakesMessage,
        guards=[may_teach],
        responses=refusals(400, 401, 403, 413, 415, 429, 503),
        security=[{"password": []}],
    )
    async def explain(
        self,
        request: AnyRequest,
        user: User = None,
        limit: Annotated[
            int, QueryParameter(description="Reasons at most.", ge=0, le=_MAX_REASONS)
        ] = 15,
    ) -> ExplainedReply:
        """Say why a message is judged as it is, feature by feature.

        Needs the password, since what words weigh for a user is that user's business.
        """
        async with message_in(request) as raw:
            explanation = desk_of(request).service.explain(raw, user, limit=limit)
            return ExplainedReply.of(explanation, limit)

    @post(
        "/learn",
        status_code=200,
        operation_class=TakesMessage,
        guards=[may_teach],
        responses=refusals(400, 401, 403, 413, 415, 429, 503),
        security=[{"password": []}],
    )
    async def learn(
        self,
        request: AnyRequest,
        label: Annotated[Label, QueryParameter(description="What the message is.")],
        user: User = None,
        source: Source = "http",
        id: MessageId = None,  # noqa: A002 - the parameter's name on the wire
    ) -> LearntReply:
        """Learn what a user says about a message; nobody's word is the administrator's.

        When the answer comes the label is on the disk. Given by the id of a message that is
        forgotten, the outcome is `unknown`.
        """
        service = desk_of(request).service
        async with message_in(request) as raw:
            if id is not None:
                return LearntReply.of(await service.learn_id(id, label, user=user, source=source))
            if not raw:
                raise RefusedError(400, "Empty body is not permitted")
            return LearntReply.of(await service.learn(raw, label, user=user, source=source))

    @post(
        "/unlearn",
        status_code=200,
        operation_class=TakesMessage,
        guards=[may_teach],
        responses=refusals(400, 401, 403, 413, 415, 429, 503),
        security=[{"password": []}],
    )
    async def unlearn(
        self,
        request: AnyRequest,
        user: User = None,
        source: Source = "http",
        id: MessageId = None,  # noqa: A002 - the parameter's name on the wire
    ) -> LearntReply:
        """Take back what a user said about a message."""
        service = desk_of(request).service
        async with message_in(request) as raw:
            if id is None and not raw:
                raise RefusedError(400, "Empty body is not permitted")
            return LearntReply.of(
                await service.unlearn(raw if id is None else id, user=user, source=source)
            )

    @post(
        "/forget",
        status_code=200,
        guards=[may_teach],
        responses={
            202: ResponseSpec(
                ForgottenReply,
                generate_examples=False,
                description="The events are deleted; the model without them is being folded.",
            ),
            **refusals(400, 401, 403, 429, 503),
        },
        security=[{"password": []}],
    )
    async def forget(
        self,
        request: AnyRequest,
        user: Annotated[
            str,
            QueryParameter(
                description="Address of who is to be forgotten.",
                min_length=1,
                max_length=_MAX_ADDRESS_CHARACTERS,
            ),
        ],
    ) -> Response[ForgottenReply]:
        """Delete all that a user ever said, and fold the model anew without it.

        When the answer comes nothing of it is on the disk, nor in any model in use.
        """
        try:
            forgotten = await desk_of(request).service.forget(user)
        except DataError as error:
            raise RefusedError(400, str(error)) from error
        status = _FORGOTTEN_STATUS[forgotten.is_folded]
        return Response(ForgottenReply.of(forgotten), status_code=status)

    @get("/status")
    async def status(self, request: AnyRequest) -> StatusReply:
        """Tell how the service is doing."""
        desk = desk_of(request)
        now = time.time()
        return StatusReply(
            __version__,
            now - began_of(desk),
            dict(totals_of(desk)),
            [ProcessReply.of(one, now) for one in staff_of(desk)],
        )
