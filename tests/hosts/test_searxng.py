"""Our plugin in the real SearXNG: its order follows clicks, and stands where we do not answer."""

import json
import re
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from mtspam.serve.http.passwords import hash_password
from tests.hosts.conftest import serving
from tests.hosts.processes import free_port
from tests.hosts.searxng import engine, searxng

SECONDS = 30
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
    import socket

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
