"""Ranking by the whole service: what one worker was told the others know, and a restart, too."""

import re
import signal
import time
from pathlib import Path

import cohere
import httpx
import pytest

from tests.hosts.processes import wait_until
from tests.serve.whole import SECONDS, config_text, whole_service

TREES = ["birch", "cedar", "dogwood", "elm"]
SMALL = "[ranking]\nresidual_bits = 12\n"


@pytest.fixture
def whole(tmp_path):
    with whole_service(tmp_path, config_text(more=SMALL)) as running:
        yield running


def post(whole, path, body):
    """Ask over the control socket, by whichever worker takes the connection."""
    transport = httpx.HTTPTransport(uds=str(whole.state / "mtspam.sock"))
    with httpx.Client(transport=transport, timeout=SECONDS) as client:
        reply = client.post(f"http://localhost{path}", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def rankings_by(whole):
    """Process of each ranking in the log."""
    return [int(pid) for pid in re.findall(r"pid=(\d+) msg=ranked", whole.log)]


def workers(whole):
    return {pid for name, pid in whole.children().items() if "worker" in name}


def first_by_all(whole, user):
    """What each worker ranks first for a user."""
    found = {}

    def is_asked():
        before = len(rankings_by(whole))
        body = {"query": "tree", "documents": TREES, "ids": TREES, "user": user}
        first = TREES[post(whole, "/v2/rerank", body)["results"][0]["index"]]
        wait_until(lambda: len(rankings_by(whole)) > before, "the ranking in the log")
        found.setdefault(rankings_by(whole)[before], []).append(first)
        return workers(whole) <= set(found)

    wait_until(is_asked, "an answer of every worker", SECONDS)
    return found


def click_often(whole, name, user, n=8):
    for _ in range(n):
        body = {"query": "tree", "documents": TREES, "ids": TREES, "user": user, "journal": True}
        reply = post(whole, "/v2/rerank", body)
        assert post(whole, "/feedback", click(reply["id"], name, user))["updated"] == 1


def test_clicks_show_in_the_next_request_to_any_worker(whole):
    before = first_by_all(whole, "ana")
    assert len(before) == 2
    assert {name for names in before.values() for name in names} == {"birch"}
    click_often(whole, "elm", "ana")
    after = first_by_all(whole, "ana")
    assert len(after) == 2
    # Not the last answer of each: the first one, too.
    assert {name for names in after.values() for name in names} == {"elm"}


def click(ranking, name="elm", user="ana"):
    return {
        "event": "interaction",
        "id": f"c {ranking}",
        "timestamp": str(round(time.time() * 1000)),
        "type": "click",
        "item": name,
        "ranking": ranking,
        "user": user,
    }


def test_the_official_client_is_answered_by_whoever_is_there(whole):
    """Each request on a connection of its own, which any worker may take."""
    extras = {"user": "ana", "ids": TREES, "journal": True}
    for _ in range(8):
        transport = httpx.HTTPTransport(uds=str(whole.state / "mtspam.sock"))
        with httpx.Client(transport=transport, timeout=SECONDS) as connections:
            client = cohere.ClientV2(
                api_key="none", base_url="http://localhost", httpx_client=connections
            )
            reply = client.rerank(
                model="mtspam",
                query="tree",
                documents=TREES,
                request_options={"additional_body_parameters": extras},
            )
        assert post(whole, "/feedback", click(reply.id))["updated"] == 1
    assert {name for names in first_by_all(whole, "ana").values() for name in names} == {"elm"}


def test_a_click_may_be_told_before_its_ranking(whole):
    for n in range(8):
        assert post(whole, "/feedback", click(f"r{n}"))["updated"] == 1
        body = {"query": "tree", "documents": TREES, "ids": TREES, "id": f"r{n}", "user": "ana"}
        assert post(whole, "/v2/rerank", {**body, "journal": True})["meta"]["is_journalled"]
    assert {name for names in first_by_all(whole, "ana").values() for name in names} == {"elm"}


def test_clicks_outlive_workers_and_the_service(tmp_path):
    text = config_text(more=SMALL)
    with whole_service(tmp_path, text) as whole:
        click_often(whole, "elm", "ana")
        whole.kill("mtspam worker 0")
        found = first_by_all(whole, "ana")
        assert {name for names in found.values() for name in names} == {"elm"}
        children = whole.pids()
        assert whole.stop(signal.SIGKILL) == -signal.SIGKILL
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the end")
    with whole_service(tmp_path, text) as whole:
        whole.wait_for("msg=ready", 2)  # the log goes on
        found = first_by_all(whole, "ana")
    assert {name for names in found.values() for name in names} == {"elm"}


def n_threads(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_who_only_filters_mail_pays_nothing(whole):
    worker = min(workers(whole))
    before = n_threads(worker)
    assert whole.check(b"Subject: lunch\r\n\r\nAt noon?\r\n") < 5.0
    assert n_threads(worker) == before
    first_by_all(whole, "ana")
    assert n_threads(worker) > before
