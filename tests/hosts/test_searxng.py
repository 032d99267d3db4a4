"""Our plugin in the real SearXNG: its order follows clicks, and stands where we do not answer."""

import json
import re
import socket
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from mtspam.serve.http.passwords import hash_password
from tests.hosts.conftest import serving
from tests.hosts.processes import free_port
from tests.hosts.searxng import engine, in_searxng, searxng

SECONDS = 120
PASSWORD = "open sesame"
SITES = [f"https://{name}.example/" for name in ("birch", "cedar", "dogwood", "elm", "fir")]
TOP, LOW = "https://top.example/", "https://low.example/"
WAITS = {"MTSPAM_RERANK_SECONDS": "20"}


@pytest.fixture(scope="module")
def engines():
    """Two engines of unlike weight; the second finds some of what the first does, and others."""
    with (
        engine([LOW, *SITES]) as first,
        engine([SITES[2], TOP, SITES[4], SITES[0]]) as second,
    ):
        yield [("first", 1.5, first), ("second", 3, second)]


@pytest.fixture(scope="module")
def host(engines, tmp_path_factory):
    """SearXNG before our service; yields its port and that of the service."""
    folder = tmp_path_factory.mktemp("searxng")
    (folder / "password").write_text(PASSWORD + "\n")
    settings = {"http": {"password_hash": hash_password(PASSWORD)}}
    with ExitStack() as exits:
        service = exits.enter_context(serving(folder, settings))
        environment = {
            **WAITS,
            "MTSPAM_RERANK_URL": f"http://127.0.0.1:{service.ports['http']}",
            "MTSPAM_RERANK_PASSWORD_FILE": str(folder / "password"),
            "MTSPAM_RERANK_HEADER": "X-Remote-User",
        }
        port = exits.enter_context(searxng(folder, engines, environment))
        yield port, service.ports["http"]


def search(port, user="", form="json"):
    headers = {"X-Remote-User": user} if user else {}
    reply = httpx.get(
        f"http://127.0.0.1:{port}/search",
        params={"q": "tree", "format": form},
        headers={"Accept-Language": "en", **headers},
        timeout=SECONDS,
    )
    assert reply.status_code == 200
    return reply


def found(port, user=""):
    return [one["url"] for one in search(port, user).json()["results"]]


def plain(engines, folder):
    """SearXNG's own order: our service is not there."""
    with searxng(
        folder, engines, {"MTSPAM_RERANK_URL": f"http://127.0.0.1:{free_port()}"}
    ) as port:
        return found(port), (folder / "searxng.log").read_text()


def test_nothing_learnt_nothing_moved(host, engines, tmp_path):
    before, log = plain(engines, tmp_path)
    assert "the order stays as it is" in log
    assert sorted(before) == sorted([*SITES, TOP, LOW])
    assert before[-1] == LOW
    assert found(host[0]) == before


def ranking_in(page):
    return re.search(r'name="engine_data-mtspam_rerank-ranking" value="([^"]+)"', page)[1]


def test_the_order_follows_a_users_clicks(host):
    port, service = host
    before = found(port, "ana")
    wanted = before[-2]  # the last one that is free to move
    for n in range(10):
        ranking = ranking_in(search(port, "ana", "html").text)
        event = {
            "event": "interaction",
            "id": f"c{n}",
            "timestamp": str(round(time.time() * 1000)),
            "type": "click",
            "item": wanted,
            "ranking": ranking,
        }
        reply = httpx.post(
            f"http://127.0.0.1:{service}/feedback",
            content=json.dumps(event),
            headers={"Password": PASSWORD},
            timeout=SECONDS,
        )
        assert reply.json()["updated"] == 1
    after = found(port, "ana")
    assert after[0] == wanted
    assert sorted(after) == sorted(before)
    # What the host's settings give a priority stands where it stood.
    assert after.index(TOP) == before.index(TOP)
    assert after[-1] == LOW
    assert found(port)[0] != wanted


@pytest.fixture
def silent():
    """A place that takes connections and never answers."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen()
        yield place.getsockname()[1]


def test_a_service_that_does_not_answer_holds_up_one_search_only(engines, silent, tmp_path):
    before, _ = plain(engines, tmp_path)
    environment = {
        "MTSPAM_RERANK_URL": f"http://127.0.0.1:{silent}",
        "MTSPAM_RERANK_SECONDS": "0.5",
    }
    folder = Path(tmp_path / "silent")
    folder.mkdir()
    with searxng(folder, engines, environment) as port:
        assert found(port) == before
        assert found(port) == before
    assert (folder / "searxng.log").read_text().count("the order stays as it is") == 1


class Backwards(BaseHTTPRequestHandler):
    """Puts whatever it is asked about into the opposite order."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        places = range(len(asked["documents"]) - 1, -1, -1)
        results = [{"index": place, "relevance_score": 0.5} for place in places]
        body = json.dumps(self.server.changed({"id": "r", "results": results})).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def backwards():
    with ThreadingHTTPServer(("127.0.0.1", 0), Backwards) as server:
        server.asked = []
        server.changed = lambda answer: answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "changed",
    [
        lambda answer: {"results": answer["results"]},
        lambda answer: {
            "id": "r",
            "results": [{"index": 1.0 * p["index"]} for p in answer["results"]],
        },
    ],
    ids=["no id", "no whole numbers"],
)
def test_an_answer_that_makes_no_sense_moves_nothing(engines, backwards, tmp_path, changed):
    before, _ = plain(engines, tmp_path)
    backwards.changed = changed
    (tmp_path / "password").write_text(PASSWORD)
    environment = {
        **WAITS,
        "MTSPAM_RERANK_URL": f"http://127.0.0.1:{backwards.server_port}",
        "MTSPAM_RERANK_PASSWORD_FILE": str(tmp_path / "password"),
    }
    folder = tmp_path / "nonsense"
    folder.mkdir()
    with searxng(folder, engines, environment) as port:
        assert found(port) == before
    assert len(backwards.asked) == 1
    assert "the order stays as it is" in (folder / "searxng.log").read_text()


def results_of(engine, n, kind):
    return [
        {"url": f"https://{engine}{place}.example/", "kind": kind, "priority": ""}
        for place in range(n)
    ]


@pytest.mark.parametrize("most", [100, 5])
@pytest.mark.parametrize("kinds", [("main", "main"), ("legacy", "legacy"), ("main", "legacy")])
def test_any_order_comes_about_with_any_weights(backwards, tmp_path, kinds, most):
    found = {
        "a": results_of("a", 4, kinds[0]),
        "b": results_of("b", 6, kinds[1]) + results_of("a", 2, kinds[1])[1:],
        "c": results_of("c", 1, kinds[1]),
        "nought": results_of("nought", 1, kinds[0]),
    }
    found["a"][2]["priority"] = "low"
    found["c"][0]["priority"] = "high"  # 2: between the second and the fourth of b
    weights = {"a": 0.3, "b": 7, "c": 2, "nought": 0}
    told = {"results": found, "weights": weights, "most": most}
    environment = {"MTSPAM_RERANK_URL": f"http://127.0.0.1:{backwards.server_address[1]}", **WAITS}
    before, after = in_searxng(tmp_path, "searxng_order.py", told, environment)
    fixed = ["https://a2.example/", "https://c0.example/", "https://nought0.example/"]
    moved = [url for url in before if url not in fixed][:most]
    places = dict(zip([before.index(url) for url in moved], moved[::-1], strict=True))
    assert after == [places.get(place, url) for place, url in enumerate(before)]
    asked = backwards.asked[0]
    assert asked["ids"] == moved
    assert asked["host_scores"] == sorted(asked["host_scores"], reverse=True)
    assert asked["user"] == ""
    assert before.index(fixed[1]) not in (0, len(before) - 1)
