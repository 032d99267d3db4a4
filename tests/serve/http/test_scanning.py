import gzip
import json
import zlib

import pytest

from mtspam.serve.contract import BusyError, UnavailableError
from mtspam.serve.http.unpacking import zstd
from tests.serve.http.conftest import LUNCH, NEWS, PILLS, request, serving, settings_with
from tests.serve.local_service import everything

LIMIT = 100_000


def scan(running, body, path="/checkv2", **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return running.post(path, body, fields)


def score(running, body, **headers):
    return scan(running, body, **headers).json["score"]


@pytest.fixture(scope="module")
def taught(running):
    """Ben calls the newsletter spam, eva ham."""
    for _ in range(3):
        running.control("/learnspam", NEWS, {"Deliver-To": "ben@example.org"})
        running.control("/learnham", NEWS, {"Deliver-To": "eva@example.org"})
    return running


# Verdicts.


def test_spam_is_told_from_ham(running):
    spam, ham = scan(running, PILLS).json, scan(running, LUNCH).json
    assert spam["action"] == "add header"
    assert spam["score"] >= spam["required_score"] > ham["score"]
    assert ham["action"] == "no action"


def test_symbols_add_up_and_say_by_which_level(taught):
    reply = scan(taught, NEWS, Deliver_To="ben@example.org").json
    assert sum(one["score"] for one in reply["symbols"].values()) == pytest.approx(
        reply["score"], abs=0.05
    )
    assert {"MTSPAM_EVERYONE", "MTSPAM_YOU"} <= set(reply["symbols"])
    for name, one in reply["symbols"].items():
        assert one["name"] == name
        assert one["metric_score"] == one["score"]
        assert one["description"].isascii()


@pytest.mark.parametrize(
    "headers",
    [
        {"Deliver_To": "ben@example.org"},
        {"Deliver_To": " <Ben@Example.ORG> "},
        {"Deliver_To": "ben+list@example.org"},
        {"Rcpt": "ben@example.org"},
        {"Deliver_To": "ben@example.org", "Rcpt": "eva@example.org"},
    ],
)
def test_the_principal_recipient_is_judged_for(taught, headers):
    assert score(taught, NEWS, **headers) == score(taught, NEWS, Deliver_To="ben@example.org")
    assert score(taught, NEWS, **headers) > score(taught, NEWS, Deliver_To="eva@example.org")


def test_who_submitted_is_no_recipient(taught):
    assert score(taught, NEWS, User="ben@example.org") == score(taught, NEWS)


def test_several_recipients_get_one_answer_that_shows_nobodys_taste(taught):
    both = scan(taught, NEWS, Rcpt="ben@example.org, eva@example.org").json
    assert "MTSPAM_YOU" not in both["symbols"]
    assert both["action"] == "no action"


def test_what_is_to_be_done_to_the_header_is_told(running):
    body = b"X-Spam-Level: ***\r\nX-MTSPAM-Why: because\r\nX-Spammer: no\r\n" + PILLS
    milter = scan(running, body).json["milter"]
    assert {"X-Spam-Level", "X-MTSPAM-Why", "X-Mtspam-Id"} <= set(milter["remove_headers"])
    assert set(milter["remove_headers"].values()) == {0}
    assert "X-Spammer" not in milter["remove_headers"]
    flag = milter["add_headers"]["X-Spam-Flag"]
    assert flag == {"value": "YES", "order": -1}


def test_the_legacy_reply_has_symbols_among_the_figures(running):
    for path in ("/check", "/symbols", "/scan"):
        reply = scan(running, PILLS, path).json
        default = reply["default"]
        assert default["is_spam"] is True
        assert default["MTSPAM_EVERYONE"]["name"] == "MTSPAM_EVERYONE"
        assert "rmilter" in reply
        assert "milter" not in reply


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_judged_too(running, method):
    reply = running.ask(method, "/checkv2")
    assert reply.status == 200
    assert reply.json["messages"] == {}
    assert "message-id" not in reply.json


def test_a_message_id_that_is_none_is_not_repeated(running):
    body = b"Message-ID: <a\x07b>\r\n\r\nhello\r\n"
    assert "message-id" not in scan(running, body).json
    assert scan(running, PILLS).json["message-id"] == "1@example.org"


# Actions that refuse.


@pytest.mark.parametrize("action", ["quarantine", "discard"])
def test_actions_of_milter_are_told_in_its_block(tmp_path, action):
    with serving(tmp_path, settings_with(actions={action: 0.0})) as running:
        reply = scan(running, PILLS).json
        assert reply["action"] == action
        assert reply["reject"] == reply["milter"]["reject"] == action


def test_a_refusal_has_a_text_without_codes(tmp_path):
    with serving(tmp_path, settings_with(actions={"reject": 0.0})) as running:
        reply = scan(running, PILLS).json
        assert reply["action"] == "reject"
        assert reply["messages"]["smtp_message"]
        assert not reply["messages"]["smtp_message"][0].isdigit()


def test_a_subject_is_rewritten(tmp_path):
    with serving(tmp_path, settings_with(actions={"rewrite_subject": 0.0})) as running:
        reply = scan(running, PILLS).json
        assert reply["action"] == "rewrite subject"
        assert reply["subject"] == "[SPAM] cheap pills"


# Packed bodies.

PACKED = [
    ("Content-Encoding", "gzip", gzip.compress),
    ("Content-Encoding", "deflate", zlib.compress),
    ("Content-Encoding", "deflate", lambda data: zlib.compress(data, wbits=-15)),
    ("Compression", "zstd", zstd.compress),
    ("Content-Encoding", "zstd", zstd.compress),
]


@pytest.mark.parametrize(("header", "name", "pack"), PACKED)
def test_a_packed_message_is_the_message(running, header, name, pack):
    reply = running.post("/checkv2", pack(PILLS), {header: name})
    assert reply.json["score"] == score(running, PILLS)


@pytest.mark.parametrize(("header", "name", "pack"), PACKED)
def test_what_is_packed_has_a_limit(tmp_path, header, name, pack):
    with serving(tmp_path, settings_with(mail={"max_message_bytes": LIMIT})) as running:
        fits = running.post("/checkv2", pack(bytes(LIMIT)), {header: name})
        larger = running.post("/checkv2", pack(bytes(LIMIT + 1)), {header: name})
        assert (fits.status, larger.status) == (200, 413)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Compression": "lzma"}, PILLS, 415),
        ({"Content-Encoding": "br"}, PILLS, 415),
        ({"Compression": "zstd"}, PILLS, 400),
        ({"Content-Encoding": "gzip"}, PILLS, 400),
        ({"Content-Encoding": "gzip"}, gzip.compress(PILLS)[:-9], 400),
        ({"Compression": "zstd"}, zstd.compress(PILLS)[:-3], 400),
        ({"Message-Offset": "-1"}, PILLS, 400),
        ({"Message-Offset": "9" * 5_000}, PILLS, 400),
        ({"File": "/etc/passwd"}, PILLS, 403),
        ({"path": "/etc/passwd"}, PILLS, 403),
        ({"Shm": "/1"}, PILLS, 403),
    ],
)
def test_what_cannot_be_taken_in_is_refused_with_a_reason(running, headers, body, status):
    reply = running.post("/checkv2", body, headers)
    assert reply.status == status
    assert reply.json["error"]


def test_a_message_may_begin_further_on(running):
    reply = running.post("/checkv2", b"12345" + PILLS, {"Message-Offset": "5"})
    assert reply.json["score"] == score(running, PILLS)


# Parts.


def form(*parts, boundary="x"):
    lines = []
    for name, body in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        lines.append(head.encode() + body + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def test_parts_are_a_message_and_what_is_known_of_it(taught):
    known = json.dumps({"deliver_to": "ben@example.org", "from": "a@example.org"}).encode()
    reply = taught.post("/checkv3", form(("metadata", known), ("message", NEWS)), FORM)
    assert reply.headers.get_content_type() == "multipart/mixed"
    assert reply.headers.get_param("boundary").encode() in reply.body
    result = json.loads(reply.body.split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0])
    assert result["score"] == score(taught, NEWS, Deliver_To="ben@example.org")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, PILLS, 415),
        (FORM, PILLS, 400),
        (FORM, form(("metadata", b"{}")), 400),
        (FORM, form(("metadata", b"[1]"), ("message", PILLS)), 400),
        (FORM, form(("metadata", b'{"\x86": "a"}'), ("message", PILLS)), 400),
        (FORM, form(("metadata", b"[" * 30_000), ("message", PILLS)), 400),
        (FORM, form(("metadata", b'{"file": "/etc/passwd"}'), ("message", PILLS)), 403),
        (FORM, form(*[(str(n), b"") for n in range(20)], ("message", PILLS)), 400),
    ],
)
def test_a_form_that_is_none_is_refused_with_a_reason(running, headers, body, status):
    reply = running.post("/checkv3", body, headers)
    assert reply.status == status
    assert reply.json["error"]


# Connections.


def test_a_connection_closes_unless_more_is_asked(running):
    closed = running.exchange(request("/checkv2", PILLS))
    assert b"\r\nConnection: close\r\n" in closed
    with running.connect() as client:
        for target in ("/checkv2", "/ping", "/stat", "/checkv2"):
            client.sendall(request(target, headers={"Connection": "keep-alive"}, method="GET"))
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            assert head.startswith(b"HTTP/1.1 200"), target
            fields = dict(line.lower().split(b": ", 1) for line in head.strip().split(b"\r\n")[1:])
            assert client.recv(int(fields[b"content-length"]))


def test_a_second_request_that_came_along_is_not_answered_but_told_to_come_again(running):
    two = request("/ping", headers={"Connection": "keep-alive"}) * 2
    replies = running.exchange(two)
    assert replies.count(b"HTTP/1.1 200") == 1
    assert b"\r\nConnection: close\r\n" in replies


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_may_come_in_pieces(running, size):
    data = request("/checkv2", PILLS)
    with running.connect() as client:
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        assert b'"action":"add header"' in everything(client)


def test_a_chunked_body_is_taken(running):
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PILLS[:50], PILLS[50:]))
    head = b"POST /checkv2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b'"action":"add header"' in running.exchange(head + body + b"0\r\n\r\n")


def test_a_client_that_asks_first_is_told_to_go_on(running):
    data = request("/checkv2", PILLS, {"Expect": "100-continue"})
    head = data[: -len(PILLS)]
    with running.connect() as client:
        client.sendall(head)
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(PILLS)
        assert everything(client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /checkv2 HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (request("/checkv2", headers={"Transfer-Encoding": "chunked"}), b"400"),
        (b"POST /checkv2 HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, b"431"),
        (b"\x00\x01\x02\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (request("/nope"), b"500"),
    ],
)
def test_what_is_no_request_gets_an_error(running, data, status):
    assert running.exchange(data)[:12] == b"HTTP/1.1 " + status


@pytest.mark.parametrize("path", ["/checkv2", "/v1/judge"])
def test_too_large_a_message_is_refused_so_that_the_client_hears_it(tmp_path, path):
    with serving(tmp_path, settings_with(mail={"max_message_bytes": LIMIT})) as running:
        for body in (bytes(LIMIT + 1), bytes(50 * LIMIT)):
            reply = running.post(path, body)
            assert reply.status == 413
            assert str(LIMIT) in reply.json["error"]
        assert running.post(path, bytes(LIMIT)).status == 200


# Failures.


class Failing:
    """A service whose every ruling fails."""

    def __init__(self, service, problem):
        self._service = service
        self._problem = problem

    def __getattr__(self, name):
        return getattr(self._service, name)

    def rule(self, raw, envelope):
        raise self._problem

    rule_together = rule


PROBLEMS = [
    BusyError("too much to do"),
    UnavailableError("the writer is gone"),
    RuntimeError("secret"),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("path", ["/checkv2", "/check"])
def test_a_failure_is_an_error_without_what_nobody_may_know(tmp_path, problem, path):
    with serving(tmp_path, wrap=lambda service: Failing(service, problem)) as running:
        reply = scan(running, PILLS, path)
        assert reply.status == 503
        assert set(reply.json) == {"error"}
        assert "secret" not in reply.json["error"]


def test_a_fault_is_traced_once_and_told_each_time(tmp_path, caplog):
    fault = LookupError("here")
    with serving(tmp_path, wrap=lambda service: Failing(service, fault)) as running:
        for _ in range(3):
            scan(running, PILLS)
    told = [one for one in caplog.records if "no verdict" in one.message]
    assert [one.exc_info is not None for one in told] == [True, False, False]
    assert all("LookupError" in one.message for one in told)


def test_a_failure_lets_mail_pass_where_that_is_set(tmp_path):
    settings = settings_with(http={"on_failure": "pass"})
    with serving(
        tmp_path, settings, lambda service: Failing(service, UnavailableError("gone"))
    ) as running:
        reply = scan(running, PILLS)
        assert reply.status == 200
        assert reply.json["action"] == "no action"
        assert reply.json["is_skipped"] is True
        legacy = scan(running, PILLS, "/check").json
        assert legacy["default"]["action"] == "no action"
        assert running.post("/v1/judge", PILLS).status == 503
