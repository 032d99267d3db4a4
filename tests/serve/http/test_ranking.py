"""Ranking over HTTP: Cohere's endpoint by its own client, feedback in Metarank's shape."""

import asyncio
import gzip
import json
import math
import threading

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from mtspam.journal.search import SearchJournal
from mtspam.search.events import Item, RankingShown
from mtspam.serve.rerank.requests import RerankRequest, item_key
from mtspam.spam.documents import scorer_of
from mtspam.state import StateDirectory
from tests.serve.http.conftest import PASSWORD, PILLS, ranking, settings_with
from tests.serve.local_service import SECONDS

TREES = ["birch", "cedar", "dogwood", "elm"]
KNOWN = {"Authorization": f"Bearer {PASSWORD}"}


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    with ranking(tmp_path_factory.mktemp("ranking")) as running:
        yield running


@pytest.fixture
def own_face(tmp_path):
    with ranking(tmp_path) as running:
        yield running


@pytest.fixture
def client(face):
    with httpx.Client(timeout=SECONDS) as connections:
        yield cohere.ClientV2(
            api_key=PASSWORD,
            base_url=f"http://127.0.0.1:{face.port}",
            httpx_client=connections,
        )


def asked(face, headers=None, *, path="/v2/rerank", **body):
    body = {"query": "tree", "documents": TREES, **body}
    return face.post(path, json.dumps(body).encode(), headers)


def order(reply):
    return [result["index"] for result in reply.json["results"]]


def click(name, ranking, n=0, user="ana"):
    return {"event": "interaction", "id": f"c{ranking}{n}", "timestamp": 5, "type": "click",
            "item": name, "ranking": ranking, "user": user}  # fmt: skip


def teach(face, name, n=8, user="ana"):
    """Click the same document in so many rankings."""
    for _ in range(n):
        reply = asked(face, KNOWN, user=user, journal=True, ids=TREES)
        assert reply.json["meta"]["is_journalled"]
        event = click(name, reply.json["id"], user=user)
        assert face.post("/feedback", json.dumps(event), KNOWN).status == 200


def test_the_official_client_is_answered(client):
    reply = client.rerank(model="rerank-v3.5", query="tree", documents=TREES, top_n=3)
    assert [result.index for result in reply.results] == [0, 1, 2]
    scores = [result.relevance_score for result in reply.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert reply.id
    assert reply.meta.api_version.version == "2"
    assert reply.meta.billed_units.search_units == 1


def test_the_official_client_learns_what_was_wrong(client):
    with pytest.raises(ApiError) as caught:
        client.rerank(model="rerank-v3.5", query="tree", documents=[])
    assert caught.value.status_code == 400
    assert "must not be empty" in caught.value.body["message"]
    with pytest.raises(cohere.NotFoundError) as caught:
        client.rerank(model="oak", query="tree", documents=TREES)
    assert "oak" in caught.value.body["message"]


def test_the_official_client_passes_on_what_is_ours(client, face):
    extras = {"user": "bea", "journal": True, "explain": True, "ids": TREES}
    reply = client.rerank(
        model="mtspam",
        query="tree",
        documents=TREES,
        request_options={"additional_body_parameters": extras},
    )
    assert reply.results[0].item == "birch"
    assert reply.results[0].reasons["host"] < 0
    assert face.post("/feedback", json.dumps(click("elm", reply.id)), KNOWN).json["updated"] == 1


def test_clicks_of_a_user_change_their_order_and_nobody_elses_as_much(own_face):
    teach(own_face, "elm")
    assert order(asked(own_face, user="ana", ids=TREES))[0] == 3
    assert order(asked(own_face, ids=TREES))[0] == 0


def test_documents_without_ids_are_known_by_their_text(own_face):
    for n in range(8):
        reply = asked(own_face, KNOWN, user="ana", journal=True, id=f"r{n}")
        items = {result["index"]: result["item"] for result in reply.json["results"]}
        assert items[3] == item_key("elm")
        own_face.post("/feedback", json.dumps(click(items[3], f"r{n}")), KNOWN)
    assert order(asked(own_face, user="ana"))[0] == 3
    assert order(asked(own_face, user="ana", documents=[{"text": t} for t in TREES]))[0] == 3


def test_the_client_may_post_the_ranking_itself(own_face):
    for n in range(8):
        shown = {"event": "ranking", "id": f"r{n}", "timestamp": n, "user": "ana",
                 "items": [{"id": name} for name in TREES]}  # fmt: skip
        events = [shown, click("elm", f"r{n}")]
        reply = own_face.control("/feedback", json.dumps(events))
        assert reply.json["accepted"] == 2
        assert reply.json["status"] == "ok"
        assert reply.json["updated"] == 2
        assert reply.json["tookMillis"] >= 0
        assert own_face.control("/feedback", json.dumps(events)).json["updated"] == 0
    assert order(asked(own_face, user="ana", ids=TREES))[0] == 3


def test_events_may_come_one_a_line(own_face):
    lines = "\n".join(json.dumps(click("elm", "r", n)) for n in range(3))
    assert own_face.control("/feedback", lines + "\n").json["accepted"] == 3


def test_reasons_add_up_to_the_score_that_orders(own_face):
    teach(own_face, "elm")
    results = asked(own_face, user="ana", ids=TREES, explain=True).json["results"]
    for result in results:
        why = result["reasons"]
        parts = [why["host"], why["trunk"]["click"], why["trunk"]["conversion"]]
        parts += why["personal"].values()
        assert math.fsum(parts) == pytest.approx(why["score"])
        assert result["relevance_score"] == pytest.approx(1 / (1 + math.exp(-why["score"])))
    assert results[0]["item"] == "elm"
    assert results[0]["reasons"]["personal"]["you"] > 0


def test_who_gives_no_password_can_neither_teach_nor_fill_the_journal(face):
    event = json.dumps(click("elm", "r"))
    for reply in (face.post("/feedback", event), asked(face, journal=True)):
        assert reply.status == 401
        assert "password" in reply.json["message"]
    wrong = {"Authorization": "Bearer guess"}
    assert face.post("/feedback", event, wrong).status == 401
    assert asked(face, wrong, journal=True).status == 401
    assert asked(face, wrong).status == 200  # to ask needs none, and clients always send one


def test_rankings_are_journalled_as_the_settings_say(tmp_path):
    for journal, is_asked, expected in (
        ("off", True, False), ("asked", False, False), ("all", False, True)
    ):  # fmt: skip
        settings = settings_with(rerank={"journal": journal}, ranking={"residual_bits": 12})
        folder = tmp_path / journal
        folder.mkdir()
        with ranking(folder, settings) as running:
            meta = asked(running, journal=is_asked).json["meta"]
            assert meta.get("is_journalled", False) is expected
            assert ("warnings" in meta) is (journal == "off")


def test_a_ranking_of_the_same_id_is_journalled_once(own_face):
    assert asked(own_face, KNOWN, journal=True, id="r").json["meta"]["is_journalled"]
    again = asked(own_face, KNOWN, journal=True, id="r").json
    assert again["id"] == "r"
    assert "before" in again["meta"]["warnings"][0]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "invalid request"),
        (b"{", "invalid request"),
        (b"[]", "invalid request"),
        (b"\xff\xfe", "invalid request"),
        (b'{"query": "caf\xe9", "documents": ["a"]}', "utf-8"),
        (b'{"documents": ["a"]}', "`query`"),
        (b'{"query": "q"}', "`documents`"),
        (b'{"query": "q", "documents": []}', "must not be empty"),
        (b'{"query": "q", "documents": [1]}', "documents[0]"),
        (b'{"query": "q", "documents": ["a"], "top_n": -1}', "top_n is -1"),
        (b'{"query": "q", "documents": ["a"], "ids": []}', "0 ids for 1"),
        (b'{"query": "q", "documents": ["a"], "host_scores": [NaN]}', "invalid request"),
        (b'{"query": "q", "documents": ["a"], "host_scores": [1e999]}', "invalid request"),
        (b'{"query": "q", "documents": ["a"], "host_scores": [1e99]}', "host_scores[0]"),
        (b'{"query": "q", "documents": [{"features": {"x": "y"}}]}', "must be a number"),
        (b'{"query": "q", "documents": [{"features": [1]}]}', "must be an object"),
        (b'{"query": "q", "documents": [{"fields": {"x": {}}}]}', "documents[0].fields['x']"),
        (b'{"query": "q", "documents": [{"id": 1.5}]}', "documents[0].id"),
        (b'{"query": "q", "documents": ["a"], "user": "' + b"u" * 1001 + b'"}', "1000 characters"),
        (b'{"query": "q", "documents": ["a"], "x": ' + b"[" * 100_000, "invalid request"),
    ],
)
def test_what_is_malformed_is_refused(face, body, text):
    reply = face.post("/v2/rerank", body)
    assert reply.status == 400
    assert text in reply.json["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff", b"1", b"[1]", b"{}", b"[[]]",
        b'{"event": "interaction", "id": "1", "timestamp": 5}',
        b'{"event": "interaction", "id": "1", "timestamp": 1e300, "type": "click", "item": "a"}',
        '{"event": "interaction", "id": "1", "timestamp": "²", "type": "x", "item": "a"}'.encode(),
        b'{"event": "ranking", "id": "1", "timestamp": 5, "items": 7}',
    ],
)  # fmt: skip
def test_events_that_are_none_are_refused(face, body):
    reply = face.control("/feedback", body)
    assert reply.status == 400
    assert reply.json["message"]


def test_of_a_list_with_a_wrong_event_none_is_taken(own_face):
    good = click("elm", "r")
    assert own_face.control("/feedback", json.dumps([good, {}])).status == 400
    assert own_face.control("/feedback", json.dumps([good])).json["updated"] == 1


def test_odd_requests_are_answered(face):
    assert order(asked(face, top_n=0)) == [0, 1, 2, 3]
    assert order(asked(face, top_n=99)) == [0, 1, 2, 3]
    assert order(asked(face, top_n=2)) == [0, 1]
    assert order(asked(face, documents=["a", "a", "a"])) == [0, 1, 2]
    assert order(asked(face, documents=["", {}, {"text": ""}])) == [0, 1, 2]
    assert order(asked(face, documents=["long " * 100_000])) == [0]
    assert order(asked(face, query="")) == [0, 1, 2, 3]
    assert order(asked(face, host_scores=[1, None, 2.5, 0], market="fr", session="s")) == [
        0, 1, 2, 3
    ]  # fmt: skip
    assert order(asked(face, max_tokens_per_doc=9, priority=5, rank_fields=["text"])) == [
        0, 1, 2, 3
    ]  # fmt: skip
    many = asked(face, documents=[f"d{n}" for n in range(10_000)])
    assert len(many.json["results"]) == 10_000
    assert all(math.isfinite(one["relevance_score"]) for one in many.json["results"])
    assert many.json["meta"]["billed_units"] == {"search_units": 100}
    assert "10000 are taken" in asked(face, documents=["d"] * 10_001).json["message"]


def test_a_packed_body_is_unpacked(face):
    body = gzip.compress(json.dumps({"query": "q", "documents": TREES}).encode())
    assert order(face.post("/v2/rerank", body, {"Content-Encoding": "gzip"})) == [0, 1, 2, 3]


def test_limits_hold(tmp_path):
    settings = settings_with(
        rerank={"max_body_bytes": 2_000, "max_documents": 3, "max_values": 5},
        ranking={"residual_bits": 12},
    )
    with ranking(tmp_path, settings) as running:
        assert asked(running).status == 400
        too_long = asked(running, documents=["d" * 3_000])
        assert too_long.status == 413
        assert "2000" in too_long.json["message"]
        wide = [{"features": {f"f{n}": 1.0 for n in range(3)}}, {"features": {}}]
        assert "too many features" in asked(running, documents=wide).json["message"]
        events = [click("elm", "r", n) for n in range(4)]
        assert "at most 3" in running.control("/feedback", json.dumps(events)).json["message"]


def test_who_finds_no_turn_is_told_to_come_again(tmp_path):
    settings = settings_with(
        rerank={"max_waiting": 1, "wait_seconds": SECONDS}, ranking={"residual_bits": 12}
    )
    with ranking(tmp_path, settings) as running:
        begun, go = threading.Event(), threading.Event()

        def wait():
            begun.set()
            return go.wait(SECONDS)

        busy = asyncio.run_coroutine_threadsafe(running.ranker_thread.do(wait), running.loop)
        assert begun.wait(SECONDS)
        reply = asked(running)
        assert reply.status == 429
        assert "too many" in reply.json["message"]
        # Mail does not wait for rankings.
        assert running.post("/checkv2", PILLS).status == 200
        go.set()
        assert busy.result(SECONDS)
        assert asked(running).status == 200


def test_a_state_that_cannot_be_read_is_no_defect_of_the_request(tmp_path):
    with ranking(tmp_path) as running:
        version = tmp_path / "state" / "rank" / "current"
        version.parent.mkdir()
        for _ in range(2):  # when it is opened, and while it is open
            version.write_text("0009")
            reply = asked(running)
            assert reply.status == 503
            assert "0009" in reply.json["message"]
            version.unlink()
            assert asked(running).status == 200


def test_version_one_tells_documents_if_asked(face):
    told = asked(face, path="/v1/rerank", documents=["a", {"text": "b"}], return_documents=True)
    assert [one["document"] for one in told.json["results"]] == [{"text": "a"}, {"text": "b"}]
    assert told.json["meta"]["api_version"] == {"version": "1"}
    plain = asked(face, path="/v1/rerank")
    assert "document" not in plain.json["results"][0]


def test_the_document_tells_of_ranking(face, running):
    paths = face.ask("GET", "/openapi.json").json["paths"]
    assert {"/v1/rerank", "/v2/rerank", "/feedback"} <= set(paths)
    schema = paths["/v2/rerank"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == set(RerankRequest.__struct_fields__)
    # Where nothing ranks there is nothing to ask.
    assert "/v2/rerank" not in running.ask("GET", "/openapi.json").json["paths"]


def test_what_is_ranked_and_journalled_is_counted(own_face):
    before = own_face.post("/v2/rerank", b"{}").status
    assert before == 400
    teach(own_face, "elm", n=8)
    asked(own_face, user="ana", ids=TREES)
    own_face.post("/feedback", json.dumps([click("elm", "known"), click("elm", "known")]), KNOWN)
    own_face.post("/feedback", b"{", KNOWN)
    text = own_face.ask("GET", "/metrics").body.decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}

    def total(name):
        [sample] = families[name].samples
        return sample.value

    assert total("mtspam_rankings") == 9
    assert total("mtspam_rankings_candidates") == 9 * len(TREES)
    assert 1 <= total("mtspam_rankings_unchanged") < 9
    outcomes = {
        one.labels["outcome"]: one.value for one in families["mtspam_ranking_events"].samples
    }
    assert outcomes == {"new": 8 + 8 + 1, "same": 1}
    refusals = {
        one.labels["outcome"]: one.value for one in families["mtspam_ranking_refusals"].samples
    }
    assert refusals == {"malformed": 1}
    counts = {one.name: one.value for one in families["mtspam_ranking_seconds"].samples}
    assert counts["mtspam_ranking_seconds_count"] == 9
    assert counts["mtspam_ranking_seconds_sum"] > 0


def test_documents_are_journalled_with_the_spam_scores_they_were_ranked_by(own_face, tmp_path):
    page = "Buy cheap pills now, order today, no prescription needed, your money back guaranteed!"
    documents = [page, {"text": page, "fields": {"price": 3}}, "short", {"fields": {"body": page}}]
    asked(own_face, KNOWN, documents=documents, journal=True, id="r")
    told = {"event": "item", "id": "i", "timestamp": 5, "item": "x",
            "fields": [{"name": "text", "value": page}]}  # fmt: skip
    own_face.post("/feedback", json.dumps(told), KNOWN)
    directory = StateDirectory(tmp_path / "state")
    with SearchJournal.open(directory.journal, directory.secret(), read_only=True) as journal:
        events = [event for _, event in journal.events()]
    [shown] = [event for event in events if isinstance(event, RankingShown)]
    [item] = [event for event in events if isinstance(event, Item) and event.item == "x"]
    expected = scorer_of(own_face.ranker_thread.settings)(page)
    in_request = dict(zip(shown.host_places, shown.items, strict=True))
    found = [dict(in_request[place].fields).get("spam_score") for place in range(4)]
    assert found == pytest.approx([expected, expected, None, expected])
    assert item.fields["spam_score"] == pytest.approx(expected)
