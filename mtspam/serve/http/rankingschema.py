"""What the endpoints of ranking take, for the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

__all__ = ["TakesEvents", "TakesRanking"]

_JSON = "application/json"
_MOST_CHARACTERS = 1_000
_MOST = 1e30


def _of(*kinds: OpenAPIType, about: str = "", **more: object) -> Schema:
    said = {"description": about} if about else {}
    return Schema(type=list(kinds) if len(kinds) > 1 else kinds[0], **said, **more)  # type: ignore[arg-type]  # further keywords of JSON Schema, by name


def _text(about: str = "") -> Schema:
    return _of(OpenAPIType.STRING, OpenAPIType.NULL, about=about, max_length=_MOST_CHARACTERS)


def _number(*, is_null_too: bool = False) -> Schema:
    kinds = (OpenAPIType.NUMBER, OpenAPIType.NULL)[: 2 if is_null_too else 1]
    return _of(*kinds, minimum=-_MOST, maximum=_MOST)


def _values(about: str) -> Schema:
    return _of(
        OpenAPIType.OBJECT,
        OpenAPIType.NULL,
        about=about,
        additional_properties=Schema(
            one_of=[
                _of(OpenAPIType.STRING),
                _of(OpenAPIType.BOOLEAN),
                _number(is_null_too=True),
                _of(OpenAPIType.ARRAY, items=_of(OpenAPIType.STRING), min_items=1),
                _of(OpenAPIType.ARRAY, items=_number(), min_items=1),
            ]
        ),
    )


def _whole(about: str, least: int) -> Schema:
    return _of(OpenAPIType.INTEGER, OpenAPIType.NULL, about=about, minimum=least, maximum=2**31)


_DOCUMENT = _of(
    OpenAPIType.OBJECT,
    properties={
        "text": _of(OpenAPIType.STRING, about="Its text."),
        "id": _text("Its id; else the first 32 hexadecimal digits of its text's SHA-256."),
        "fields": _values("What is known of the document."),
        "features": _of(
            OpenAPIType.OBJECT,
            OpenAPIType.NULL,
            about="What is known of it with this query, in numbers.",
            additional_properties=_number(),
        ),
    },
)
_FLAG = (OpenAPIType.BOOLEAN, OpenAPIType.NULL)
_PROPERTIES: Mapping[str, Schema] = {
    "query": _of(OpenAPIType.STRING, about="What was searched for."),
    "documents": _of(
        OpenAPIType.ARRAY,
        about="What was found, in the host's order.",
        items=Schema(one_of=[_of(OpenAPIType.STRING), _DOCUMENT]),
        min_items=1,
        max_items=10_000,
    ),
    "model": _of(
        OpenAPIType.STRING,
        OpenAPIType.NULL,
        about="`mtspam`, or a name that begins with `rerank-`.",
        pattern=r"^(mtspam|rerank-[a-z0-9.-]*)$",
    ),
    "top_n": _whole("Results at most; 0: all.", 0),
    "max_tokens_per_doc": _whole("Of no effect: documents are not cut.", 1),
    "max_chunks_per_doc": _whole("Of no effect.", 1),
    "rank_fields": _of(
        OpenAPIType.ARRAY,
        OpenAPIType.NULL,
        about="Of no effect.",
        items=_of(OpenAPIType.STRING),
    ),
    "return_documents": _of(*_FLAG, about="Version 1: tell documents in the results."),
    "priority": _whole("Lower numbers are served first.", 0),
    "id": _text("By which clicks name this ranking."),
    "user": _text("Who asks."),
    "market": _text("Where."),
    "session": _text(
        "During which visit: kept, and of no effect. Who has no name may be known by it as `user`."
    ),
    "host_scores": _of(
        OpenAPIType.ARRAY,
        OpenAPIType.NULL,
        about="The host's score of each document.",
        items=_number(is_null_too=True),
    ),
    "ids": _of(
        OpenAPIType.ARRAY,
        OpenAPIType.NULL,
        about="Each document's id.",
        items=_of(OpenAPIType.STRING, max_length=_MOST_CHARACTERS),
    ),
    "fields": _values("What is known of the request itself."),
    "explain": _of(*_FLAG, about="Say why, storey by storey."),
    "journal": _of(
        *_FLAG, about="Journal the ranking, so that clicks can name it; needs the password."
    ),
}

_FIELDS = _of(
    OpenAPIType.ARRAY,
    items=_of(
        OpenAPIType.OBJECT,
        properties={"name": _of(OpenAPIType.STRING), "value": Schema()},
        required=["name", "value"],
    ),
)
_SHOWN = _of(
    OpenAPIType.OBJECT,
    properties={"id": _of(OpenAPIType.STRING), "fields": _FIELDS},
    required=["id"],
)
_EVENT = _of(
    OpenAPIType.OBJECT,
    properties={
        "event": _of(OpenAPIType.STRING, enum=["item", "user", "ranking", "interaction"]),
        "id": _of(OpenAPIType.STRING),
        "timestamp": Schema(
            description="Milliseconds since 1970, or a date in ISO 8601.",
            one_of=[_of(OpenAPIType.INTEGER), _of(OpenAPIType.STRING)],
        ),
        "item": _of(OpenAPIType.STRING, about="The document; of item and interaction."),
        "items": _of(OpenAPIType.ARRAY, about="What was shown; of ranking.", items=_SHOWN),
        "type": _of(OpenAPIType.STRING, about="`click` or another; of interaction."),
        "ranking": _of(OpenAPIType.STRING, about="In which it was shown; of interaction."),
        "user": _of(OpenAPIType.STRING),
        "session": _of(OpenAPIType.STRING),
        "market": _of(OpenAPIType.STRING),
        "fields": _FIELDS,
    },
    required=["event", "id", "timestamp"],
)


@dataclass
class TakesRanking(Operation):
    """An operation whose body is a query with documents."""

    def __post_init__(self) -> None:
        """Describe the body."""
        schema = _of(OpenAPIType.OBJECT, properties=_PROPERTIES, required=["query", "documents"])
        self.request_body = RequestBody(
            content={_JSON: OpenAPIMediaType(schema=schema)},
            description="The query and what was found for it.",
            required=True,
        )


@dataclass
class TakesEvents(Operation):
    """An operation whose body is one event or several."""

    def __post_init__(self) -> None:
        """Describe the body."""
        several = _of(OpenAPIType.ARRAY, items=_EVENT)
        self.request_body = RequestBody(
            content={_JSON: OpenAPIMediaType(schema=Schema(one_of=[_EVENT, several]))},
            description="An event in Metarank's shape, or a list of them.",
            required=True,
        )
