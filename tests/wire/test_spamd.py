"""Our replies beside those of spamd 4.0.1, request by request, in the order of the captures."""

import re

import pytest

from mtspam.serve.spamd.codec import RequestReader
from tests.serve.local_service import everything, settings_with
from tests.serve.spamd.conftest import serving, tell
from tests.wire.captures import named, read_captures

EXCHANGES = read_captures("spamd-4.0.1.txt", "spamd-4.0.1-more.txt")
NO_TELL = "TELL while the server runs without --allow-tell"

LEARNT = b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"
NO_CLASS = (
    b"SPAMD/1.0 76 Bad header line: "
    b"(Message-class must be spam or ham where local is to be set)\r\n"
)
HAM = b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; N / N\r\n\r\n"

# Name of the exchange: the form of our reply where it is another than spamd's, and why.
DIFFERENCES = {
    "TELL no class": (NO_CLASS, "spamd learns ham, though nobody said so"),
    "TELL bad class": (NO_CLASS, "spamd learns ham, though nobody said so"),
    "TELL class foo, new message": (NO_CLASS, "spamd learns ham, though nobody said so"),
    "the same message as ham: nothing to do, so foo had been learned as ham": (
        LEARNT,
        "foo was refused, so this is the first label",
    ),
    "the same message as ham: nothing to do, so SPAM had been learned as ham": (
        LEARNT,
        "SPAM was taken for spam, so this is another mind",
    ),
    "TELL without class, new message": (NO_CLASS, "spamd learns ham, though nobody said so"),
    "the same message as ham: nothing to do": (
        LEARNT,
        "no class was refused, so this is the first label",
    ),
    NO_TELL: (
        b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled "
        b"(setting spamd.allow_tell)\r\n",
        "the switch has another name",
    ),
    "empty message": (HAM, "spamd has rules about missing headers; nobody called this spam"),
}

# What every rewritten message has otherwise: pattern, what stands for it, and why.
ALWAYS = [
    (rb"\r\n[ \t]+", b" ", "our fields are short enough not to be folded"),
    (rb"(X-Spam-Checker-Version:) [^\r]*", rb"\1 V", "another program on another host"),
    (rb" autolearn_force=no", b"", "there is no learning on one's own that could be forced"),
    (rb"autolearn=\w+ version=[\d.]+", b"autolearn=A version=V", "each has its own"),
    (
        rb"score=-?\d+\.\d required=\d+\.\d tests=(\S+, ?)*\S+",
        b"score=N required=N tests=T",
        "scores",
    ),
    (rb"(X-Spam-Level:) \*+", rb"\1 *", "a star for each point"),
    (rb"(X-Spam-Report:) [^\r]*", rb"\1 R", "each has its own reasons"),
    (rb"(?m)^X-Mtspam-[^\r]*\r\n", b"", "ours alone: the id to learn by, the verdict, why"),
]


def form(reply, command):
    """Bring a reply to its form: figures, names and prose stand for themselves no more."""
    head, blank, body = reply.partition(b"\r\n\r\n")
    length = re.search(rb"Content-length: (\d+)", head)
    if length:
        assert int(length[1]) == len(body)
        head = head.replace(length[0], b"Content-length: N")
    if b"SPAMD/1.0 0" in head:  # no line between the reply's own header and the message's
        head, body = b"", reply
        blank = b""
    head = re.sub(rb"; -?\d+\.\d / \d+\.\d$", b"; N / N", head)
    if command == b"SYMBOLS":
        body = re.sub(rb"^[A-Z0-9_]+(,[A-Z0-9_]+)*", b"NAMES", body)
    elif command.startswith(b"REPORT") and body:
        assert body.isascii()
        assert b"\r" not in body
        assert body.endswith(b"\n")
        body = b"PROSE"
    elif command in {b"PROCESS", b"HEADERS"}:
        for pattern, instead, _ in ALWAYS:
            body = re.sub(pattern, instead, body)
    return head + blank + body


def request_of(exchange):
    """What the client sent; lines that the capture shows once are repeated."""
    times = re.search(r"was sent (\d+) times", exchange.notes)
    if times is None:
        return exchange.request
    return b"".join(
        line * int(times[1]) if line == b"X-A: b\r\n" else line for line in exchange.client
    )


def ask(running, exchange):
    with running.connect() as client:
        client.sendall(request_of(exchange))
        if "kept its write side open" not in exchange.notes:
            client.shutdown(1)
        return everything(client)


def _message(exchange):
    reader = RequestReader(1_000_000)
    found = reader.feed(request_of(exchange)) or reader.finish()
    return getattr(found, "message", None)


@pytest.fixture(scope="module")
def replies(tmp_path_factory):
    """Our replies by name, all given by one service in the order of the captures.

    It was told before by the administrator what is spam and what is not among them.
    """
    messages = {
        _message(one): b"GTUBE" in one.request
        for one in EXCHANGES
        if one.name.startswith(("CHECK", "bad version", "legacy v1.0"))
    }
    messages.pop(None)
    settings = settings_with(spamd={"tell_for_everyone": True})
    folder = tmp_path_factory.mktemp("wire")
    with serving(folder, settings) as running:
        for message, is_spam in messages.items():
            assert b"EX_OK" in running.ask(tell(message, "spam" if is_spam else "ham"))
        found = {one.name: ask(running, one) for one in EXCHANGES if one.name != NO_TELL}
    with serving(folder, settings_with(spamd={"allow_tell": False})) as running:
        found |= {one.name: ask(running, one) for one in EXCHANGES if one.name == NO_TELL}
    return found


@pytest.mark.parametrize("exchange", named(EXCHANGES))
def test_a_reply_has_the_form_of_spamds(exchange, replies):
    found = re.search(rb"([A-Z_]+) SPAMC/", exchange.request)
    command = found[1] if found else b""
    ours, theirs = form(replies[exchange.name], command), form(exchange.reply, command)
    if exchange.name in DIFFERENCES:
        expected, _ = DIFFERENCES[exchange.name]
        assert ours == expected
        assert ours != theirs
    else:
        assert ours == theirs


@pytest.mark.skipif(not EXCHANGES, reason="the captures are not there")
def test_every_difference_is_about_an_exchange():
    names = [one.name for one in EXCHANGES]
    assert len(set(names)) == len(names)
    assert set(DIFFERENCES) <= set(names)
