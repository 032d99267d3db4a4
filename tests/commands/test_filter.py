"""`mtspam filter` as procmail and Sieve call it: a process with pipes."""

import email
import socket
import subprocess
import threading
import tomllib
from pathlib import Path

import pytest

from mtspam.commands.exits import Exit
from mtspam.config import Settings
from tests.commands.conftest import SMALL
from tests.serve.local_service import ANA, BOB, LUNCH, PILLS, control_service

HOSTILE = b"\0\xff\r\r\n\n" * 100
SECONDS = 60


@pytest.fixture
def service(environment):
    settings = Settings.from_mapping(tomllib.loads(SMALL))
    with control_service(environment, settings) as path:
        yield path


@pytest.fixture
def taught_service(run, service):
    for n in range(3):
        run("ask", "learn", "spam", "--user", ANA, stdin=PILLS + b"%d" % n)
        run("ask", "learn", "ham", "--user", ANA, stdin=LUNCH + b"%d" % n)
    return service


@pytest.fixture
def through(program):
    """Send bytes through the filter; return exit code, bytes and what was said."""

    def through(raw, *args):
        process = program("filter", *args)
        out, err = process.communicate(raw, timeout=SECONDS)
        return process.returncode, out, err.decode()

    return through


def test_the_verdict_is_put_in_front(through, taught_service):
    code, out, err = through(PILLS, "--user", ANA)
    assert (code, err) == (0, "")
    assert out.endswith(PILLS)
    made = email.message_from_bytes(out)
    assert made["X-Spam-Flag"] == "YES"
    assert made["X-Mtspam-Verdict"] == "spam"
    assert b"\n" not in out.replace(b"\r\n", b"")
    code, out, _ = through(LUNCH, "--user", ANA)
    assert "X-Spam-Flag" not in email.message_from_bytes(out)
    assert out.endswith(LUNCH)


def test_forged_fields_are_removed(through, taught_service):
    forged = b"X-Spam-Flag: NO\r\nX-Mtspam-Verdict: ham\r\nX-Spam: no\r\n" + PILLS
    _, out, _ = through(forged, "--user", ANA)
    made = email.message_from_bytes(out)
    assert made.get_all("X-Spam-Flag") == ["YES"]
    assert made.get_all("X-Mtspam-Verdict") == ["spam"]
    assert made["X-Spam"] is None


def test_the_exit_code_tells_if_it_is_asked(through, taught_service):
    assert through(PILLS, "--user", ANA, "-c")[0] == Exit.FAILED
    assert through(LUNCH, "--user", ANA, "--exit-code")[0] == 0


def test_a_user_gets_their_own_verdict(run, through, taught_service):
    for n in range(3):
        run("ask", "learn", "spam", "--user", ANA, stdin=PILLS + b"a%d" % n)
        run("ask", "learn", "ham", "--user", BOB, stdin=PILLS + b"b%d" % n)
    assert through(PILLS, "--user", ANA, "-c")[0] == Exit.FAILED
    assert through(PILLS, "--user", BOB, "-c")[0] == 0


@pytest.mark.parametrize("raw", [PILLS, b"", HOSTILE, b"\n", b"From x\nA: b\n\nc"])
def test_without_a_service_mail_comes_out_as_it_came_in(through, raw):
    code, out, err = through(raw, "--user", ANA, "-c")
    assert (code, out) == (0, raw)
    assert "start it with `mtspam serve`; the message was not judged" in err


def test_without_a_service_it_can_fail_for_now(through):
    assert through(PILLS, "--fail", "tempfail")[:2] == (Exit.TEMPFAIL, b"")


def test_without_a_service_it_can_judge_itself(run, through, environment, tmp_path):
    code, out, err = through(PILLS, "--local", "--user", ANA)
    assert (code, err) == (0, "")
    assert "X-Mtspam-Id" in email.message_from_bytes(out)
    assert not environment.exists()


def test_wrong_settings_keep_no_mail(through, tmp_path):
    config = tmp_path / "wrong.toml"
    config.write_text("[http\n")
    code, out, err = through(PILLS, "--config", config)
    assert (code, out) == (0, PILLS)
    assert "not TOML" in err
    assert through(PILLS, "--config", config, "--fail", "tempfail")[:2] == (Exit.TEMPFAIL, b"")


def test_a_state_that_cannot_be_read_keeps_no_mail(through, environment):
    environment.mkdir()
    (environment / "model.snapshot").write_bytes(b"rubbish")
    assert through(PILLS, "--local")[:2] == (0, PILLS)


def test_a_message_that_is_too_long_passes(through, service, tmp_path):
    config = tmp_path / "limit.toml"
    config.write_text(SMALL + "[mail]\nmax_message_bytes = 10000\n")
    long = PILLS + b"x" * 200_000
    code, out, err = through(long, "--config", config)
    assert (code, out, err) == (0, long, "")
    assert b"X-Mtspam-Id" in through(PILLS, "--config", config)[1]


def test_a_service_that_says_nothing_is_not_waited_for(through, tmp_path):
    path = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        code, out, err = through(PILLS, "--socket", path, "--timeout", "0.2")
    assert (code, out) == (0, PILLS)
    assert "timed out" in err


def test_an_answer_that_is_none_keeps_no_mail(through, tmp_path):
    path = tmp_path / "odd"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer():
            peer, _ = listening.accept()
            with peer:
                while b"\r\n\r\n" not in peer.recv(65_536):
                    pass
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + b'{"fields": 1} ')

        thread = threading.Thread(target=answer)
        thread.start()
        code, out, _ = through(PILLS, "--socket", path, "-c")
        thread.join(SECONDS)
    assert (code, out) == (0, PILLS)


def test_mail_can_come_slowly(program, taught_service):
    process = program("filter", "--user", ANA)
    for at in range(0, len(PILLS), 40):
        process.stdin.write(PILLS[at : at + 40])
        process.stdin.flush()
    out, _ = process.communicate(timeout=SECONDS)
    assert email.message_from_bytes(out)["X-Spam-Flag"] == "YES"


def test_a_reader_that_goes_away_is_told_of(program, taught_service):
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait(SECONDS)
    process = program("filter", "--user", ANA, stdout=reader.stdin)
    reader.stdin.close()
    _, err = process.communicate(PILLS, timeout=SECONDS)
    assert process.returncode != 0
    assert b"Traceback" not in err


def test_the_filter_imports_nothing_heavy(environment):
    """It starts for every message."""
    import sys

    root = Path(__file__).resolve().parents[2]
    code = (
        "import sys\nsys.argv = ['mtspam', 'filter']\n"
        "from mtspam.commands.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    print([n for n in ('numpy', 'numba', 'polars', 'sqlalchemy', 'asyncio', 'rich')"
        " if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=PILLS, capture_output=True, cwd=root, check=True
    )
    assert done.stdout == PILLS
    assert done.stderr.splitlines()[-1] == b"[]"
