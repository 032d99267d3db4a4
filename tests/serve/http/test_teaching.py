import hashlib
import logging

import pytest

from mtspam.errors import ConfigError
from mtspam.serve.contract import BusyError, Forgotten, UnavailableError
from mtspam.serve.http import passwords
from mtspam.serve.http.passwords import Gate, hash_password, is_password
from tests.serve.http.conftest import HASHED, LUNCH, PASSWORD, PILLS, serving, settings_with

KNOWN = {"Password": PASSWORD}
WRITING = ["/learnspam", "/learnham", "/learnclass", "/v1/learn?label=spam", "/v1/unlearn"]
GUARDED = [*WRITING, "/v1/explain", "/v1/forget?user=lou@example.org"]


def mail(n):
    return b"From: a%d@example.org\r\nSubject: %d\r\n\r\nhello, this is number %d\r\n" % (n, n, n)


# Passwords.


@pytest.mark.parametrize("target", GUARDED)
@pytest.mark.parametrize("headers", [{}, {"Password": "wrong"}, {"Authorization": "Bearer x"}])
def test_teaching_over_tcp_needs_the_password(running, target, headers):
    reply = running.post(target, PILLS, headers)
    assert reply.status == 401
    assert set(reply.json) == {"error"}


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {"Password": PASSWORD}),
        ("", {"Authorization": f"bearer {PASSWORD}"}),
        ("?password=open%20sesame", {}),
    ],
)
def test_the_password_may_be_given_in_three_ways(running, query, headers):
    reply = running.post(f"/learnspam{query}", PILLS, {**headers, "Deliver-To": "kim@example.org"})
    assert reply.status in (200, 208)


def test_an_error_does_not_repeat_the_password(running):
    reply = running.post("/v1/forget?password=open%20sesame")
    assert (reply.status, reply.json["error"]) == (400, "Missing required query parameter 'user'")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("field", ["Password: ", "Authorization: Bearer "])
def test_a_password_may_have_letters_outside_ascii(tmp_path, field, encoding):
    with serving(tmp_path, settings_with(http={"password_hash": hash_password("süß")})) as running:
        head = f"GET /auth HTTP/1.1\r\nHost: x\r\n{field}süß\r\n\r\n"
        assert running.exchange(head.encode(encoding)).startswith(b"HTTP/1.1 200 ")
        assert running.ask("GET", "/auth?password=s%C3%BC%C3%9F").status == 200
        assert running.ask("GET", "/auth", None, {"Password": "sÃ¼"}).status == 401


@pytest.mark.parametrize("target", ["/learnspam", "/v1/learn?label=spam&user=lou@example.org"])
def test_the_control_socket_needs_none(running, target):
    headers = {"Deliver-To": "lou@example.org", "Password": "wrong"}
    assert running.control(target, PILLS, headers).status in (200, 208)


def test_without_a_hash_nobody_teaches_over_tcp(tmp_path):
    with serving(tmp_path, settings_with(http={"password_hash": ""})) as running:
        reply = running.post("/learnspam", PILLS, KNOWN)
        assert reply.status == 403
        assert "http.password_hash" in reply.json["error"]
        assert running.control("/learnspam", PILLS).status == 200


def test_who_guesses_is_turned_away_and_who_knows_is_not(tmp_path):
    with serving(tmp_path, settings_with(http={"max_failures": 2})) as running:
        assert running.post("/learnspam", PILLS, KNOWN).status == 200
        statuses = [running.post("/auth", b"", {"Password": f"{n}"}).status for n in range(2)]
        statuses += [running.ask("GET", "/auth", None, {"Password": "x"}).status for _ in range(4)]
        assert statuses == [405, 405, 401, 401, 429, 429]
        # From the same address, but known already.
        assert running.post("/learnspam", LUNCH, KNOWN).status == 200


def test_a_long_body_does_not_keep_a_client_from_hearing_its_refusal(running):
    assert running.post("/learnspam", bytes(3_000_000)).status == 401


def test_a_hash_is_one_password_s():
    assert is_password(PASSWORD, HASHED)
    assert not is_password(PASSWORD + " ", HASHED)
    assert hash_password(PASSWORD) != HASHED  # each has its own salt
    kind, n, r, p, salt, key = HASHED.split("$")
    expected = hashlib.scrypt(
        PASSWORD.encode(),
        salt=passwords.base64.b64decode(salt),
        n=int(n),
        r=int(r),
        p=int(p),
        maxmem=1 << 30,
        dklen=32,
    )
    assert kind == "scrypt"
    assert passwords.base64.b64decode(key) == expected


@pytest.mark.parametrize("stored", ["x", "scrypt$1$2$3$4", "scrypt$a$8$1$AAAA$AAAA", HASHED[:-9]])
def test_what_is_no_hash_is_an_error_of_the_configuration(stored):
    with pytest.raises(ConfigError, match=r"http\.password_hash"):
        is_password(PASSWORD, stored)
    with pytest.raises(ConfigError, match=r"http\.password_hash"):
        Gate(stored, 1)


# Labels.


def test_a_label_is_new_once(running):
    message = mail(1)
    assert running.control("/learnspam", message).json == {"success": True}
    again = running.control("/learnspam", message)
    assert again.status == 208
    assert "already learned as spam" in again.json["error"]
    assert running.control("/learnham", message).status == 200
    assert running.control("/learnham", message).status == 208


def test_a_refused_label_is_in_the_log(running, caplog):
    message = mail(2)
    running.control("/learnspam", message)
    with caplog.at_level(logging.INFO, "mtspam.serve.http"):
        running.control("/learnspam", message)
    assert "already learned" in caplog.text


@pytest.mark.parametrize("name", ["spam", "ham", "phishing", "bulk", "SPAM"])
def test_a_class_may_be_named(running, name):
    user = {"Deliver-To": f"{name}.{name.islower()}@example.com", "Class": name}
    assert running.control("/learnclass", mail(3), user).status == 200


@pytest.mark.parametrize("headers", [{}, {"Class": "foo"}])
def test_a_class_that_is_none_is_refused(running, headers):
    reply = running.control("/learnclass", mail(4), headers)
    assert reply.status == 400
    assert "ham, spam, phishing, bulk" in reply.json["error"]


@pytest.mark.parametrize("target", WRITING[:2] + WRITING[3:])
def test_nothing_teaches_nothing(running, target):
    reply = running.control(target)
    assert (reply.status, reply.json) == (400, {"error": "Empty body is not permitted"})


@pytest.mark.parametrize("verb", ["learn?label=spam&", "unlearn?"])
@pytest.mark.parametrize("name", ["", "%20", "%3C%3E", "%0A", "%C2%A0"])
def test_a_name_that_names_nobody_does_not_speak_for_everybody(running, verb, name):
    message = mail(40)
    before = running.control("/v1/learn?label=ham", message).json["outcome"]
    assert before in ("new", "same")
    reply = running.control(f"/v1/{verb}user={name}", message)
    assert reply.status == 400
    assert "names no user" in reply.json["error"]
    by_id = hashlib.sha256(message).hexdigest()[:32]
    assert running.control(f"/v1/{verb}id={by_id}&user={name}").status == 400
    assert running.control("/v1/learn?label=ham", message).json["outcome"] == "same"


@pytest.mark.parametrize("field", ["Deliver-To", "Rcpt"])
@pytest.mark.parametrize("name", ["", "<>", " , "])
def test_a_field_that_names_nobody_does_not_speak_for_everybody(running, field, name):
    reply = running.control("/learnspam", mail(41), {field: name})
    assert reply.status == 400
    assert "names no user" in reply.json["error"]


def test_the_user_of_a_label_is_whose_mail_it_is(running):
    message = mail(5)
    running.control("/learnspam", message, {"Deliver-To": "Pat+x@Example.org"})
    assert running.control("/learnspam", message, {"Rcpt": "<pat@example.org>"}).status == 208
    assert running.control("/learnspam", message, {"User": "pat@example.org"}).status == 200


# Our own endpoints.


def test_labels_are_taken_and_taken_back(running):
    message, user = mail(6), "user=mia@example.org"
    outcomes = [
        running.control(f"/v1/learn?label={label}&{user}&source=test", message).json["outcome"]
        for label in ("spam", "spam", "ham")
    ]
    outcomes += [running.control(f"/v1/unlearn?{user}", message).json["outcome"] for _ in range(2)]
    assert outcomes == ["new", "same", "changed", "removed", "unknown"]


def test_a_user_is_forgotten(running):
    for n in range(3):
        running.control("/v1/learn?label=spam&user=ned@example.org", mail(40 + n))
    target = "/v1/forget?user=ned@example.org"
    wanted = {"events": 3, "folded": True, "rank_versions": []}
    assert running.post(target, headers={"Password": PASSWORD}).json == wanted
    assert running.control(target).json == {**wanted, "events": 0}


@pytest.mark.parametrize("query", ["", "?user=", "?user=%20"])
def test_nobody_is_not_forgotten(running, query):
    assert running.control(f"/v1/forget{query}").status == 400


class Slow:
    """A service whose fold takes longer than anybody waits."""

    def __init__(self, service):
        self._service = service

    def __getattr__(self, name):
        return getattr(self._service, name)

    async def forget(self, user):
        return Forgotten(7, is_folded=False)


def test_a_fold_that_goes_on_is_told_of(tmp_path):
    with serving(tmp_path, wrap=Slow) as running:
        reply = running.control("/v1/forget?user=ned@example.org")
    assert (reply.status, reply.json["events"], reply.json["folded"]) == (202, 7, False)


def test_a_message_just_judged_is_learnt_by_its_id(running):
    judged = running.post("/v1/judge?user=mia@example.org", mail(7)).json
    learnt = running.control(f"/v1/learn?label=spam&user=mia@example.org&id={judged['id']}")
    assert learnt.json == {"outcome": "new", "id": judged["id"]}
    again = running.control("/v1/learn?label=spam&user=mia@example.org", mail(7))
    assert again.json == {"outcome": "same", "id": judged["id"]}
    unknown = running.control(f"/v1/learn?label=spam&id={'0' * 32}")
    assert unknown.json["outcome"] == "unknown"


def test_a_judgement_has_all_there_is_to_know(running):
    judged = running.post("/v1/judge?user=ana@example.org&sender=a@example.org", PILLS).json
    assert judged["verdict"] == "spam"
    assert judged["action"] == "add header"
    assert set(judged["levels"]) == {"shared", "group", "personal", "starter"}
    assert sum(one["points"] for one in judged["symbols"]) == pytest.approx(
        judged["points"], abs=0.05
    )
    assert ["X-Mtspam-Id", judged["id"]] in judged["fields"]
    assert judged["points"] >= judged["required"]
    assert judged["defects"] == []


def test_an_explanation_has_reasons_strongest_first(running):
    explained = running.control("/v1/explain?user=ana@example.org&limit=4", PILLS).json
    totals = [abs(one["shared"] + one["group"] + one["personal"]) for one in explained["reasons"]]
    assert len(totals) == 4
    assert totals == sorted(totals, reverse=True)
    assert running.post("/v1/explain", PILLS, KNOWN).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/v1/learn",
        "/v1/learn?label=foo",
        "/v1/learn?label=spam&id=xyz",
        "/v1/learn?label=spam&source=A%0AB",
        "/v1/explain?limit=-1",
        "/v1/explain?limit=many",
        "/v1/judge?user=" + "a" * 2000,
    ],
)
def test_parameters_that_are_not_allowed_are_named(running, target):
    reply = running.control(target, PILLS)
    assert reply.status == 400
    name = target.rpartition("?")[2].rpartition("&")[2].partition("=")[0]
    assert ("label" if name == "/v1/learn" else name) in reply.json["error"]


# Failures.


class Refusing:
    """A service that takes no label."""

    def __init__(self, service, problem):
        self._service = service
        self._problem = problem

    def __getattr__(self, name):
        return getattr(self._service, name)

    async def learn(self, raw, label, *, user, source):
        raise self._problem

    async def unlearn(self, message, *, user, source):
        raise self._problem


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (BusyError("too many labels wait"), 503),
        (UnavailableError("the disk is full"), 503),
        (RuntimeError("secret"), 500),
    ],
)
def test_a_label_that_was_not_taken_is_never_acknowledged(tmp_path, problem, status):
    settings = settings_with(http={"on_failure": "pass"})
    with serving(tmp_path, settings, lambda service: Refusing(service, problem)) as running:
        for target in ("/learnspam", "/v1/learn?label=spam", "/v1/unlearn"):
            reply = running.control(target, PILLS)
            assert reply.status == status
            assert "secret" not in reply.json["error"]
