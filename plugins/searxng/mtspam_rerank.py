"""A plugin for SearXNG: puts its results into the order that mtspam knows for the user."""

import hashlib
import hmac
import http.client
import json
import logging
import math
import operator
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import searx
import searx.engines
from searx.plugins import Plugin, PluginInfo

_log = logging.getLogger("searx.plugins.mtspam_rerank")

_MAX_REPLY_BYTES = 4 << 20
_PAUSE_SECONDS = 10.0
_GAP = 1e-9
_AT_ONCE = 16
_OK = 200


@dataclass(frozen=True)
class Options:
    """How the service is asked; from the environment, since SearXNG hands plugins no options.

    Parameters
    ----------
    url
        Where mtspam answers over HTTP.
    seconds
        How long an answer may take; the results stay as they are if it takes longer.
    most
        How many results are sent, the best ones by SearXNG's own score; the others stay.
    password
        Lets the service journal what was shown; without one nothing is journalled.
    header, cookie
        Which of the request's says who the user is; nobody if both are empty.
    market
        What is said to be the market; `language` stands for the language of the search.
    """

    url: str = "http://127.0.0.1:11333"
    seconds: float = 0.3
    most: int = 100
    password: str = field(default="", repr=False)
    header: str = ""
    cookie: str = ""
    market: str = "language"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Options":
        """Read the options; each is named ``MTSPAM_RERANK_`` and its name in capitals."""
        plain = cls()
        password_file = environment.get("MTSPAM_RERANK_PASSWORD_FILE", "")
        password = Path(password_file).read_text("utf-8").strip() if password_file else ""
        return cls(
            url=environment.get("MTSPAM_RERANK_URL", plain.url),
            seconds=float(environment.get("MTSPAM_RERANK_SECONDS", plain.seconds)),
            most=int(environment.get("MTSPAM_RERANK_MOST", plain.most)),
            password=password,
            header=environment.get("MTSPAM_RERANK_HEADER", ""),
            cookie=environment.get("MTSPAM_RERANK_COOKIE", ""),
            market=environment.get("MTSPAM_RERANK_MARKET", plain.market),
        )


class SXNGPlugin(Plugin):  # type: ignore[misc]  # SearXNG need not be installed to check this
    """Asks mtspam for the order of the results; whatever goes wrong, they stay as they are."""

    id = "mtspam_rerank"
    keywords: list[str] = []  # noqa: RUF012 - as the base class declares it

    def __init__(self, plg_cfg: Any) -> None:  # noqa: ANN401 - SearXNG's own, without a type here
        super().__init__(plg_cfg)
        self.info = PluginInfo(
            id=self.id,
            name="Personal order",
            description="Put results into the order that your clicks have taught",
            preference_section="general",
        )
        self._options = Options.read(os.environ)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mtspam")
        self._silent_until = 0.0

    def post_search(self, request: Any, search: Any) -> list[dict[str, str]] | None:  # noqa: ANN401 - Flask's request, SearXNG's search
        """Reorder the results of a search, all of them or none."""
        if time.monotonic() < self._silent_until:
            return None
        candidates = _candidates(list(search.result_container.main_results_map.values()))
        asked = candidates[: self._options.most]
        if len(asked) < 2:  # noqa: PLR2004 - there is nothing to put in order
            return None
        body = _body(request, search.search_query, asked, self._options)
        try:
            reply = self._threads.submit(_ask, self._options, body).result(self._options.seconds)
            order = _order(reply, len(asked))
            ranking = str(reply["id"]) if self._options.password else ""
        except Exception as problem:  # noqa: BLE001 - a search must not fail for its order
            _log.warning("the order stays as it is: %s", problem or type(problem).__name__)
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            return None
        _place([asked[place] for place in order], [one.score for one in asked])
        if not self._options.password:
            return None
        # SearXNG puts this into the page: whoever reports clicks finds there what to name.
        return [{"engine": self.id, "engine_data": ranking, "key": "ranking"}]


@dataclass(frozen=True)
class _Candidate:
    """A result, the product of its engines' weights, and its score before anything is changed."""

    result: Any
    weight: float
    score: float


def _candidates(results: Sequence[Any]) -> list[_Candidate]:
    """Return the results that may be moved, the best first.

    What has a priority by the host's settings stays where it stands.
    """
    found = [
        _Candidate(result, weight, _score(result, weight))
        for result in results
        if (weight := _weight(result)) > 0.0
        and result["priority"] not in ("high", "low")
        and all(result["positions"])
    ]
    return sorted(found, key=lambda one: one.score, reverse=True)


def _weight(result: Any) -> float:  # noqa: ANN401 - SearXNG's own
    """Return the product of the weights of the engines that found a result."""
    engines = [searx.engines.engines.get(name) for name in result["engines"]]
    return math.prod(float(getattr(engine, "weight", 1.0)) for engine in engines)


def _score(result: Any, weight: float) -> float:  # noqa: ANN401 - SearXNG's own
    """Return what SearXNG would make of a result that may be moved."""
    positions = list(result["positions"])
    return float(sum(weight * len(positions) / position for position in positions))


def _place(candidates: Sequence[_Candidate], scores: Sequence[float]) -> None:
    """Give each result the one position from which SearXNG's own scoring makes a falling score.

    It divides the product of the weights by the position. The scores are those that the results
    had together, so that they stand to all others as before; of equal ones each is made a little
    less than the one before.
    """
    last = math.inf
    for candidate, score in zip(candidates, scores, strict=True):
        last = min(score, last * (1.0 - _GAP))
        candidate.result.positions = [candidate.weight / last]


def _body(request: Any, query: Any, asked: Sequence[_Candidate], options: Options) -> bytes:  # noqa: ANN401 - Flask's and SearXNG's own
    """Return what is asked: in SearXNG's order, with its scores."""
    said: dict[str, Any] = {
        "model": "mtspam",
        "query": str(query.query),
        "user": _user_of(request, options),
        "market": str(query.lang) if options.market == "language" else options.market,
        "ids": [_key(one.result) for one in asked],
        "host_scores": [one.score for one in asked],
        "documents": [_document(one) for one in asked],
        "journal": bool(options.password),
    }
    return json.dumps(said).encode("utf-8", "replace")


def _document(candidate: _Candidate) -> dict[str, Any]:
    result = candidate.result
    text = f"{getattr(result, 'title', '') or ''}\n{getattr(result, 'content', '') or ''}"
    engines = sorted(str(name) for name in result["engines"])
    fields = {"host": urlsplit(_url(result)).hostname or "", "engine": engines}
    return {"text": text, "fields": fields, "features": {"n_engines": len(engines)}}


def _url(result: Any) -> str:  # noqa: ANN401 - SearXNG's own
    return str(getattr(result, "url", "") or "")


def _key(result: Any) -> str:  # noqa: ANN401 - SearXNG's own
    """Return the id of a result: its address, or a hash of one that is too long."""
    url = _url(result)
    if 0 < len(url) <= 500:  # noqa: PLR2004 - half of what the service takes
        return url
    text = f"{url}\n{getattr(result, 'title', '')}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _user_of(request: Any, options: Options) -> str:  # noqa: ANN401 - Flask's own
    """Return a key of the user that says nothing of who it is; empty for nobody."""
    name = ""
    if options.header:
        name = request.headers.get(options.header, "")
    elif options.cookie:
        name = request.cookies.get(options.cookie, "")
    if not name:
        return ""
    secret = str(searx.settings["server"]["secret_key"]).encode()
    return hmac.new(secret, name.encode("utf-8", "replace"), "sha256").hexdigest()[:32]


def _ask(options: Options, body: bytes) -> Any:  # noqa: ANN401 - decoded JSON
    """Send a request and return what came back.

    Raises
    ------
    OSError, ValueError, http.client.HTTPException
        Where nothing sensible did.
    """
    place = urlsplit(options.url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=options.seconds)
    headers = {"Content-Type": "application/json"}
    if options.password:
        headers["Authorization"] = f"Bearer {options.password}"
    try:
        connection.request("POST", f"{place.path.rstrip('/')}/v2/rerank", body, headers)
        answer = connection.getresponse()
        data = answer.read(_MAX_REPLY_BYTES)
        if answer.status != _OK:
            raise ValueError(f"status {answer.status}: {data[:200]!r}")
        return json.loads(data)
    finally:
        connection.close()


def _order(reply: Any, n: int) -> list[int]:  # noqa: ANN401 - decoded JSON
    """Return the places in their new order.

    Raises
    ------
    ValueError, KeyError, TypeError
        Where the reply does not name each place once.
    """
    order = [result["index"] for result in reply["results"]]
    if sorted(order) != list(range(n)):
        raise ValueError(f"{len(order)} results in answer to {n}")
    return [operator.index(place) for place in order]  # 1.0 equals 1, but is no place
