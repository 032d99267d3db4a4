"""The face on a socket: messages in a row, a service that cannot, limits, closing."""

import struct
import threading
from concurrent.futures import wait

import pytest

from mtspam.config import MilterSettings
from mtspam.errors import ConfigError
from mtspam.serve.contract import UnavailableError
from mtspam.serve.limits import connection_limit
from tests.serve.milter.conftest import (
    ABORT,
    CONNECT,
    DATA,
    END,
    HELO,
    LUNCH,
    MAIL,
    PILLS,
    QUIT,
    QUIT_NC,
    RECIPIENT,
    SECONDS,
    SUBJECT,
    failing,
    field,
    listening,
    message,
    offer,
    packet,
    wait_until,
)


def verdict(packets):
    return dict(data[4:-1].split(b"\0") for command, data in packets if command == b"i")[
        b"X-Mtspam-Verdict"
    ]


def test_spam_and_ham_over_one_connection(face):
    mta = face.connect(CONNECT, HELO)
    for body, word in ((PILLS, b" spam"), (LUNCH, b" ham"), (PILLS, b" spam")):
        mta.send(message(body))
        packets = mta.final()
        assert verdict(packets) == word
        assert packets[-1] == (b"a", b"")
    mta.send(QUIT)
    assert mta.receive() is None


def test_a_message_in_pieces_and_one_given_up(face):
    mta = face.connect(CONNECT)
    mta.send(MAIL, RECIPIENT, DATA, SUBJECT, packet(b"B", PILLS), ABORT)
    whole = message(LUNCH)
    for at in range(0, len(whole), 7):
        mta.send(whole[at : at + 7])
    assert verdict(mta.final()) == b" ham"
    mta.send(QUIT_NC, CONNECT, message(PILLS))
    assert verdict(mta.final()) == b" spam"


def test_a_long_message_has_a_word_of_progress_first(face):
    mta = face.connect(CONNECT, MAIL, SUBJECT)
    mta.send(*[packet(b"B", bytes(65_535))] * 17, END)
    packets = mta.final()
    assert packets[0] == (b"p", b"")
    assert packets[-1] == (b"a", b"")


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.0\r\n\r\n", struct.pack(">I", 1 << 31), CONNECT, packet(b"O", b"")],
)
def test_what_is_no_milter_is_hung_up_on(face, data):
    mta = face.connect_silently()
    mta.send(data)
    assert mta.receive() is None


def test_a_mail_server_that_goes_away_in_the_middle_leaves_its_room(tmp_path):
    with listening(tmp_path) as face:
        free = face.face.room.n_free
        mta = face.connect(CONNECT, MAIL, packet(b"B", bytes(60_000)))
        wait_until(lambda: face.face.room.n_free < free)
        mta.socket.close()
        wait_until(lambda: face.face.room.n_free == free)


@pytest.mark.parametrize(
    ("on_failure", "final"),
    [
        ("tempfail", (b"y", b"451 4.7.1 Service unavailable, try again later\0")),
        ("reject", (b"y", b"550 5.7.1 Message could not be checked\0")),
        ("accept", (b"a", b"")),
    ],
)
@pytest.mark.parametrize("error", [UnavailableError("gone"), RuntimeError("a mistake")])
def test_where_the_service_cannot_rule_the_answer_is_the_setting(
    tmp_path, on_failure, final, error
):
    how = {"on_failure": on_failure, "wait_seconds": 0.0}
    with listening(tmp_path, wrap=failing(error), milter=how) as face:
        mta = face.connect(CONNECT)
        for _ in range(2):
            mta.send(message(LUNCH, field(b"X-Spam", b" No")))
            *changes, last = mta.final()
            assert last == final
            assert [command for command, _ in changes] == [b"m"] * (on_failure == "accept")


def test_a_message_waits_for_a_service_that_is_back_soon_and_the_mail_server_is_told(tmp_path):
    how = {"wait_seconds": float(SECONDS), "progress_seconds": 0.1}
    with listening(tmp_path, wrap=failing(UnavailableError("gone"), 3), milter=how) as face:
        mta = face.connect(CONNECT)
        mta.send(message(PILLS), message(LUNCH))
        packets = mta.final()
        assert packets[0] == (b"p", b"")
        assert verdict(packets) == b" spam"
        assert verdict(mta.final()) == b" ham"


def test_a_message_without_room_is_answered_by_the_setting(tmp_path):
    with listening(tmp_path, milter={"buffer_bytes": 1_000_000}) as face:
        mta = face.connect(CONNECT, MAIL)
        mta.send(*[packet(b"B", bytes(65_535))] * 17, END)
        assert mta.final() == [(b"y", b"451 4.7.1 Service unavailable, try again later\0")]
        mta.send(message())
        assert mta.final()[-1] == (b"a", b"")


def test_a_silent_connection_is_closed(tmp_path):
    with listening(tmp_path, milter={"idle_seconds": 1.0}) as face:
        assert face.connect(CONNECT).receive() is None


def test_more_connections_than_allowed_are_turned_away(tmp_path):
    with listening(tmp_path, serve={"max_connections": 2}) as face:
        first, second = face.connect(CONNECT), face.connect(CONNECT)
        assert face.connect_silently().receive() is None
        second.send(QUIT)
        assert second.receive() is None
        wait_until(lambda: connection_limit(2).n_open == 1)
        face.connect(CONNECT)
        first.send(message())
        assert first.final()[-1] == (b"a", b"")


def test_closing_lets_a_begun_message_end(tmp_path):
    with listening(tmp_path) as face:
        busy, idle = face.connect(CONNECT, MAIL, RECIPIENT), face.connect()
        closed = face.close(SECONDS)
        assert idle.receive() is None
        busy.send(DATA, SUBJECT, packet(b"B", LUNCH), END)
        assert verdict(busy.final()) == b" ham"
        assert not closed.done()
        busy.send(QUIT)
        assert wait([closed], SECONDS).done


def test_closing_drops_who_takes_too_long(tmp_path):
    with listening(tmp_path) as face:
        busy = face.connect(CONNECT, MAIL, RECIPIENT)
        closed = face.close(0.1)
        assert busy.receive() is None
        closed.result(SECONDS)


def test_many_mail_servers_at_once(face):
    finals = []

    def send():
        mta = face.connect(CONNECT)
        for _ in range(5):
            mta.send(message(PILLS))
            finals.append(verdict(mta.final()))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(SECONDS)
    assert finals == [b" spam"] * 40


def push(client, data):
    """Send piece by piece; TimeoutError where nothing is taken for a second."""
    client.settimeout(1.0)
    rest = memoryview(data)
    while rest:
        rest = rest[client.send(rest) :]


def test_who_reads_no_answers_is_read_no_more(face):
    mta = face.connect(CONNECT)
    # Each offer is answered, so all buffers fill up, and then nothing more is taken.
    with pytest.raises(TimeoutError):
        push(mta.socket, offer() * 2_000_000)


def test_a_failure_mode_that_is_none():
    with pytest.raises(ConfigError, match="'tempfail', 'accept'"):
        MilterSettings(on_failure="pass")
