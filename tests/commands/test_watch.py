"""`mtspam watch` as a process over Maildirs, beside a real service."""

import signal
import sqlite3
import time
import tomllib

import pytest

from mtspam.commands.exits import Exit
from mtspam.config import Settings
from mtspam.serve.client import ServiceClient
from tests.commands.conftest import SMALL
from tests.serve.local_service import ANA, BOB, LUNCH, PILLS, control_service

SECONDS = 60


@pytest.fixture
def settings():
    return Settings.from_mapping(tomllib.loads(SMALL))


@pytest.fixture
def service(environment, settings):
    with control_service(environment, settings) as path:
        yield ServiceClient(path)


@pytest.fixture
def boxes(tmp_path):
    root = tmp_path / "mail"
    for user in ("ana", "bob"):
        for folder in ("", ".Junk", ".Trash"):
            for name in ("cur", "new", "tmp"):
                (root / "example.org" / user / folder / name).mkdir(parents=True)
    return root / "example.org"


def until(holds):
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def personal(service, raw, user):
    return service.judge(raw, user=user)["levels"]["personal"]


def has_met(environment, *users):
    """Tell whether a watcher has looked at the mail of these users."""
    path = environment / "watch.sqlite"
    if not path.exists():
        return False
    file = sqlite3.connect(path)
    try:
        met = {user for (user,) in file.execute("select user from box")}
    except sqlite3.OperationalError:
        return False  # not made yet
    finally:
        file.close()
    return met >= set(users)


@pytest.mark.parametrize("options", [(), ("--poll", "0.1")])
def test_moves_are_learnt_while_it_runs(program, environment, service, boxes, options):
    (boxes / "ana" / "cur" / "1:2,S").write_bytes(PILLS)
    (boxes / "bob" / ".Junk" / "cur" / "1:2,S").write_bytes(LUNCH)
    watcher = program("watch", boxes.parent, "--users-by-folder", *options)
    until(lambda: has_met(environment, ANA, BOB))
    (boxes / "ana" / "cur" / "1:2,S").rename(boxes / "ana" / ".Junk" / "cur" / "2:2,S")
    until(lambda: personal(service, PILLS, ANA) > 0)
    assert personal(service, PILLS, BOB) == 0
    (boxes / "bob" / ".Junk" / "cur" / "1:2,S").rename(boxes / "bob" / "cur" / "2:2,S")
    until(lambda: personal(service, LUNCH, BOB) < 0)
    watcher.send_signal(signal.SIGTERM)
    out, err = watcher.communicate(timeout=SECONDS)
    assert watcher.returncode == Exit.TERMINATED
    assert out.decode().splitlines() == ["learnt 1 spam, 0 ham", "learnt 0 spam, 1 ham"]
    assert err == b""


def test_a_service_that_comes_later_is_told(program, environment, settings, boxes):
    watcher = program("watch", boxes / "ana", "--user", ANA)
    until(lambda: has_met(environment, ANA))
    (boxes / "ana" / ".Junk" / "new" / "1").write_bytes(PILLS)
    until(lambda: b"start it with `mtspam serve`" in watcher.stderr.readline())
    with control_service(environment, settings) as path:
        until(lambda: personal(ServiceClient(path), PILLS, ANA) > 0)
        watcher.terminate()
        assert watcher.wait(SECONDS) == Exit.TERMINATED


def test_once(run, environment, settings, boxes):
    arguments = ("watch", boxes / "ana", "--user", ANA, "--once", "--junk", "Bad")
    assert run(*arguments).stdout == ""
    for name in ("cur", "new", "tmp"):
        (boxes / "ana" / ".Bad" / name).mkdir(parents=True)
    (boxes / "ana" / ".Bad" / "new" / "1").write_bytes(PILLS)
    run(*arguments, code=Exit.SERVICE)
    with control_service(environment, settings):
        assert run(*arguments).stdout == "learnt 1 spam, 0 ham\n"
        assert run(*arguments).stdout == ""


def test_what_is_wrongly_called_is_refused(run, boxes, tmp_path):
    run("watch", boxes, code=Exit.USAGE)
    run("watch", boxes, "--user", "ana", "--users-by-folder", code=Exit.USAGE)
    run("watch", tmp_path / "none", "--user", "ana", code=Exit.INPUT)
