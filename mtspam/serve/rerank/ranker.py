"""Ranks for requests and takes feedback, with the reranker of this worker's thread. No HTTP."""

import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import msgspec

from mtspam.config import RerankSettings
from mtspam.errors import DataError
from mtspam.ranking.records import Rescored
from mtspam.ranking.reranker import Reranker
from mtspam.ranking.showing import shown
from mtspam.search.events import Item, RankingShown, ShownItem
from mtspam.serve.contract import BusyError, UnavailableError
from mtspam.serve.counters import Counters
from mtspam.serve.rerank.answers import FeedbackReply, RerankReply, reply_of
from mtspam.serve.rerank.feedback import read_events
from mtspam.serve.rerank.journalling import Journalling
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


class _Ranked(NamedTuple):
    """A ranking that is to be journalled: with news of documents, and as it is shown."""

    ranking: RankingShown
    rescored: Rescored
    news: list[Item]
    after: RankingShown


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
        self._journalling = Journalling(thread)
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
            reply = await self._ranked(request, protocol)
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

        def reply_to(n_new: list[int]) -> FeedbackReply:
            millis = round((time.perf_counter() - began) * 1000)
            return FeedbackReply(len(events), "ok", millis, n_new[0])

        with self._counted_refusals():
            events = await self._thread.do(
                lambda: read_events(body, self.settings, self._spam_score())
            )
            reply = await self._journalling.append([events], reply_to)
        if self._counters is not None:
            self._counters.count("rank:event:new", reply.updated)
            self._counters.count("rank:event:same", reply.accepted - reply.updated)
        _log.info("feedback", extra={"events": reply.accepted, "new": reply.updated})
        return reply

    async def _ranked(self, request: RerankRequest, protocol: int) -> RerankReply:
        """Rank, and journal what is shown where that was asked for."""
        priority, journal = request.priority or 0, self.settings.journal
        is_journalled = journal == "all" or (journal != "off" and bool(request.journal))

        def replied(ranking: RankingShown, rescored: Rescored, warning: str | None) -> RerankReply:
            return reply_of(request, ranking, rescored, protocol=protocol, warning=warning)

        def work(reranker: Reranker) -> RerankReply | _Ranked:
            ranking, rescored = self._rescored(reranker, request)
            if is_journalled:
                return _Ranked(ranking, rescored, *self._to_journal(request, ranking, rescored))
            warning = "rankings are not journalled here" if request.journal else None
            return replied(ranking, rescored, warning)

        found = await self._thread.ask(work, priority=priority)
        if not isinstance(found, _Ranked):
            return found

        def reply_to(n_new: list[int]) -> RerankReply:
            self._remember(found.news)
            warning = "" if n_new[1] else "a ranking of this id was journalled before"
            return replied(found.ranking, found.rescored, warning)

        groups = found.news, [found.after]
        try:
            return await self._journalling.append(groups, reply_to, priority=priority)
        except (BusyError, UnavailableError, DataError) as problem:
            warning = f"the ranking was not journalled: {problem}"
            return replied(found.ranking, found.rescored, warning)

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

    def _rescored(
        self, reranker: Reranker, request: RerankRequest
    ) -> tuple[RankingShown, Rescored]:
        id_ = str(request.id) if request.id not in (None, "") else secrets.token_hex(_ID_BYTES)
        now = int(time.time() * 1000)
        ranking = ranking_of(
            request, self.settings, id_=id_, now=now, spam_score=self._spam_score()
        )
        return ranking, reranker.rescore_ranking(ranking, explain=bool(request.explain))

    def _to_journal(
        self, request: RerankRequest, ranking: RankingShown, rescored: Rescored
    ) -> tuple[list[Item], RankingShown]:
        """Return what is to be journalled of what is shown: news of documents, the ranking."""
        after = shown(ranking, rescored)
        # What was not shown was not passed over.
        items = [_without_texts(item) for item in after.items[: request.top_n or None]]
        return self._news_of(request, ranking), replace(after, items=tuple(items))

    def _remember(self, news: Sequence[Item]) -> None:
        for item in news:
            self._told[item.item] = item.id
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

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
