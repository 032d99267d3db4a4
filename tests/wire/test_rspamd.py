"""Our replies beside those of rspamd 3.4, request by request, in the order of the captures."""

import json
import re
from dataclasses import dataclass

import pytest

from tests.serve.http.conftest import serving, settings_with
from tests.serve.local_service import everything
from tests.wire.captures import WIRE, named, read_captures

RAW = read_captures("rspamd-3.4-raw.txt")
PILLS = (
    b"From: a@example.org\r\nTo: b@example.com\r\nSubject: cheap pills offer\r\n"
    b"Message-ID: <1@example.org>\r\n\r\nBuy cheap pills now, the best price of the year\r\n"
)
LUNCH = (
    b"From: c@example.org\r\nTo: b@example.com\r\nSubject: lunch\r\n"
    b"Message-ID: <2@example.org>\r\n\r\nShall we have lunch on Friday at the usual place?\r\n"
)

NO_RULES = "there are no rules: a verdict rests on what was learnt, and a test string on nothing"

# Keys of replies that rspamd has and we have not, or the other way round, and why.
KEYS = {
    "thresholds.add header": "rspamd 4 has it, 3.4 has not",
    "milter": "our fields are added to every message, so the block is always there",
    "milter.add_headers": "the same",
    "milter.remove_headers": "our names; X-Spam goes where it is there",
    "rmilter": "the same, by its older name",
    "rmilter.add_headers": "the same",
    "rmilter.remove_headers": "the same",
    "urls": "hosts of links are not collected",
    "emails": "nor are addresses",
    "messages.smtp_message": NO_RULES,
    "symbols.*.options": "a symbol of ours says all in its description",
    "symbols.*.description": "ours all have one, rspamd's only where somebody wrote it",
    "default.*.options": "a symbol of ours says all in its description",
    "default.*.description": "ours all have one",
    "message-id": "as in rspamd, but our own messages stand for those not shown in the capture",
}

# Name of the exchange: what we answer where the form is another, and why.
DIFFERENCES = {
    "/learnspam, too few tokens: 204 with a body": (
        200,
        "short messages are learnt; and a status without a body hides its reason",
    ),
    "learnspam short message": (200, "the same"),
}

# Endpoints of rspamd's that we do not have, and why.
LEFT_OUT = {
    "/graph day": "Prometheus keeps series of figures",
    "/pie": "the same figures are in /stat",
    "/history": "nothing about single messages is kept",
    "/symbols": "over GET it is a scan of nothing here, as on rspamd's scanning worker",
    "/actions": "limits are probabilities, and a policy file has them by user",
    "/maps": "there are none",
    "/errors": "they are in the log",
    "/neighbours": "there are none",
    "/counters": "there are no rules to count",
    "/plugins": "there are none",
    "/bayes/classifiers": "3.4 does not have it either",
    "/statreset no enable password": "counters of OpenMetrics never fall",
}


@dataclass(frozen=True)
class Exchange:
    """A request without its body and what rspamd answered."""

    name: str
    method: str
    target: str
    headers: dict
    status: int
    fields: dict
    body: str


def _read(path):
    if not path.exists():
        return
    _, *blocks = path.read_text("utf-8").split("\n## ")
    for block in blocks:
        name, request, *lines = block.splitlines()
        _, method, target, headers = request.split(" ", 3)
        replies = [line[2:] for line in lines if line.startswith("< ")]
        body = "\n".join(
            line for line in lines if not line.startswith(("< ", "#")) or "TYPE" in line
        )
        fields = dict(line.split(": ", 1) for line in replies[1:])
        status = int(replies[0].split()[0])
        yield Exchange(name, method, target, json.loads(headers), status, fields, body.strip())


HTTP = [*_read(WIRE / "rspamd-3.4-http.txt")]
BAYES = [*_read(WIRE / "rspamd-3.4-bayes.txt")]
SUPPORTED = [one for one in HTTP if one.name not in LEFT_OUT]
TAUGHT = {"Deliver-To": "b@example.com"}


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """One service that sees all exchanges over TCP, in their order."""
    with serving(tmp_path_factory.mktemp("raw")) as running:
        yield running


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    """One that sees those over HTTP in their order, by a socket that it trusts as `secure_ip`."""
    with serving(tmp_path_factory.mktemp("http")) as running:
        yield running


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """One that was taught as rspamd was for the captures of its Bayes."""
    settings = settings_with(actions={"together": "first"})
    with serving(tmp_path_factory.mktemp("bayes"), settings) as running:
        for _ in range(3):
            running.control("/learnspam", PILLS, TAUGHT)
            running.control("/learnham", LUNCH, TAUGHT)
        yield running


# The form of a reply.


def shape(value, path=""):
    """Yield each key of a JSON value with its type; a symbol's name stands for any."""
    if isinstance(value, dict):
        for key, one in value.items():
            name = "*" if re.fullmatch(r"[A-Z][A-Z0-9_]+", key) else key
            inner = f"{path}.{name}".lstrip(".")
            if inner.endswith("_headers"):
                yield inner, "object"
                assert all(_is_change(key, change) for change in one.values())
            else:
                yield from shape(one, inner)
    elif isinstance(value, list):
        yield path, "array"
    elif isinstance(value, bool | str):
        yield path, type(value).__name__
    else:
        yield path, "number"


def _is_change(key, change):
    if key == "remove_headers":
        return change == 0
    return set(change) == {"value", "order"}


def assert_same_shape(ours, theirs):
    ours, theirs = dict(shape(ours)), dict(shape(theirs))
    for key in ours.keys() & theirs.keys():
        assert ours[key] == theirs[key], key
    other = {key for key in ours.keys() ^ theirs.keys() if key not in KEYS}
    # Which symbols there are, and so what a reply without any has, is each one's own.
    assert not {key for key in other if "*" not in key}


def assert_same_head(ours, theirs):
    """Compare the names of header fields; values but of two."""
    ours = {name.lower(): value for name, value in ours.items()}
    theirs = {name.lower(): value for name, value in theirs.items()}
    # That nothing is to be stored, rspamd says of its controller's replies alone.
    assert ours.keys() - {"cache-control"} == theirs.keys() - {"cache-control"}
    assert ours["connection"] == theirs["connection"] == "close"
    assert ours["content-type"].partition(";")[0] == theirs["content-type"].partition(";")[0]


# Bytes.


def password_in(request):
    """What rspamd trusts by its address, ours trusts by a password."""
    return request.replace(b"\r\n", b"\r\nPassword: open sesame\r\n", 1)


@pytest.mark.parametrize("exchange", named(RAW))
def test_bytes(exchange, peer):
    request = exchange.request
    if request.startswith(b"POST /learn"):
        request = password_in(request)
    with peer.connect() as client:
        client.sendall(request)  # and its side stays open
        reply = everything(client)
    if exchange.reply.startswith(b"HTTP/"):
        compare_http(exchange, reply)
    else:
        assert line_form(reply) == line_form(exchange.reply)


def compare_http(exchange, reply):
    head, _, body = reply.partition(b"\r\n\r\n")
    peer_head, _, peer_body = exchange.reply.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    peer_line, *peer_fields = peer_head.decode().split("\r\n")
    status, _ = DIFFERENCES.get(exchange.name, (int(peer_line.split()[1]), None))
    assert int(line.split()[1]) == status
    fields, peer_fields = (dict(f.split(": ", 1) for f in fs) for fs in (fields, peer_fields))
    assert_same_head(fields, peer_fields)
    assert int({k.lower(): v for k, v in fields.items()}["content-length"]) == len(body)
    if exchange.name in DIFFERENCES:
        return
    if peer_body.startswith(b"{"):
        assert_same_shape(json.loads(body), json.loads(peer_body))
    else:
        assert body == peer_body


LINES = [
    (rb"default; (True|False); -?\d+\.\d\d / \d+\.\d\d / 0\.0", b"W; N / N / 0.0"),
    (rb"Spam: (True|False) ; -?\d+\.\d\d / \d+\.\d\d", b"Spam: W ; N / N"),
    (rb"Action: .*", b"Action: A"),
    (rb"(Symbol: [A-Z_]+\(-?\d+\.\d\d\)\r\n)+", b"SYMBOLS\r\n"),
    (rb"Message: .*\r\n", b""),  # the text of a rule that we do not have
    (rb"Content-length: \d+", b"Content-length: N"),
    (rb"\A([^\0]*\r\n\r\n)[A-Z_,]+\r\n\Z", rb"\1NAMES\r\n"),
]


def line_form(reply):
    """Bring a reply in lines to its form.

    The word for spam is left out: rspamd's is False even where its action is to reject, since
    nothing ever sets it there; ours is true.
    """
    head, blank, body = reply.partition(b"\r\n\r\n")
    if blank:
        assert int(re.search(rb"Content-length: (\d+)", head)[1]) == len(body)
    for pattern, form in LINES:
        reply = re.sub(pattern, form, reply)
    return reply


# Whole conversations.


def body_of(exchange):
    if "short" in exchange.name:
        return b"Subject: a\r\n\r\nb\r\n"
    if exchange.method == "GET" or "empty" in exchange.name:
        return b""
    if "before learning" in exchange.name or exchange.name == "learnham user b":
        return LUNCH
    return PILLS


@pytest.mark.parametrize("exchange", SUPPORTED or [None], ids=lambda one: one and one.name)
def test_http(exchange, trusting):
    if exchange is None:
        pytest.skip(f"the captures are not in {WIRE}")
    reply = trusting.ask(
        exchange.method, exchange.target, body_of(exchange), exchange.headers, is_control=True
    )
    status, _ = DIFFERENCES.get(exchange.name, (exchange.status, None))
    assert reply.status == status
    assert_same_head(dict(reply.headers), exchange.fields)
    if exchange.target == "/metrics":
        compare_metrics(reply.body.decode(), exchange.body)
    elif exchange.target in ("/stat", "/auth"):
        compare_figures(reply.json, json.loads(exchange.body))
    elif exchange.name not in DIFFERENCES and exchange.body.startswith("{"):
        assert_same_shape(reply.json, json.loads(exchange.body))
    elif exchange.name not in DIFFERENCES:
        assert reply.body.decode().strip() == exchange.body


# Figures of rspamd's that say something of its insides.
NO_FIGURES = re.compile(
    r"bytes_allocated|chunks|fragmented|pools|connections|config|scan_times|statfiles\b"
    r"|statfiles_|allocated_bytes|learns_total|^actions\.greylist$"
)


def compare_figures(ours, theirs):
    ours, theirs = dict(shape(ours)), dict(shape(theirs))
    missing = {key for key in theirs.keys() - ours.keys() if not NO_FIGURES.search(key)}
    assert not missing
    assert all(ours[key] == theirs[key] for key in ours.keys() & theirs.keys())


def compare_metrics(ours, theirs):
    """Every name of rspamd's is there, but for its insides; the text ends as it must."""
    names = {line.partition("{")[0].split()[0] for line in ours.splitlines() if line[0] != "#"}
    peer_names = {line.split()[2] for line in theirs.splitlines() if line.startswith("# TYPE")}
    assert not {name for name in peer_names - names if not NO_FIGURES.search(name)}
    assert ours.endswith("\n# EOF\n")


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_an_unknown_command_or_a_scan(name, trusting):
    found = [one for one in HTTP if one.name == name]
    if not found:
        pytest.skip(f"the captures are not in {WIRE}")
    reply = trusting.ask("GET", found[0].target)
    if found[0].target == "/symbols":
        assert "default" in reply.json
    else:
        assert reply.json == {"error": "invalid command", "error_domain": "protocol-error"}


# Whose verdict it is.


@pytest.mark.parametrize("exchange", BAYES or [None], ids=lambda one: one and one.name)
def test_verdicts_follow_the_principal_recipient(exchange, taught):
    if exchange is None:
        pytest.skip(f"the captures are not in {WIRE}")
    reply = taught.post(exchange.target, PILLS, exchange.headers)
    assert reply.status == exchange.status
    theirs = json.loads(exchange.body)
    assert_same_shape(reply.json, theirs)


@pytest.mark.parametrize(
    ("headers", "is_known"),
    [
        ({"Deliver-To": "b@example.com"}, True),
        ({"Deliver-To": "z@example.net"}, False),
        ({"Rcpt": "z@example.net,b@example.com"}, False),
        ({"Rcpt": "b@example.com,z@example.net"}, True),
        ({"Deliver-To": "B@Example.COM"}, True),
        # rspamd takes a tagged address for another user; here one person is one user.
        ({"Deliver-To": "b+tag@example.com"}, True),
    ],
)
def test_verdicts_in_the_order_of_recipients(headers, is_known, taught):
    """As `rspamd-3.4-recipient-order.txt` has it, where `actions.together` is `first`."""
    known = taught.post("/checkv2", PILLS, {"Deliver-To": "b@example.com"}).json
    asked = taught.post("/checkv2", PILLS, headers).json
    assert (asked["action"] == known["action"] == "add header") or not is_known
    assert ("MTSPAM_YOU" in asked["symbols"]) is (is_known and "Rcpt" not in headers)
