"""The filter process: over pipes and over one socket, with services that hang, lie or are gone."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mtspam.serve.opensmtpd import codec

PROGRAM = [sys.executable, str(Path(__file__).parents[3] / "cli.py")]
SECONDS = 120
MESSAGE = [b"From: a@example.org", b"X-Spam: No", b"", b"..dot | pipe", b"\xff"]
KEPT = [MESSAGE[0], *MESSAGE[2:]]


class Smtpd:
    """The mail server's side of a filter."""

    def __init__(self, process, source, target):
        self.process = process
        self._source, self._target = source, target

    def say(self, *lines):
        self._target.write(b"".join(line + b"\n" for line in lines))
        self._target.flush()

    def hear(self):
        return self._source.readline().rstrip(b"\n")

    def register(self):
        self.say(b"config|smtpd-version|7.8.0", b"config|protocol|0.7", b"config|ready")
        heard = []
        while not heard or heard[-1] != b"register|ready":
            heard.append(self.hear())
        assert heard == codec.REGISTRATION.splitlines()

    def send(self, session=b"5e55", lines=MESSAGE, recipients=(b"b@example.com",)):
        report = b"report|0.7|1.0|smtp-in|"
        self.say(
            report + b"tx-begin|" + session + b"|abc",
            report + b"tx-mail|" + session + b"|abc|ok|a@example.org",
            *[report + b"tx-rcpt|" + session + b"|abc|ok|" + one for one in recipients],
            *[self.line(session) + line for line in (*lines, b".")],
        )

    def line(self, session):
        return b"filter|0.7|1.0|smtp-in|data-line|" + session + b"|70ce|"

    def stored(self, session=b"5e55"):
        """The lines of a message, up to its end."""
        begun = b"filter-dataline|" + session + b"|70ce|"
        lines = []
        while not lines or lines[-1] != b".":
            heard = self.hear()
            assert heard.startswith(begun), heard
            lines.append(heard.removeprefix(begun))
        return lines[:-1]

    def committed(self, session=b"5e55"):
        self.say(b"filter|0.7|1.0|smtp-in|commit|" + session + b"|70ce")
        return self.hear().removeprefix(b"filter-result|" + session + b"|70ce|")


@contextmanager
def filtering(folder, *options, is_socket=False):
    """Run `mtspam opensmtpd` as the mail server would."""
    command = [*PROGRAM, "--state", folder, "opensmtpd", *options]
    log = folder / "log"
    with log.open("wb") as errors:
        if is_socket:
            ours, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=errors)
            smtpd = Smtpd(process, ours.makefile("rb"), ours.makefile("wb"))
            smtpd.hang_up = lambda: ours.shutdown(socket.SHUT_WR)
        else:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
            smtpd = Smtpd(process, process.stdout, process.stdin)
            smtpd.hang_up = process.stdin.close
    alarm = threading.Timer(SECONDS, process.kill)
    alarm.start()
    try:
        smtpd.log = log.read_text
        smtpd.register()
        yield smtpd
        # It is there until the mail server goes, and then it goes by itself.
        assert process.poll() is None
        smtpd.hang_up()
        smtpd._source.read()
        assert process.wait(SECONDS) == 0, log.read_text()
    finally:
        alarm.cancel()
        process.kill()
        process.wait(SECONDS)
        for file in (smtpd._source, smtpd._target):
            with suppress(BrokenPipeError):
                file.close()
        if is_socket:
            ours.close()


@contextmanager
def service(folder, answer):
    """A control socket behind which something answers: `answer` gets the request's bytes."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "mtspam.sock"))
    listening.listen()
    asked = []

    def serve():
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            asked.append(client)
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(65_536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += client.recv(65_536)
            reply = answer(head, body)
            if reply is not None:
                client.sendall(reply)
                client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(SECONDS)
        for client in asked:
            client.close()


def reply(body, status=b"200 OK"):
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize("is_socket", [False, True])
def test_without_a_service_mail_is_put_off_and_the_filter_stays(tmp_path, is_socket):
    with filtering(tmp_path, is_socket=is_socket) as smtpd:
        for _ in range(2):
            smtpd.send()
            assert smtpd.stored() == []
            assert smtpd.committed().startswith(b"reject|451 4.7.1 ")
        assert "no service answers" in smtpd.log()


def test_without_a_service_mail_passes_cleaned_if_that_is_wanted(tmp_path):
    with filtering(tmp_path, "--fail", "pass") as smtpd:
        smtpd.send()
        assert smtpd.stored() == KEPT
        assert smtpd.committed() == b"proceed"


def test_it_judges_by_itself_where_it_may(tmp_path):
    with filtering(tmp_path, "--local") as smtpd:
        smtpd.send()
        stored = smtpd.stored()
        assert stored[-len(KEPT) :] == KEPT
        assert [line for line in stored if line.startswith(b"X-Mtspam-Verdict: ")]
        assert smtpd.committed() == b"proceed"


def test_what_the_service_is_asked_and_what_is_done(tmp_path):
    heads = []

    def answer(head, body):
        heads.append((head, body))
        return reply(
            b'{"action": "rewrite subject", "subject": "new", "milter": {"add_headers": '
            b'{"X-A": {"value": "1", "order": -1}, "X-B": [{"value": "2"}, "3"], "X-C": "4"}}}'
        )

    with service(tmp_path, answer), filtering(tmp_path) as smtpd:
        smtpd.send(recipients=(b"b@example.com", b"c\r\nd|e@example.com"))
        assert smtpd.stored() == [
            *(b"X-A: 1", b"X-B: 2", b"X-B: 3", b"X-C: 4", b"X-Spam: Yes"),
            *(MESSAGE[0], b"Subject: new", *MESSAGE[2:]),
        ]
        assert smtpd.committed() == b"proceed"
    ((head, body),) = heads
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /checkv2 HTTP/1.1"
    assert b"Rcpt: <b@example.com>" in lines
    assert b"From: <a@example.org>" in lines
    assert body == b"From: a@example.org\r\nX-Spam: No\r\n\r\n.dot | pipe\r\n\xff\r\n"


def test_a_refusal_of_the_service(tmp_path):
    text = b'{"action": "reject", "messages": {"smtp_message": "Refused; its id is 1"}}'
    with service(tmp_path, lambda *_: reply(text)), filtering(tmp_path) as smtpd:
        smtpd.send()
        assert smtpd.stored() == []
        assert smtpd.committed() == b"reject|550 5.7.1 Refused; its id is 1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"HTTP/1.1 two OK\r\n\r\n{}",
        reply(b"[]"),
        reply(b"not JSON"),
        reply(b"{}"),
        reply(b'{"action": "explode"}'),
        reply(b'{"action": "reject", "milter": 1}'),
        reply(b'{"error": "too much to do"}', b"503 Service Unavailable"),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
)
def test_a_service_that_answers_nonsense_counts_as_none(tmp_path, data):
    with service(tmp_path, lambda *_: data), filtering(tmp_path) as smtpd:
        smtpd.send()
        assert smtpd.stored() == []
        assert smtpd.committed().startswith(b"reject|451 4.7.1 ")


def test_a_message_that_takes_long_keeps_no_other_waiting(tmp_path):
    waiting = threading.Event()

    def answer(_, body):
        if b"slow" in body:
            waiting.set()
            return None
        return reply(b'{"action": "no action"}')

    with service(tmp_path, answer), filtering(tmp_path, "--timeout", "3") as smtpd:
        smtpd.send(b"aaaa", [b"Subject: slow"])
        assert waiting.wait(SECONDS)
        smtpd.send(b"bbbb", KEPT)
        assert smtpd.stored(b"bbbb") == KEPT
        assert smtpd.committed(b"bbbb") == b"proceed"
        assert smtpd.stored(b"aaaa") == []
        assert smtpd.committed(b"aaaa").startswith(b"reject|451 ")


def test_nothing_that_is_said_ends_it(tmp_path):
    with filtering(tmp_path, "--fail", "pass") as smtpd:
        smtpd.say(b"", b"|" * 50, b"\xff\0", b"filter|", b"filter|a|b|c|data-line|d", b"report|x")
        smtpd.say(b"x" * 3_000_000, b"config|ready")
        smtpd._source.read(len(codec.REGISTRATION))
        smtpd.send()
        assert smtpd.stored() == KEPT


def test_what_finds_no_room_is_put_off_and_memory_does_not_grow(tmp_path):
    with filtering(tmp_path, "--room", "1000000") as smtpd:
        before = resident_bytes(smtpd.process.pid)
        line = smtpd.line(b"5e55")
        for _ in range(40):
            smtpd.say(*[line + b"x" * 1_000] * 1_000)
        smtpd.say(line + b".")
        assert smtpd.stored() == []
        assert smtpd.committed().startswith(b"reject|451 4.7.1 ")
        assert resident_bytes(smtpd.process.pid) - before < 20_000_000


def resident_bytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
