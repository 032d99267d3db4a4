"""A watcher over Maildirs on the disk, telling a real service."""

import itertools
import os
import shutil

import pytest

from mtspam.commands.watch import IGNORED, JUNK
from mtspam.journal import Journal
from mtspam.serve.client import ServiceClient
from mtspam.serve.fields import with_fields
from mtspam.serve.watch.maildirs import Box, FolderNames
from mtspam.serve.watch.memory import Memory
from mtspam.serve.watch.watcher import SOURCE, Watcher
from tests.serve.local_service import ANA, LUNCH, PILLS, control_service, settings_with

MARKS = [("X-Mtspam-Id", "ab" * 16), ("X-Mtspam-Verdict", "spam"), ("X-Spam-Flag", "YES")]


class Mailbox:
    """What a mail server and a mail program do to a Maildir."""

    def __init__(self, path):
        self.path = path
        self.count = itertools.count(1)
        for folder in ("", ".Junk", ".Trash", ".Archive", ".Drafts"):
            for name in ("cur", "new", "tmp"):
                (path / folder / name).mkdir(parents=True)

    def deliver(self, raw, folder=""):
        path = self.path / folder / "new" / f"{next(self.count)}.host"
        path.write_bytes(raw)
        return path

    def move(self, path, folder, flags="S", *, is_renamed=True):
        """Move a message; most servers give it another name there."""
        name = f"{next(self.count)}.host" if is_renamed else path.name.partition(":2,")[0]
        target = self.path / folder / "cur" / f"{name}:2,{flags}"
        path.rename(target)
        return target

    def flag(self, path, flags):
        target = path.with_name(f"{path.name.partition(':2,')[0]}:2,{flags}")
        path.rename(target)
        return target


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def client(state):
    with control_service(state, settings_with()) as path:
        yield ServiceClient(path)


@pytest.fixture
def box(tmp_path):
    return Mailbox(tmp_path / "box")


@pytest.fixture
def watching(tmp_path, client, box):
    """Open a watcher that has looked once; each call is a restart."""
    opened = []

    def start(teacher=client):
        while opened:
            opened.pop().close()
        opened.append(Memory(tmp_path / "watch.sqlite"))
        watcher = Watcher(teacher, opened[-1], FolderNames.of(JUNK, IGNORED), max_bytes=100_000)
        return lambda: watcher.look(Box(ANA, box.path))

    yield start
    while opened:
        opened.pop().close()


@pytest.fixture
def look(watching, box):
    look = watching()
    assert (look().n_spam, look().n_ham) == (0, 0)
    return look


def told(seen):
    assert seen.is_complete
    return seen.n_spam, seen.n_ham


def unique(raw, request):
    return raw + request.node.name.encode()


def test_what_is_moved_to_junk_is_spam_and_back_again_ham(look, box, client, request):
    raw = unique(PILLS, request)
    path = box.deliver(raw)
    assert told(look()) == (0, 0)
    before = client.judge(raw, user=ANA)["score"]
    path = box.move(path, ".Junk")
    assert told(look()) == (1, 0)
    as_spam = client.judge(raw, user=ANA)["score"]
    assert as_spam > before
    assert told(look()) == (0, 0)
    path = box.move(path, "")
    assert told(look()) == (0, 1)
    assert client.judge(raw, user=ANA)["score"] < as_spam
    box.move(path, ".Junk", is_renamed=False)
    assert told(look()) == (1, 0)


def test_labels_name_where_they_come_from(look, box, state, client, request):
    path = box.deliver(unique(PILLS, request))
    look()
    box.move(path, ".Junk")
    assert told(look()) == (1, 0)
    message_id = client.judge(unique(PILLS, request))["id"]
    with Journal.open(state / "journal.sqlite", read_only=True) as journal:
        (event,) = journal.find(message_id)
    assert event.source == SOURCE


def test_what_lies_there_at_first_is_not_learnt(watching, box, request):
    path = box.deliver(unique(PILLS, request), ".Junk")
    box.deliver(unique(LUNCH, request))
    look = watching()
    assert told(look()) == (0, 0)
    box.move(path, "")
    assert told(look()) == (0, 1)


def test_what_appears_in_junk_is_spam(look, box, request):
    box.deliver(unique(PILLS, request), ".Junk")
    assert told(look()) == (1, 0)


def test_the_filter_does_not_hear_itself(look, box, request):
    marked = with_fields(unique(PILLS, request), MARKS)
    path = box.deliver(marked, ".Junk")
    assert told(look()) == (0, 0)
    box.move(path, ".Archive")
    assert told(look()) == (0, 1)


def test_a_user_agrees_with_the_filter_by_moving(look, box, request):
    path = box.deliver(with_fields(unique(PILLS, request), MARKS))
    look()
    box.move(path, ".Junk")
    assert told(look()) == (1, 0)


@pytest.mark.parametrize("folder", [".Trash", ".Drafts"])
def test_emptying_junk_says_nothing(look, box, request, folder):
    path = box.deliver(unique(PILLS, request), ".Junk")
    assert told(look()) == (1, 0)
    path = box.move(path, folder)
    assert told(look()) == (0, 0)
    box.move(path, "")
    assert told(look()) == (0, 1)


def test_what_is_deleted_says_nothing(look, box, request):
    path = box.deliver(unique(PILLS, request))
    look()
    junk = box.move(path, ".Junk", flags="ST")
    assert told(look()) == (0, 0)
    junk.unlink()
    assert told(look()) == (0, 0)


def test_flags_are_no_news(look, box, request):
    path = box.deliver(unique(PILLS, request), ".Junk")
    look()
    path = box.flag(path, "S")
    path = box.move(path, ".Junk", flags="SR", is_renamed=False)
    assert told(look()) == (0, 0)


def test_a_copy_within_junk_is_no_news(look, box, request):
    path = box.deliver(unique(PILLS, request), ".Junk")
    look()
    shutil.copy(path, box.path / ".Junk" / "new" / "copy.host")
    assert told(look()) == (0, 0)


def test_a_restart_changes_nothing(look, watching, box, request):
    kept = box.deliver(unique(LUNCH, request))
    path = box.deliver(unique(PILLS, request), ".Junk")
    look()
    again = watching()
    assert told(again()) == (0, 0)
    box.move(path, "")
    box.move(kept, ".Junk")
    # What happened while nobody looked is seen later.
    assert told(watching()()) == (1, 1)
    assert told(watching()()) == (0, 0)


def test_while_the_service_is_away_nothing_is_lost(look, watching, box, tmp_path, request):
    away = watching(ServiceClient(tmp_path / "none"))
    path = box.deliver(unique(PILLS, request), ".Junk")
    box.deliver(unique(LUNCH, request), ".Junk")
    for _ in range(3):
        seen = away()
        assert (seen.n_spam, seen.is_complete) == (0, False)
    path.unlink()
    assert told(watching()()) == (1, 0)


def test_moved_there_and_back_while_the_service_is_away(look, watching, box, tmp_path, request):
    path = box.deliver(unique(PILLS, request))
    look()
    away = watching(ServiceClient(tmp_path / "none"))
    path = box.move(path, ".Junk")
    away()
    box.move(path, "")
    away()
    assert told(watching()()) == (0, 0)


def test_what_the_service_refuses_is_not_told_again(look, watching, box, client, request):
    class Picky:
        """The service, refusing a label that it does not know."""

        n_asked = 0

        def learn(self, message, label, *, user, source):
            self.n_asked += 1
            return client.learn(message, "no label", user=user, source=source)

    picky = Picky()
    look = watching(picky)
    box.deliver(unique(PILLS, request), ".Junk")
    assert told(look()) == (0, 0)
    assert told(look()) == (0, 0)
    assert picky.n_asked == 1


def test_what_is_too_long_is_left_alone(look, box):
    box.deliver(PILLS + b"x" * 200_000, ".Junk")
    assert told(look()) == (0, 0)


def test_a_folder_that_goes_and_comes_is_read_anew(look, box, request):
    path = box.deliver(unique(PILLS, request), ".Junk")
    look()
    (box.path / ".Junk").rename(box.path / ".Elsewhere")
    assert told(look()) == (0, 1)
    (box.path / ".Elsewhere").rename(box.path / ".Junk")
    assert told(look()) == (1, 0)
    assert path.exists()


def test_what_is_no_file_holds_nobody_up(look, box, request):
    os.mkfifo(box.path / ".Junk" / "new" / "0.pipe")
    (box.path / ".Junk" / "new" / "0.folder").mkdir()
    box.deliver(unique(PILLS, request), ".Junk").rename(
        box.path / ".Junk" / "cur" / os.fsdecode(b"caf\xe9:2,S")
    )
    assert told(look()) == (1, 0)
    assert told(look()) == (0, 0)
