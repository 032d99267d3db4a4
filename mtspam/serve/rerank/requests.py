"""What a request to rank says: read, checked, and made into a ranking. No HTTP here."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from mtspam.config import RerankSettings
from mtspam.errors import DataError
from mtspam.search.events import FieldValue, RankingShown, ShownItem
from mtspam.search.reading.values import MOST, bounded, field_value
from mtspam.search.text import SpamScore, with_spam_scores, with_text_features

__all__ = [
    "RerankRequest",
    "UnknownModelError",
    "fields_of",
    "item_key",
    "ranking_of",
    "read_request",
]

Name = str | int | None

_KEY_DIGITS = 32
_MAX_NAME_CHARACTERS = 1_000


class UnknownModelError(DataError):
    """A request asks for a model that is not here."""


class RerankRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request in Cohere's shape, with what this service takes beside it.

    Parameters
    ----------
    query
        What was searched for.
    documents
        In the host's order: texts, or objects with `text`, `id`, `fields` (what is known of the
        document: values by name), `features` (of it with this query: numbers by name).
    model
        Any of the names that the settings allow.
    top_n
        How many results to tell; 0 or none: all.
    max_tokens_per_doc, max_chunks_per_doc, rank_fields
        Taken, and of no effect: documents are not cut.
    return_documents
        Whether version 1 of the protocol tells documents in its results.
    priority
        Whose turn is first where several wait: lower numbers.
    id
        By which clicks name this ranking; one is made up otherwise.
    user, market, session
        Who asks, and where.
    host_scores
        The host's score of each document.
    ids
        Each document's id.
    fields
        Values of the request itself by name.
    explain
        Whether to say why.
    journal
        Whether to journal the ranking, so that clicks can name it.
    """

    query: str
    documents: list[str | dict[str, Any]]
    model: str | None = None
    top_n: int | None = None
    max_tokens_per_doc: int | None = None
    max_chunks_per_doc: int | None = None
    rank_fields: list[str] | None = None
    return_documents: bool | None = None
    priority: int | None = None
    id: Name = None
    user: Name = None
    market: Name = None
    session: Name = None
    host_scores: list[float | None] | None = None
    ids: list[str | int] | None = None
    fields: dict[str, Any] | None = None
    explain: bool | None = None
    journal: bool | None = None


_decoder = msgspec.json.Decoder(RerankRequest)


def read_request(body: bytes, settings: RerankSettings) -> RerankRequest:
    """Read a request and check what can be checked without looking at the documents.

    Raises
    ------
    DataError
        Where it is malformed or beyond a limit.
    UnknownModelError
        Where it asks for a model of another name.
    """
    try:
        request = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise DataError(f"invalid request: {problem}") from problem
    n = len(request.documents)
    if n == 0:
        raise DataError("invalid request: list of documents must not be empty")
    if n > settings.max_documents:
        raise DataError(
            f"invalid request: {n} documents, but at most {settings.max_documents} are taken"
        )
    for name, given in (("ids", request.ids), ("host_scores", request.host_scores)):
        if given is not None and len(given) != n:
            raise DataError(f"invalid request: {len(given)} {name} for {n} documents")
    for name, least in (("top_n", 0), ("max_tokens_per_doc", 1), ("max_chunks_per_doc", 1)):
        number = getattr(request, name)
        if number is not None and number < least:
            raise DataError(f"invalid request: {name} is {number}, but must be {least} or more")
    patterns = settings.models.split()
    model = request.model
    if model is not None and not any(fnmatchcase(model, pattern) for pattern in patterns):
        raise UnknownModelError(
            f"model {model[:100]!r} not found, make sure that it is one of: {', '.join(patterns)}"
        )
    return request


def item_key(text: str) -> str:
    """Return the id of a document that has none: its text's SHA-256, the first 32 digits.

    Examples
    --------
    >>> item_key("birch")
    '548a42517fa28525d6af7249de69bd6f'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_DIGITS]


def ranking_of(
    request: RerankRequest,
    settings: RerankSettings,
    *,
    id_: str,
    now: int,
    spam_score: SpamScore | None = None,
) -> RankingShown:
    """Make of a request the ranking that is to be scored, its candidates in the host's order.

    Parameters
    ----------
    id_
        The ranking's.
    now
        Milliseconds since 1970.
    spam_score
        The log-odds that a text is spam, which documents then have as a feature; None: not asked.

    Raises
    ------
    DataError
        Where a document is malformed, or there are too many features.
    """
    items = tuple(_candidates(request, settings))
    asked = RankingShown(
        id=id_,
        time=now,
        items=items,
        query=request.query,
        user=_name(request.user, "user"),
        market=_name(request.market, "market"),
        session=_name(request.session, "session"),
        fields=_values(request.fields or {}, "fields"),
    )
    both = list(zip(request.documents, items, strict=True))
    texts = [{"text": _text_of(document), **one.fields} for document, one in both]
    ranking = with_text_features(asked, texts)
    if spam_score is None:
        return ranking
    said = [{**_own_text(document), **one.fields} for document, one in both]
    return with_spam_scores(ranking, said, spam_score)


def _candidates(request: RerankRequest, settings: RerankSettings) -> Iterator[ShownItem]:
    names: set[str] = set()
    for place, document in enumerate(request.documents):
        where = f"documents[{place}]"
        own, fields = _read_document(document, where)
        given = own if request.ids is None else request.ids[place]
        score = None if request.host_scores is None else request.host_scores[place]
        names.update(fields)
        if len(names) * len(request.documents) > settings.max_values:
            raise DataError(
                f"invalid request: too many features: {len(request.documents)} documents times "
                f"their names may be {settings.max_values} at most"
            )
        if score is not None:
            score = bounded(score, f"invalid request: host_scores[{place}]")
        yield ShownItem(
            _name(given, f"{where}.id") or item_key(_text_of(document)),
            score=math.nan if score is None else score,
            fields=fields,
        )


def _own_text(document: str | Mapping[str, Any]) -> dict[str, FieldValue]:
    text = document if isinstance(document, str) else document.get("text")
    return {"text": text} if isinstance(text, str) and text else {}


def _read_document(
    document: str | Mapping[str, Any], where: str
) -> tuple[Name, dict[str, FieldValue]]:
    """Return a document's id, if it has one, and its fields and features together."""
    if isinstance(document, str):
        return None, {}
    given = document.get("id")
    if given is not None and (isinstance(given, bool) or not isinstance(given, str | int)):
        raise DataError(f"invalid request: {where}.id must be text or a whole number")
    if not isinstance(document.get("text", ""), str):
        raise DataError(f"invalid request: {where}.text must be text")
    fields = fields_of(document, where)
    features = _part(document, "features", where)
    for name, value in features.items():
        if not isinstance(value, (float, bool)):
            raise DataError(f"invalid request: {where}.features[{name[:100]!r}] must be a number")
    return given, {**fields, **features}


def fields_of(document: str | Mapping[str, Any], where: str = "document") -> dict[str, FieldValue]:
    """Return what a request says of a document itself.

    Raises
    ------
    DataError
        Where that is malformed; the text begins with `where`.
    """
    return {} if isinstance(document, str) else _part(document, "fields", where)


def _part(document: Mapping[str, Any], name: str, where: str) -> dict[str, FieldValue]:
    given = document.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise DataError(f"invalid request: {where}.{name} must be an object")
    return _values(given, f"{where}.{name}")


def _text_of(document: str | Mapping[str, Any]) -> str:
    """Return what stands for a document without an id."""
    if isinstance(document, str):
        return document
    text = document.get("text")
    if isinstance(text, str) and text:
        return text
    rest = {name: value for name, value in document.items() if name != "features"}
    return msgspec.json.encode(rest, order="sorted").decode()


def _values(given: Mapping[str, Any], where: str) -> dict[str, FieldValue]:
    """Return values by name as events have them; what is null is left out."""
    found: dict[str, FieldValue] = {}
    for name, value in given.items():
        if type(value) is float and -MOST <= value <= MOST:
            found[name] = value  # nearly all of them: there may be thousands in a request
            continue
        read = field_value(value, f"invalid request: {where}[{name[:100]!r}]")
        if read is not None:
            found[name] = read
    return found


def _name(given: Name, where: str) -> str:
    name = "" if given is None else str(given)
    if len(name) > _MAX_NAME_CHARACTERS:
        raise DataError(
            f"invalid request: {where} must not have more than {_MAX_NAME_CHARACTERS} characters"
        )
    return name
