"""A service behind the spamd protocol, in a thread of its own with its own loop."""

from contextlib import contextmanager
from functools import partial

import pytest

from mtspam.serve.local import open_local_service
from mtspam.serve.spamd.server import start
from tests.serve.local_service import Listening, serving_faces, settings_with

PILLS = b"From: deals@pills.invalid\r\nSubject: cheap pills\r\n\r\nBuy cheap pills now\r\n"
LUNCH = b"From: ana@example.org\r\nSubject: lunch\r\n\r\nShall we have lunch on Friday?\r\n"


class Running(Listening):
    """A face of spamd's protocol."""

    def ask(self, data, *, is_shut=True):
        """Send bytes, return what comes back until the server shuts its side."""
        return self.exchange(data, is_shut=is_shut)


@contextmanager
def serving(folder, settings=None, wrap=lambda service: service):
    """Serve from a state directory within `folder` until the block ends."""
    settings = settings or settings_with()
    state = folder / "state"
    if not state.exists():
        state.mkdir()
        (state / "secret").write_bytes(bytes(range(32)))  # so that every run gives the same points
    running = Running(0, folder / "spamd.sock")
    opened = open_local_service(state, settings)
    with serving_faces(running, partial(start, settings=settings), opened, wrap):
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A service that has learnt what is spam and what is ham."""
    with serving(
        tmp_path_factory.mktemp("spamd"), settings_with(spamd={"tell_for_everyone": True})
    ) as it:
        for _ in range(3):
            it.ask(tell(PILLS, "spam"))
            it.ask(tell(LUNCH, "ham"))
        yield it


def tell(message, message_class="spam", user=None, where="Set: local"):
    lines = ["TELL SPAMC/1.5", f"Message-class: {message_class}", where]
    if user is not None:
        lines.append(f"User: {user}")
    lines.append(f"Content-length: {len(message)}")
    return "\r\n".join([*lines, "\r\n"]).encode() + message


def scan(command, message, version="1.5", user=None):
    user = "" if user is None else f"User: {user}\r\n"
    head = f"{command} SPAMC/{version}\r\n{user}Content-length: {len(message)}\r\n\r\n"
    if float(version) <= 1.0:
        head = f"{command} SPAMC/{version}\r\n"
    return head.encode() + message
