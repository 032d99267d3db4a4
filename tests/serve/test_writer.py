"""Writer and workers' line to it in one process each, with a real journal between them."""

import asyncio
import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.config import ModelSettings, ServeSettings, Settings
from mtspam.errors import MtspamError, ProtocolError
from mtspam.journal import Journal, LabelEvent
from mtspam.mail.views import N_VIEWS
from mtspam.serve import keeper
from mtspam.serve.background import Fold
from mtspam.serve.contract import BusyError, Forgotten, LearnOutcome, UnavailableError
from mtspam.serve.live import LiveArea, LiveView
from mtspam.serve.parts import Forgetting, Removal
from mtspam.serve.submissions import Answer, Frames, Submission
from mtspam.serve.unixsockets import bind_unix
from mtspam.serve.writer import run_writer
from mtspam.serve.writerline import WriterClient
from mtspam.spam import SpamFilter
from mtspam.spam.state import StateDirectory
from mtspam.types import NOBODY, Example, GroupKey, LabelKind, UserKey
from tests.hosts.processes import wait_until
from tests.spam.conftest import fill

SMALL = ModelSettings(
    shared_bits=8,
    personal_bits=8,
    group_bits=8,
    auxiliary_bits=8,
    max_users=16,
    max_groups=4,
    replay_messages=8,
)
ANA, BOB = UserKey(b"a" * 16), UserKey(b"b" * 16)


def digest(n):
    return hashlib.blake2b(b"%d" % n, digest_size=16).digest()


def label(n, value=1, *, user=ANA, kind=LabelKind.SPAM, size=20, example=None):
    rng = np.random.default_rng(n)
    views = (np.unique(rng.integers(0, 2**32, size, dtype=np.uint32)) for _ in range(N_VIEWS))
    return LabelEvent(
        time=1_700_000_000 + n,
        user=user,
        group=GroupKey(NOBODY),
        kind=kind,
        value=value,
        weight=1.0,
        digest=digest(n),
        source="test",
        example=example or Example(tuple(views)),
    )


class Running:
    """A writer in a process of its own."""

    def __init__(self, path, settings):
        self.directory = StateDirectory(path)
        self.settings = settings
        self.area = LiveArea(settings)
        path.mkdir(exist_ok=True)
        self.listener = bind_unix(path / "writer.sock", 0o600)
        self.lifeline, self._held = os.pipe()
        self.process = None

    def start(self):
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        self.process = context.Process(target=self._run, args=(ready,))
        self.process.start()
        assert ready.wait(30)

    def _run(self, ready):
        os.close(self._held)
        run_writer(
            self.directory, self.settings, self.area, self.listener, self.lifeline, ready.set
        )

    def stop(self, number=signal.SIGTERM):
        os.kill(self.process.pid, number)
        self.process.join(30)
        return self.process.exitcode

    def client(self, **settings):
        return WriterClient(
            self.directory.path / "writer.sock", ServeSettings(**{"label_seconds": 20, **settings})
        )

    def view(self):
        return LiveView(self.area, bytes(32), None)

    def written(self):
        with Journal.open(self.directory.journal, read_only=True) as journal:
            return [
                (one, int(value))
                for events in journal.live()
                for one, value in zip(events.digest, events.value, strict=True)
            ]


@pytest.fixture
def settings():
    return Settings(model=SMALL)


@pytest.fixture
def start(settings):
    """Start a writer over a state directory; it is stopped in the end."""
    opened = []

    def begin(path, settings=settings):
        writer = Running(path, settings)
        writer.start()
        opened.append(writer)
        return writer

    yield begin
    for writer in opened:
        writer.listener.close()
        if writer.process.is_alive():
            writer.stop(signal.SIGKILL)


@pytest.fixture
def writer(start, tmp_path):
    return start(tmp_path / "state")


def with_client(writer, work, **settings):
    """Run a coroutine function with a client, and close that."""

    async def run():
        client = writer.client(**settings)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())


async def gathered(client, labels):
    told = await asyncio.gather(*(client.label((one,)) for one in labels), return_exceptions=True)
    return [str(one) if isinstance(one, LearnOutcome) else type(one) for one in told]


def test_what_becomes_of_a_label(writer):
    async def work(client):
        told = [await client.label((label(1),)), await client.label((label(1),))]
        told += [
            await client.label((label(1, 0),)),
            await client.remove(Removal(ANA, digest(1), "x")),
        ]
        told += [await client.remove(Removal(ANA, digest(1), "x"))]
        return told

    assert [str(one) for one in with_client(writer, work)] == [
        "new",
        "same",
        "changed",
        "removed",
        "unknown",
    ]
    assert writer.written() == []


def test_ham_takes_back_phishing(writer):
    async def work(client):
        await client.label((label(1), label(1, kind=LabelKind.PHISHING)))
        return await client.label((label(1, 0),))

    assert with_client(writer, work) is LearnOutcome.CHANGED
    assert writer.written() == [(digest(1), 0)]


def test_what_was_acknowledged_shows_at_once_in_who_reads(writer):
    view = writer.view()
    asked = label(1).example

    async def work(client):
        shown = [float(view.learner.predict_one(asked, ANA).blend[0])]
        for n in range(5):
            await client.label((label(1 + 10 * n, example=asked),))
            shown.append(float(view.learner.predict_one(asked, ANA).blend[0]))
        return shown

    shown = with_client(writer, work)
    assert shown == sorted(set(shown))
    assert float(view.learner.predict_one(asked, ANA).personal[0]) > 0
    assert float(view.learner.predict_one(asked, BOB).personal[0]) == 0
    assert writer.area.state().n_users == 1
    assert writer.area.state().position == 5


def test_many_at_once_go_into_few_transactions(writer):
    async def work(client):
        return await gathered(client, [label(n, n % 2) for n in range(300)])

    assert with_client(writer, work) == ["new"] * 300
    assert sorted(writer.written()) == sorted((digest(n), n % 2) for n in range(300))


def test_the_live_model_is_the_fold(writer, settings):
    async def work(client):
        rng = random.Random(3)
        for _ in range(12):
            await gathered(
                client,
                [
                    label(rng.randrange(30), rng.randrange(2), user=rng.choice((ANA, BOB)))
                    for _ in range(8)
                ],
            )
            await client.remove(Removal(ANA, digest(rng.randrange(30)), "test"))

    with_client(writer, work)
    wait_until(lambda: writer.area.state().n_corrections == 0, "an exact model")
    assert writer.area.state().n_refolds > 0
    assert writer.stop() == 0
    with SpamFilter.open(writer.directory.path, settings) as spam_filter:
        assert spam_filter.check().is_equal


def test_a_label_taken_back_leaves_no_trace_in_the_model(writer):
    view = writer.view()
    asked = label(1).example

    def said():
        return float(view.learner.predict_one(asked, ANA).blend[0])

    async def teach(client):
        await gathered(client, [label(n, n % 2, size=5) for n in range(2, 20)])

    async def correct(client):
        await client.label((label(1),))
        during = said()
        await client.remove(Removal(ANA, digest(1), "test"))
        return during

    with_client(writer, teach)
    before = said()
    assert with_client(writer, correct) != before
    wait_until(lambda: said() == before, "the fold without it")


def test_a_writer_that_is_killed_loses_nothing_that_was_promised(writer):
    async def work(client):
        promised = []
        for n in range(40):
            if n % 8 == 3:
                writer.stop(signal.SIGKILL)
                asking = asyncio.ensure_future(client.label((label(n),)))
                await asyncio.sleep(0)
                await asyncio.to_thread(writer.start)
                await asking
            else:
                await client.label((label(n),))
            promised.append((digest(n), 1))
        return promised

    promised = with_client(writer, work)
    assert sorted(writer.written()) == sorted(promised)
    state = writer.area.state()
    assert (state.generation, state.position) == (6, 40)
    assert len(writer.view().learner.users) == 1


def test_who_waits_too_long_is_told(writer):
    async def work(client):
        os.kill(writer.process.pid, signal.SIGSTOP)
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.2 seconds"):
            await client.label((label(1),))
        os.kill(writer.process.pid, signal.SIGCONT)
        assert client.n_waiting == 0

    with_client(writer, work, label_seconds=0.2)

    async def again(client):
        return await client.label((label(2),))

    # What its user was told is lost is not written behind their back.
    assert with_client(writer, again) is LearnOutcome.NEW
    assert writer.written() == [(digest(2), 1)]


def test_a_full_queue_is_told_at_once(writer):
    async def work(client):
        os.kill(writer.process.pid, signal.SIGSTOP)
        asked = [asyncio.ensure_future(client.label((label(n),))) for n in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="5 labels wait"):
            await client.label((label(9),))
        os.kill(writer.process.pid, signal.SIGCONT)
        assert await asyncio.gather(*asked) == [LearnOutcome.NEW] * 5
        assert await client.label((label(9),)) is LearnOutcome.NEW

    with_client(writer, work, max_queued_labels=5)


def test_without_a_writer_labels_wait_for_one(start, tmp_path):
    writer = start(tmp_path / "state")
    writer.stop()

    async def work(client):
        asked = asyncio.ensure_future(client.label((label(1),)))
        await asyncio.sleep(0.05)
        assert not asked.done()
        await asyncio.to_thread(writer.start)
        return await asked

    assert with_client(writer, work) is LearnOutcome.NEW


def test_whoever_waits_when_the_worker_stops_is_told(writer):
    async def run():
        os.kill(writer.process.pid, signal.SIGSTOP)
        client = writer.client()
        asked = asyncio.ensure_future(client.label((label(1),)))
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(UnavailableError, match="stopping"):
            await asked

    asyncio.run(run())
    os.kill(writer.process.pid, signal.SIGCONT)


def test_a_full_disk_refuses_labels_and_goes_on(small_disk, start):
    tiny = Settings(model=SMALL)
    writer = start(small_disk / "state", tiny)

    async def until_full(client):
        n = 0
        while True:
            try:
                await client.label((label(n, size=400),))
            except UnavailableError as error:
                return n, str(error)
            n += 1

    fill(small_disk)
    n_full, why = with_client(writer, until_full)
    assert "the disk is full" in why
    view = writer.view()
    assert view.learner.n_events == n_full == len(writer.written())
    (small_disk / "filler").unlink()

    async def again(client):
        return await client.label((label(n_full, size=400),))

    assert with_client(writer, again) is LearnOutcome.NEW
    assert writer.process.is_alive()
    with Journal.open(writer.directory.journal, read_only=True) as journal:
        assert journal.check() == n_full + 1


def test_a_locked_journal_refuses_labels_in_time_and_goes_on(writer):
    async def work(client):
        with contextlib.closing(sqlite3.connect(writer.directory.journal)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with pytest.raises(UnavailableError):
                await client.label((label(1),))
            assert time.monotonic() - began < 30
            other.execute("ROLLBACK")

    with_client(writer, work, label_seconds=0.5)

    async def again(client):
        return await client.label((label(2),))

    assert with_client(writer, again) is LearnOutcome.NEW


def test_snapshots_are_written_while_it_runs(start, tmp_path):
    settings = Settings(model=SMALL, serve=ServeSettings(snapshot_seconds=1.0))
    writer = start(tmp_path / "state", settings)

    async def work(client):
        n = 0
        while writer.area.state().snapshot_position < 20:
            await client.label((label(n, n % 2),))
            n += 1

    with_client(writer, work)
    writer.stop(signal.SIGKILL)
    writer.start()
    wait_until(lambda: writer.area.state().generation == 2, "the next writer")
    assert writer.stop() == 0
    with SpamFilter.open(writer.directory.path, settings) as spam_filter:
        assert spam_filter.check().is_equal


def test_a_writer_ends_with_the_supervisor(writer):
    os.close(writer._held)
    writer.process.join(30)
    assert writer.process.exitcode == 0


def test_what_is_no_submission_drops_the_line_and_nobody_elses(writer):
    async def work(client):
        path = str(writer.directory.path / "writer.sock")
        reader, stranger = await asyncio.open_unix_connection(path)
        stranger.write(b"\x03\0\0\0abc")
        assert await reader.read() == b""
        stranger.close()
        return await client.label((label(1),))

    assert with_client(writer, work) is LearnOutcome.NEW


# Forgetting.


class HeldFold(Fold):
    """A fold that takes longer than anybody waits."""

    def work(self):
        threading.Event().wait()


async def teach_both(client, users=(ANA, BOB)):
    """Labels of two users by turns; they differ about some messages."""
    for n in range(24):
        for user in users:
            await client.label((label(n, (n + (user == BOB)) % 2, user=user),))


def arrays_of(writer):
    return {name: array.copy() for name, array in writer.view().learner.arrays().items()}


def assert_never_held(writer, without):
    """Hold a writer's model to that of one that never heard of the user."""
    found, wanted = arrays_of(writer), arrays_of(without)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert np.array_equal(found[name], array), name
    assert not [
        path.name
        for path in writer.directory.path.iterdir()
        if path.is_file() and bytes(ANA) in path.read_bytes()
    ]


@pytest.fixture
def without_ana(start, tmp_path):
    writer = start(tmp_path / "without")
    with_client(writer, lambda client: teach_both(client, (BOB,)))
    return writer


def forget_ana(client):
    return client.forget(Forgetting(ANA))


def test_who_is_forgotten_was_never_there(writer, without_ana):
    with_client(writer, teach_both)
    assert with_client(writer, forget_ana) == Forgotten(24)
    assert_never_held(writer, without_ana)
    assert with_client(writer, forget_ana) == Forgotten(0)
    assert writer.stop() == 0
    with SpamFilter.open(writer.directory.path, writer.settings) as spam_filter:
        assert spam_filter.check().is_equal


def test_a_snapshot_of_who_is_forgotten_is_gone(start, tmp_path, without_ana):
    settings = Settings(model=SMALL, serve=ServeSettings(snapshot_seconds=1.0))
    writer = start(tmp_path / "state", settings)
    with_client(writer, teach_both)
    wait_until(lambda: writer.area.state().snapshot_position == 48, "a snapshot")
    assert bytes(ANA) in writer.directory.snapshot.read_bytes()
    assert with_client(writer, forget_ana) == Forgotten(24)
    assert_never_held(writer, without_ana)
    wait_until(lambda: writer.area.state().snapshot_position == 49, "another snapshot")
    assert_never_held(writer, without_ana)


def test_labels_given_while_somebody_is_forgotten_are_kept(writer):
    async def work(client):
        await teach_both(client)
        more = [label(n, n % 2, user=BOB) for n in range(100, 160)]
        forgetting = asyncio.ensure_future(client.forget(Forgetting(ANA)))
        told = await gathered(client, more)
        return told, await forgetting

    assert with_client(writer, work) == (["new"] * 60, Forgotten(24))
    assert len(writer.written()) == 24 + 60
    wait_until(lambda: writer.area.state().n_corrections == 0, "an exact model")
    assert writer.stop() == 0
    with SpamFilter.open(writer.directory.path, writer.settings) as spam_filter:
        assert spam_filter.check().is_equal


def test_a_fold_that_takes_long_is_told_of(start, tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "Fold", HeldFold)
    writer = start(tmp_path / "state")
    with_client(writer, teach_both)
    assert with_client(writer, forget_ana, forget_seconds=1.0) == Forgotten(24, is_folded=False)
    assert not writer.directory.snapshot.exists()


def test_a_writer_killed_before_the_fold_has_forgotten(start, tmp_path, monkeypatch, without_ana):
    monkeypatch.setattr(keeper, "Fold", HeldFold)
    writer = start(tmp_path / "state")

    async def work(client):
        await teach_both(client)
        forgetting = asyncio.ensure_future(client.forget(Forgetting(ANA)))
        while len(await asyncio.to_thread(writer.written)) > 24:
            await asyncio.sleep(0.01)
        assert not forgetting.done()
        writer.stop(signal.SIGKILL)
        monkeypatch.undo()
        await asyncio.to_thread(writer.start)
        return await forgetting

    assert with_client(writer, work).is_folded
    assert_never_held(writer, without_ana)


def test_somebody_unknown_is_forgotten_without_a_fold(writer):
    with_client(writer, lambda client: teach_both(client, (BOB,)))
    assert with_client(writer, forget_ana) == Forgotten(0)
    assert writer.area.state().n_refolds == 0
    assert len(writer.written()) == 24


def test_trained_versions_are_told_of(writer):
    version = writer.directory.path / "rank" / "0001"
    version.mkdir(parents=True)
    (version / "trunk.snapshot").touch()
    assert with_client(writer, forget_ana).versions == ("0001",)


# The form of what goes over the line.

keys = st.sampled_from([NOBODY, b"k" * 16])
examples = st.lists(
    st.lists(st.integers(0, 2**32 - 1), max_size=20, unique=True).map(
        lambda some: np.array(sorted(some), np.uint32)
    ),
    min_size=N_VIEWS,
    max_size=N_VIEWS,
).map(lambda views: Example(tuple(views)))
events = st.builds(
    LabelEvent,
    time=st.integers(-(2**61), 2**61),
    user=keys.map(UserKey),
    group=keys.map(GroupKey),
    kind=st.sampled_from(LabelKind),
    value=st.integers(0, 1),
    weight=st.floats(1e-6, 1e6),
    digest=st.binary(min_size=16, max_size=16),
    source=st.text("abc é", max_size=20),
    example=examples,
    prior=st.floats(-9, 9),
)
changes = st.lists(events, min_size=1, max_size=3).map(tuple) | st.builds(
    Removal,
    user=keys.map(UserKey),
    digest=st.binary(min_size=16, max_size=16),
    source=st.text("abc", max_size=9),
)
user_keys = st.binary(min_size=16, max_size=16).map(UserKey)
wishes = st.builds(Forgetting, user=user_keys, aliases=st.lists(user_keys, max_size=3).map(tuple))


def plain(change):
    if isinstance(change, Removal | Forgetting):
        return change
    return [
        (
            *(getattr(one, name) for name in ("time", "user", "group", "kind", "value", "weight")),
            *(one.digest, one.source, one.prior, [view.tolist() for view in one.example.views]),
        )
        for one in change
    ]


@given(st.integers(0, 2**64 - 1), st.floats(0, 1e9), changes | wishes)
def test_a_submission_is_read_as_it_was_written(number, deadline, change):
    frames = Frames()
    frames.feed(Submission(number, deadline, change).encode())
    (frame,) = frames
    found = Submission.decode(frame)
    assert (found.number, found.deadline) == (number, deadline)
    assert plain(found.change) == plain(change)


def n_parts(change):
    return len(change.aliases) if isinstance(change, Forgetting) else len(change)


@given(changes | wishes, st.data())
def test_a_torn_submission_is_refused(change, data):
    frame = Submission(1, 2.0, change).encode()[4:]
    cut = data.draw(st.integers(0, len(frame) - 1))
    with contextlib.suppress(MtspamError):
        found = Submission.decode(frame[:cut])
        # Cut between two labels of a message, or two keys, it is whole: there is nothing to see.
        assert n_parts(found.change) < n_parts(change)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_submission_or_refused(data):
    for kind in (Submission, Answer):
        with contextlib.suppress(MtspamError):
            kind.decode(data)


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_frames_are_cut_wherever_they_arrive_in_pieces(bodies, size):
    stream = b"".join(len(body).to_bytes(4, "little") + body for body in bodies)
    frames, found = Frames(), []
    for start in range(0, len(stream), size):
        frames.feed(stream[start : start + size])
        found += frames
    assert found == bodies


def test_a_frame_that_is_too_large_is_refused():
    frames = Frames()
    frames.feed(b"\xff\xff\xff\xff")
    with pytest.raises(ProtocolError, match="at most"):
        list(frames)


@pytest.mark.parametrize("outcome", [None, *LearnOutcome])
def test_an_answer_is_read_as_it_was_written(outcome):
    answer = Answer(7, outcome, "why: é", n_events=3, is_last=False)
    assert Answer.decode(answer.encode()[4:]) == answer


def test_a_socket_may_lie_deep(tmp_path):
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    assert len(str(deep)) > 107
    with bind_unix(deep / "s", 0o640) as sock:
        assert Path(deep / "s").stat().st_mode & 0o777 == 0o640
        with pytest.raises(UnavailableError, match="another process listens here"):
            bind_unix(deep / "s", 0o600)
        assert sock.fileno() >= 0
    bind_unix(deep / "s", 0o600).close()  # nobody listens there any more
    (deep / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot listen here"):
        bind_unix(deep / "file", 0o600)
