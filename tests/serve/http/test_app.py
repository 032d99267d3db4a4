import json
import re

import pytest
from litestar import post
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mtspam import __version__
from mtspam.serve.counters import Counters
from mtspam.serve.http.app import build_app
from mtspam.serve.http.figures import as_metrics
from tests.serve.http.conftest import PASSWORD, PILLS

PATHS = {
    "/auth",
    "/check",
    "/checkv2",
    "/checkv3",
    "/healthy",
    "/learnclass",
    "/learnham",
    "/learnspam",
    "/metrics",
    "/ping",
    "/ready",
    "/scan",
    "/stat",
    "/symbols",
    "/v1/explain",
    "/v1/forget",
    "/v1/judge",
    "/v1/learn",
    "/v1/status",
    "/v1/unlearn",
}


def test_the_document_tells_of_every_endpoint(running):
    reply = running.ask("GET", "/openapi.json")
    assert reply.json["openapi"].startswith("3.1")
    assert reply.json["info"]["version"] == __version__
    assert set(reply.json["paths"]) == PATHS
    operations = [one for methods in reply.json["paths"].values() for one in methods.values()]
    assert all(one["description"] for one in operations)
    learn = reply.json["paths"]["/v1/learn"]["post"]
    assert {one["name"] for one in learn["parameters"]} == {"label", "user", "source", "id"}
    assert set(learn["requestBody"]["content"]) == {"message/rfc822"}
    assert {"200", "400", "401", "403", "413", "429", "503"} <= set(learn["responses"])


def test_the_page_needs_nothing_from_elsewhere(running):
    page = running.ask("GET", "/docs").body.decode()
    assert not re.search(r"src=|https?://", page)
    for path in PATHS:
        assert f" {path}<" in page


def test_other_rooms_add_their_routes():
    @post("/v2/rerank")
    async def rerank() -> None:
        """Bring results into an order."""

    app = build_app(None, [rerank])
    assert "/v2/rerank" in app.openapi_schema.to_schema()["paths"]


@pytest.mark.parametrize("target", ["/nope", "/v1", "/v1/nope"])
def test_an_unknown_path_is_an_invalid_command(running, target):
    reply = running.ask("GET", target)
    assert reply.status == 500
    assert reply.json == {"error": "invalid command", "error_domain": "protocol-error"}


@pytest.mark.parametrize("target", ["/stat", "/checkv2", "/openapi.json", "/nope", "/v1/learn"])
def test_every_answer_has_the_same_head(running, target):
    reply = running.ask("GET", target)
    assert reply.headers["Server"] == "mtspam"
    assert reply.headers["Connection"] == "close"
    assert reply.headers["Date"].endswith("GMT")


def test_health_is_told(running):
    for target in ("/healthy", "/ready"):
        assert running.ask("GET", target).json == {"success": True}
    assert running.ask("GET", "/ping").body == b"pong\r\n"


def test_figures_grow_with_what_is_done(running):
    before = running.ask("GET", "/stat").json
    status = running.ask("GET", "/v1/status").json
    assert status["counts"]["rulings"] == before["scanned"]
    running.post("/checkv2", PILLS)
    running.control("/learnspam", PILLS, {"Deliver-To": "new@example.org"})
    after = running.ask("GET", "/stat").json
    assert after["scanned"] == before["scanned"] + 1
    assert after["learned"] == before["learned"] + 1
    assert after["spam_count"] == before["spam_count"] + 1
    assert after["actions"]["add header"] == before["actions"]["add header"] + 1
    auth = running.ask("GET", "/auth", headers={"Password": PASSWORD}).json
    assert auth["auth"] == "ok"
    assert auth["scanned"] == after["scanned"]


def test_metrics_are_openmetrics(running):
    running.post("/checkv2", PILLS)
    reply = running.ask("GET", "/metrics")
    assert reply.headers.get_content_type() == "application/openmetrics-text"
    families = {one.name: one for one in text_string_to_metric_families(reply.body.decode())}
    stat = running.ask("GET", "/stat").json
    (scanned,) = families["rspamd_scanned"].samples
    assert (scanned.name, scanned.value) == ("rspamd_scanned_total", stat["scanned"])
    actions = {one.labels["type"]: one.value for one in families["rspamd_actions"].samples}
    assert actions == stat["actions"]
    assert families["rspamd_build_info"].samples[0].labels == {"version": __version__}


def test_durations_are_classes_that_hold_one_another():
    counters = Counters(1)
    for seconds in (0.0001, 0.0004, 0.0004, 99.0):
        counters.count_ruling("reject", seconds)
    counters.count("refused:spamd")
    text = as_metrics(counters.totals(), 0.0).decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    samples = families["mtspam_ruling_seconds"].samples
    buckets = {one.labels["le"]: one.value for one in samples if one.name.endswith("_bucket")}
    assert (buckets["0.00025"], buckets["0.0005"], buckets["5.0"], buckets["+Inf"]) == (1, 3, 3, 4)
    events = {one.labels["name"]: one.value for one in families["mtspam_events"].samples}
    assert events == {"refused:spamd": 1}


def test_json_is_compact(running):
    body = running.post("/checkv2", PILLS).body
    assert body == json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
