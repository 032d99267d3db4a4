"""Ranks for requests and takes feedback, with the reranker of this worker's thread. No HTTP."""

import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from mtspam.config import RerankSettings
from mtspam.errors import DataError, JournalError
from mtspam.ranking.records import Rescored
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.showing import shown
from mtspam.search.events import Event, Item, RankingShown, ShownItem
from mtspam.serve.contract import BusyError, UnavailableError
from mtspam.serve.counters import Counters
from mtspam.serve.rerank.answers import FeedbackReply, RerankReply, reply_of
from mtspam.serve.rerank.feedback import read_events
from mtspam.serve.rerank.requests import (
    RerankRequest,
    fields_of,
    ranking_of,
    read_request,
)
from mtspam.serve.rerank.thread import RankerThread
from mtspam.spam.documents import (
    MODEL_FACT,
    OTHER_MODEL,
    DocumentScorer,
    model_of,
    scorer_of,
)

__all__ = ["Ranker"]

_log = logging.getLogger(__name__)

_SMALL_BYTES = 65_536  # read at once; what is larger must not hold up mail
_ID_BYTES = 16
_REASONS: dict[type[Exception], str] = {
    BusyError: "busy",
    UnavailableError: "unavailable",
    DataError: "malformed",
}
_REMEMBERED = 100_000  # documents whose fields need not be journalled again


class Ranker:
    """Answers requests; one for each worker.

    Parameters
    ----------
    thread
        Where the reranker is.
    counters
        Where what is done is counted; None: nowhere.
    """

    def __init__(self, thread: RankerThread, counters: Counters | None = None) -> None:
        self._thread = thread
        self._counters = counters
        self._told: OrderedDict[str, str] = OrderedDict()
        self._scorer: DocumentScorer | None = None
        self._is_scorer_sought = False

    @property
    def settings(self) -> RerankSettings:
        """Limits."""
        return self._thread.settings.rerank

    async def read(self, body: bytes) -> RerankRequest:
        """Read a request.

        Raises
        ------
        DataError
            Where it is malformed or beyond a limit.
        BusyError, UnavailableError
            Where a large one cannot be read now.
        """
        if len(body) <= _SMALL_BYTES:
            return read_request(body, self.settings)
        return await self._thread.do(lambda: read_request(body, self.settings))

    def wants_journal(self, request: RerankRequest) -> bool:
        """Tell whether a request asks for what needs the password."""
        return self.settings.journal == "asked" and bool(request.journal)

    async def rank(self, request: RerankRequest, *, protocol: int) -> RerankReply:
        """Rank the documents of a request.

        Parameters
        ----------
        request
            As `read` gave it.
        protocol
            1 or 2.

        Raises
        ------
        DataError
            Where a document is malformed.
        BusyError, UnavailableError
            Where that cannot be done now.
        """
        began = time.perf_counter()
        with self._counted_refusals():
            reply = await self._thread.ask(
                lambda reranker: self._ranked(reranker, request, protocol),
                priority=request.priority or 0,
            )
        seconds = time.perf_counter() - began
        if self._counters is not None:
            is_unchanged = all(one.index == place for place, one in enumerate(reply.results))
            n_candidates = len(request.documents)
            self._counters.count_ranking(n_candidates, seconds, is_unchanged=is_unchanged)
            if reply.meta.is_journalled:
                self._counters.count("rank:event:new")
        millis = f"{seconds * 1000:.2f}"
        _log.info("ranked", extra={"documents": len(request.documents), "ms": millis})
        return reply

    async def learn(self, body: bytes) -> FeedbackReply:
        """Take events; when this returns they are on the disk.

        Raises
        ------
        DataError
            Where an event is malformed; then none was taken.
        BusyError, UnavailableError
            Where that cannot be done now.
        """
        began = time.perf_counter()

        def work(reranker: Reranker) -> FeedbackReply:
            events = read_events(body, self.settings, self._spam_score())
            done = _append(reranker, events)
            millis = round((time.perf_counter() - began) * 1000)
            return FeedbackReply(len(events), "ok", millis, done)

        with self._counted_refusals():
            reply = await self._thread.ask(work)
        if self._counters is not None:
            self._counters.count("rank:event:new", reply.updated)
            self._counters.count("rank:event:same", reply.accepted - reply.updated)
        _log.info("feedback", extra={"events": reply.accepted, "new": reply.updated})
        return reply

    @contextmanager
    def _counted_refusals(self) -> Iterator[None]:
        try:
            yield
        except (BusyError, UnavailableError, DataError) as problem:
            if self._counters is not None:
                self._counters.count(f"rank:refused:{_REASONS.get(type(problem), 'malformed')}")
            raise

    # In the thread.

    def _spam_score(self) -> DocumentScorer | None:
        """Return who scores documents, made when first needed."""
        if not self._is_scorer_sought:
            self._is_scorer_sought = True
            self._scorer = scorer_of(self._thread.settings)
            if self._thread.versions.differs(MODEL_FACT, model_of(self._scorer)):
                _log.warning(OTHER_MODEL)
        return self._scorer

    def _ranked(self, reranker: Reranker, request: RerankRequest, protocol: int) -> RerankReply:
        id_ = str(request.id) if request.id not in (None, "") else secrets.token_hex(_ID_BYTES)
        now = int(time.time() * 1000)
        ranking = ranking_of(
            request, self.settings, id_=id_, now=now, spam_score=self._spam_score()
        )
        rescored = reranker.rescore_ranking(ranking, explain=bool(request.explain))
        return reply_of(
            request,
            ranking,
            rescored,
            protocol=protocol,
            warning=self._journalled(reranker, request, ranking, rescored),
        )

    def _journalled(
        self,
        reranker: Reranker,
        request: RerankRequest,
        ranking: RankingShown,
        rescored: Rescored,
    ) -> str | None:
        """Journal what is shown; return why it was not, empty if it was, None if nobody asked."""
        journal = self.settings.journal
        if journal == "off":
            return "rankings are not journalled here" if request.journal else None
        if not (journal == "all" or request.journal):
            return None
        after = shown(ranking, rescored)
        # What was not shown was not passed over.
        items = [_without_texts(item) for item in after.items[: request.top_n or None]]
        news = self._news_of(request, ranking)
        try:
            if news:
                _append(reranker, news)
            n_new = _append(reranker, [replace(after, items=tuple(items))])
        except (UnavailableError, DataError) as problem:
            return f"the ranking was not journalled: {problem}"
        for item in news:
            self._told[item.item] = item.id
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return "" if n_new else "a ranking of this id was journalled before"

    def _news_of(self, request: RerankRequest, ranking: RankingShown) -> list[Item]:
        """Return what the request says of documents and this worker did not journal before."""
        news: dict[str, Item] = {}
        for document, candidate in zip(request.documents, ranking.items, strict=True):
            fields = fields_of(document)
            if not fields:
                continue
            name = candidate.item
            said = msgspec.json.encode([name, fields], order="sorted")
            id_ = f"rerank {hashlib.sha256(said).hexdigest()}"
            if self._told.get(name) != id_:
                news[name] = Item(id=id_, time=ranking.time, item=name, fields=fields)
        return list(news.values())


def _without_texts(item: ShownItem) -> ShownItem:
    """Return a candidate with its numbers alone: its texts are told once, of the document."""
    numbers = {
        name: value for name, value in item.fields.items() if isinstance(value, float | int)
    }
    return replace(item, fields=numbers)


def _append(reranker: Reranker, events: Sequence[Event]) -> int:
    """Journal events and return how many were new.

    Raises
    ------
    UnavailableError
        Where the journal cannot be written to.
    """
    try:
        return reranker.feedback(events).n_new
    except JournalError as problem:
        raise UnavailableError(str(problem)) from problem
