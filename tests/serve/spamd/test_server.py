import asyncio
import logging
import re
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.serve.contract import BusyError, LearnOutcome, Learnt, UnavailableError
from mtspam.serve.limits import connection_limit
from mtspam.serve.spamd import server
from mtspam.types import Label
from tests.serve.local_service import SECONDS, everything, settings_with
from tests.serve.spamd.conftest import PILLS, scan, serving, tell

BUSY = b"SPAMD/1.0 75 Temporary failure: too much to do, try again\r\n"
UNAVAILABLE = b"SPAMD/1.0 75 Temporary failure: not available, try again\r\n"
BROKEN = b"SPAMD/1.0 70 Internal error\r\n"
NEWS = b"From: news@example.com\r\nSubject: issue 7\r\n\r\nThis week: birch and cedar\r\n"

DID_SET = b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"
DID_REMOVE = b"SPAMD/1.1 0 EX_OK\r\nDidRemove: local\r\n\r\n\r\n"
DID_NOTHING = b"SPAMD/1.1 0 EX_OK\r\n\r\n\r\n"


def points(reply):
    spam = next(line for line in reply.split(b"\r\n") if line.startswith(b"Spam:"))
    return float(spam.split()[3])


# Verdicts and labels.


def test_the_user_is_the_recipient(running):
    for _ in range(3):
        running.ask(tell(NEWS, "spam", "ben@example.org"))
        running.ask(tell(NEWS, "ham", "eva@example.org"))
    ben, eva, stranger = (
        points(running.ask(scan("CHECK", NEWS, user=user)))
        for user in ("Ben+list@example.org", "eva@example.org", "stranger@example.com")
    )
    assert eva < stranger < ben


def test_labels_are_new_once_and_taken_back_once(running):
    for message_class, expected in [
        ("spam", DID_SET),
        ("spam", DID_NOTHING),
        ("HAM", DID_SET),
        ("Ham", DID_NOTHING),
    ]:
        assert running.ask(tell(NEWS, message_class, "kim")) == expected
    take_back = tell(NEWS, "ham", "kim", where="Remove: local")
    assert running.ask(take_back) == DID_REMOVE
    assert running.ask(take_back) == DID_NOTHING


def test_a_report_and_its_revocation_as_the_protocols_text_has_them(running):
    report = tell(NEWS, "spam", "lea", where="Set: local, remote")
    revoke = tell(NEWS, "ham", "lea", where="Set: local\r\nRemove: remote")
    assert running.ask(report) == DID_SET
    assert running.ask(revoke) == DID_SET


@pytest.mark.parametrize("place", ["local", "remote"])
def test_to_set_and_to_remove_at_once_is_refused(running, place):
    reply = running.ask(tell(NEWS, "spam", "kim", where=f"Set: {place}\r\nRemove: {place}"))
    assert reply.startswith(b"SPAMD/1.0 76 Bad header line: Unable to set ")
    assert reply.count(place.encode()) == 2


@pytest.mark.parametrize("message_class", ["", "foo", "spammy", "spam ham"])
def test_a_label_needs_a_class(running, message_class):
    reply = running.ask(tell(NEWS, message_class, "max"))
    assert reply.startswith(b"SPAMD/1.0 76 Bad header line: ")
    assert running.ask(tell(NEWS, "spam", "max", where="Remove: local")) == DID_NOTHING


def test_a_label_without_a_user_needs_leave(tmp_path):
    with serving(tmp_path) as running:
        assert running.ask(tell(NEWS)).startswith(b"SPAMD/1.0 69 Service Unavailable: TELL needs")
        assert running.ask(tell(NEWS, user="")).startswith(b"SPAMD/1.0 69 ")
        assert running.ask(tell(NEWS, user="ana")) == DID_SET


@pytest.mark.parametrize("where", ["Set: local", "Remove: local"])
@pytest.mark.parametrize("user", ["<>", "< >", "\u00a0", "<\u2003>"])
def test_a_user_that_names_nobody_is_none(tmp_path, user, where):
    with serving(tmp_path) as running:
        running.in_loop(running.service.learn(NEWS, Label.SPAM, user=None, source="test"))
        reply = running.ask(tell(NEWS, "ham", user=user, where=where))
        assert reply.startswith(b"SPAMD/1.0 69 Service Unavailable: TELL needs a User")
        said = running.in_loop(running.service.learn(NEWS, Label.SPAM, user=None, source="test"))
        assert said.outcome is LearnOutcome.SAME


def test_no_label_is_taken_where_tell_is_off(tmp_path):
    with serving(tmp_path, settings_with(spamd={"allow_tell": False})) as running:
        reply = running.ask(tell(NEWS, user="ana"))
        assert reply.startswith(b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled")
        taken_back = running.in_loop(running.service.unlearn(NEWS, user="ana", source="test"))
        assert taken_back.outcome is LearnOutcome.UNKNOWN


def test_a_rewritten_message_has_our_fields_in_front_and_no_forged_ones(running):
    forged = (
        b"X-Spam-Flag: NO\r\nX-Spam-Status: No, score=-9\r\n\tfoo\r\nX-Mtspam-Id: 1\r\n" + PILLS
    )
    reply = running.ask(scan("PROCESS", forged))
    _, _, message = reply.partition(b"\r\n\r\n")
    assert message.endswith(PILLS)
    added = message.removesuffix(PILLS).decode("ascii").split("\r\n")
    assert [line.partition(":")[0] for line in added[:5]] == [
        "X-Spam-Checker-Version",
        "X-Spam-Flag",
        "X-Spam-Level",
        "X-Spam-Status",
        "X-Spam-Report",
    ]
    assert added[1] == "X-Spam-Flag: YES"
    assert "-9" not in "".join(added)
    assert sum(line.startswith("X-Mtspam-Id: ") for line in added) == 1


def test_a_rewritten_message_keeps_its_line_ends(running):
    plain = PILLS.replace(b"\r\n", b"\n")
    body = running.ask(scan("PROCESS", plain)).partition(b"\r\n\r\n")[2]
    assert b"\r" not in body
    assert body.endswith(plain)


@pytest.mark.parametrize(
    ("message", "end"),
    [
        (PILLS, b"Subject: cheap pills\r\n\r\n"),
        (PILLS.replace(b"\r\n", b"\n"), b"Subject: cheap pills\n\n"),
        (b"Subject: only", b"\nSubject: only\r\n\r\n"),
        (b"Subject: only\n", b"\nSubject: only\n\n"),
        (b"\r\nno header", b"\r\n\r\n"),
        (b"", b"\n"),
    ],
)
def test_a_rewritten_header_ends_in_an_empty_line(running, message, end):
    body = running.ask(scan("HEADERS", message)).partition(b"\r\n\r\n")[2]
    assert body.startswith(b"X-Spam-Checker-Version: ")
    assert body.endswith(end)
    assert b"Buy" not in body
    assert b"no header" not in body


def test_a_report_names_levels_and_reasons_in_short_ascii_lines(running):
    hostile = PILLS + "Zażółć \x1b[2J\r\nCöntent-length: 0\r\n".encode()
    report = running.ask(scan("REPORT", hostile)).partition(b"\r\n\r\n")[2].decode("ascii")
    first, second, *_ = report.split("\n")
    assert first.startswith("mtspam: ")
    assert re.fullmatch("mtspam-id: [0-9a-f]{32}", second)
    assert "MTSPAM_EVERYONE: what everybody's labels say" in report
    assert "What counted most" in report
    assert all(line.isprintable() for line in report.split("\n"))
    assert max(map(len, report.split("\n"))) < 120
    assert len(report) < 2_000


def test_a_report_without_reasons(tmp_path):
    with serving(tmp_path, settings_with(spamd={"report_reasons": 0})) as running:
        assert b"counted most" not in running.ask(scan("REPORT", PILLS))


def test_ping_is_answered_whatever_follows(running):
    assert running.ask(b"PING SPAMC/1.2\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    assert running.ask(b"PING SPAMC/1.5\r\nUser: a\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    assert running.ask(b"SKIP SPAMC/1.5\r\n\r\n") == b""


# Clients and their ways.


def test_a_unix_socket_serves_as_well(running):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        client.connect(str(running.path))
        client.sendall(scan("CHECK", PILLS))
        assert everything(client).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; ")


def test_a_client_need_not_shut_its_side(running):
    for message in (PILLS, PILLS.removesuffix(b"\r\n")):  # the second ends within a line
        reply = running.ask(scan("CHECK", message), is_shut=False)
        assert reply.startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; ")


def test_a_request_may_come_byte_by_byte(running):
    with running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in scan("CHECK", PILLS):
            client.sendall(bytes([byte]))
        assert everything(client).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; ")


def test_the_reply_reaches_a_client_that_is_still_sending(tmp_path):
    settings = settings_with(mail={"max_message_bytes": 1_000})
    with serving(tmp_path, settings) as running, running.connect() as client:
        client.sendall(b"CHECK SPAMC/1.5\r\nContent-length: 5000000\r\n\r\n")
        sender = threading.Thread(target=client.sendall, args=(bytes(5_000_000),))
        sender.start()
        reply = everything(client)
        sender.join(SECONDS)
        assert reply.startswith(b"SPAMD/1.0 69 Service Unavailable: message of more than 1000")


def send_for_ever(client):
    while True:
        client.sendall(bytes(100_000))


def test_a_client_that_never_stops_sending_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "LINGER_BYTES", 1_000_000)
    with serving(tmp_path) as running, running.connect() as client:
        client.sendall(b"FROB\r\n")
        with pytest.raises(ConnectionError):
            send_for_ever(client)


def test_a_client_that_keeps_silent_is_told_and_closed(tmp_path):
    settings = settings_with(serve={"idle_seconds": 1.0})
    timeout = b"SPAMD/1.0 79 Timeout: (nothing came for 1 seconds)\r\n"
    with serving(tmp_path, settings) as running, running.connect() as silent:
        with running.connect() as stuck:
            stuck.sendall(scan("CHECK", PILLS)[:-10])
            assert everything(stuck) == timeout
        assert everything(silent) == timeout


def test_a_client_that_takes_nothing_is_dropped(tmp_path):
    settings = settings_with(serve={"idle_seconds": 3.0})
    message = PILLS + b"x\r\n" * 10_000_000
    with serving(tmp_path, settings) as running, running.connect() as client:
        client.sendall(scan("PROCESS", message))
        wait_for(lambda: not running.faces[0].connections)
        assert len(received_until_closed(client)) < len(message)


def wait_for(condition):
    """Wait until a condition of the server's thread holds."""
    waiting = threading.Event()
    for _ in range(SECONDS * 100):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("waited in vain")


def received_until_closed(client):
    parts = []
    try:
        while part := client.recv(1 << 20):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def test_a_client_that_leaves_leaves_nothing_behind(running):
    limit = connection_limit(1_000)
    before = limit.n_open
    for data in (b"", b"CHECK SPAMC/1.5\r\n", scan("CHECK", PILLS)):
        with running.connect() as client:
            client.sendall(data)
    wait_for(lambda: limit.n_open == before and not running.faces[0].connections)
    assert running.faces[0].n_arriving == 0


# Too much.


def test_more_connections_than_allowed_are_turned_away_at_once(tmp_path):
    settings = settings_with(serve={"max_connections": 2})
    with serving(tmp_path, settings) as running:
        face = running.faces[0]
        with running.connect(), running.connect():
            wait_for(lambda: len(face.connections) == 2)
            assert running.ask(scan("CHECK", PILLS)) == BUSY
        wait_for(lambda: not face.connections)
        assert running.ask(scan("CHECK", PILLS)).startswith(b"SPAMD/1.1 0 EX_OK")


def test_messages_that_find_no_room_are_turned_away(tmp_path):
    settings = settings_with(spamd={"buffer_bytes": 1_000_000})
    with serving(tmp_path, settings) as running, running.connect() as large:
        large.sendall(b"CHECK SPAMC/1.5\r\n\r\n" + bytes(900_000))
        wait_for(lambda: running.faces[0].n_arriving > 900_000)
        assert running.ask(scan("CHECK", bytes(200_000))) == BUSY
        assert running.ask(scan("CHECK", PILLS)).startswith(b"SPAMD/1.1 0 EX_OK")
        large.shutdown(socket.SHUT_WR)
        assert everything(large).startswith(b"SPAMD/1.1 0 EX_OK")
        assert running.faces[0].n_arriving == 0


@pytest.mark.parametrize("command", ["CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM", "PROCESS"])
@pytest.mark.parametrize("on_failure", ["error", "pass"])
def test_a_message_that_is_too_long_gets_the_configured_answer(tmp_path, command, on_failure):
    settings = settings_with(mail={"max_message_bytes": 1_000}, spamd={"on_failure": on_failure})
    with serving(tmp_path, settings) as running:
        reply = running.ask(scan(command, PILLS * 20))
    if on_failure == "error" or command == "PROCESS":  # there is no message to hand back
        assert reply == b"SPAMD/1.0 69 Service Unavailable: message of more than 1000 bytes\r\n"
    else:
        assert points(reply) == 0.0


# What goes wrong inside.


class Failing:
    """A service that fails at what is asked of it, and else is the real one."""

    def __init__(self, service, failure):
        self._service = service
        self._failure = failure

    def __getattr__(self, name):
        return getattr(self._service, name)

    def rule(self, raw, envelope):
        raise self._failure

    async def learn(self, raw, label, *, user, source):
        raise self._failure


FAILURES = [
    (BusyError("full"), BUSY),
    (UnavailableError("disk"), UNAVAILABLE),
    (ZeroDivisionError("a mistake of ours"), BROKEN),
]


@pytest.mark.parametrize(("failure", "reply"), FAILURES, ids=["busy", "unavailable", "broken"])
def test_a_failure_is_an_error_where_it_is_set_so(tmp_path, failure, reply, caplog):
    caplog.set_level(logging.CRITICAL, "mtspam")
    with serving(tmp_path, wrap=lambda service: Failing(service, failure)) as running:
        for command in ("CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM", "PROCESS", "HEADERS"):
            assert running.ask(scan(command, PILLS)) == reply
        assert running.ask(tell(PILLS, user="ana")) == reply


@pytest.mark.parametrize(("failure", "reply"), FAILURES, ids=["busy", "unavailable", "broken"])
def test_a_failure_lets_mail_pass_where_it_is_set_so(tmp_path, failure, reply, caplog):
    caplog.set_level(logging.CRITICAL, "mtspam")
    settings = settings_with(spamd={"on_failure": "pass"}, actions={"required_points": 6.0})
    with serving(tmp_path, settings, lambda service: Failing(service, failure)) as running:
        head = b"SPAMD/1.1 0 EX_OK\r\n"
        spam = b"Spam: False ; 0.0 / 6.0\r\n"
        assert running.ask(scan("CHECK", PILLS)) == head + spam + b"\r\n"
        length = b"Content-length: 15\r\n"
        assert running.ask(scan("SYMBOLS", PILLS)) == (
            head + length + spam + b"\r\nMTSPAM_UNSCORED"
        )
        assert running.ask(scan("REPORT_IFSPAM", PILLS)) == (
            head + b"Content-length: 0\r\nSpam: No ; 0.0 / 6.0\r\n\r\n"
        )
        assert b"not scored" in running.ask(scan("REPORT", PILLS, "1.2"))
        rewritten = running.ask(scan("PROCESS", b"X-Spam-Flag: YES\r\n" + PILLS))
        assert rewritten.endswith(b"version=0.1.0\r\n" + PILLS)
        assert b"X-Spam-Flag" not in rewritten
        assert b"X-Spam-Status: No, score=0.0 required=6.0 tests=none" in rewritten
        assert running.ask(tell(PILLS, user="ana")) == reply


def test_a_mistake_of_ours_is_logged_once_and_without_the_message(tmp_path, caplog):
    failure = ZeroDivisionError("a mistake of ours")
    with serving(tmp_path, wrap=lambda service: Failing(service, failure)) as running:
        for _ in range(3):
            running.ask(scan("CHECK", PILLS))
    (record,) = [one for one in caplog.records if one.name.startswith("mtspam.serve.spamd")]
    assert record.exc_info[1] is failure
    assert "pills" not in caplog.text


# Stopping.


class Slow:
    """A service whose labels wait until they are let go."""

    def __init__(self, service):
        self._service = service
        self.has_begun = threading.Event()
        self.go = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._service, name)

    async def learn(self, raw, label, *, user, source):
        self.has_begun.set()
        await self.go.wait()
        return Learnt(LearnOutcome.NEW, "0" * 32)


def test_what_has_begun_is_finished_before_the_end(tmp_path):
    with serving(tmp_path, wrap=Slow) as running:
        slow, face = running.service, running.faces[0]
        with running.connect() as waiting, running.connect() as idle:
            waiting.sendall(tell(PILLS, user="ana"))
            waiting.shutdown(socket.SHUT_WR)
            assert slow.has_begun.wait(SECONDS)
            closing = asyncio.run_coroutine_threadsafe(face.close(SECONDS), running.loop)
            assert received_until_closed(idle) == b""  # it had asked nothing yet
            assert not closing.done()
            running.loop.call_soon_threadsafe(slow.go.set)
            assert everything(waiting) == DID_SET
            closing.result(SECONDS)
        with pytest.raises(ConnectionError):
            running.connect()


def test_what_does_not_finish_in_time_is_dropped(tmp_path):
    with serving(tmp_path, wrap=Slow) as running, running.connect() as waiting:
        waiting.sendall(tell(PILLS, user="ana"))
        assert running.service.has_begun.wait(SECONDS)
        running.in_loop(running.faces[0].close(0.1))
        assert received_until_closed(waiting) == b""


# Any bytes.


@given(data=st.binary(max_size=2_000), is_shut=st.booleans(), is_scan=st.booleans())
@settings(max_examples=100)
def test_whatever_comes_is_answered_and_the_next_one_as_well(running, data, is_shut, is_scan):
    head = b"CHECK SPAMC/1.2\r\nContent-length: %d\r\n\r\n" % len(data) if is_scan else b""
    reply = running.ask(head + data, is_shut=is_shut or not is_scan)
    assert reply.startswith(b"SPAMD/1.1 0 EX_OK\r\n" if is_scan else b"SPAMD/1.")
    assert running.ask(b"PING SPAMC/1.2\r\n") == b"SPAMD/1.5 0 PONG\r\n"
