"""The writer: one process that takes changes from all workers and writes them in groups."""

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from mtspam.config import Settings
from mtspam.errors import DataError, JournalError, MtspamError
from mtspam.journal import Journal
from mtspam.serve.contract import LearnOutcome
from mtspam.serve.keeper import ModelKeeper
from mtspam.serve.live import LiveArea
from mtspam.serve.parts import Forgetting
from mtspam.serve.submissions import Answer, Frames, Submission
from mtspam.spam.state import StateDirectory

__all__ = ["Writer", "run_writer"]

_log = logging.getLogger(__name__)

_GROUP = 256
_READ_BYTES = 1 << 18
_READS_A_TURN = 8
_TURN_SECONDS = 0.5


@dataclass(slots=True)
class _Worker:
    """A connection to a worker."""

    sock: socket.socket
    frames: Frames = field(default_factory=Frames)
    unsent: bytearray = field(default_factory=bytearray)


class Writer:
    """Reads submissions, writes all that wait in one transaction, answers, begins again.

    Parameters
    ----------
    keeper
        Model and journal.
    listener
        UNIX socket to which workers connect; inherited, so that another writer takes over both
        it and who waits there.
    area
        The control page.
    """

    def __init__(self, keeper: ModelKeeper, listener: socket.socket, area: LiveArea) -> None:
        self._keeper = keeper
        self._listener = listener
        self._area = area
        self._selector = selectors.DefaultSelector()
        self._waiting: list[tuple[_Worker, Submission]] = []
        self._forgets: list[tuple[_Worker, Submission]] = []
        self._folding: list[tuple[int, _Worker, Answer]] = []
        listener.settimeout(0.0)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        """Call something when a descriptor can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, call)

    def turn(self, seconds: float = _TURN_SECONDS) -> None:
        """Wait for something to do, at most so long, and do it."""
        for key, mask in self._selector.select(0.0 if self._waiting else seconds):
            if isinstance(key.data, _Worker):
                self._serve(key.data, mask)
            else:
                key.data()
        self._write()
        self._forget()
        try:
            self._keeper.tend()
        except MtspamError:
            _log.exception("the model could not be looked after")
        self._tell_forgotten()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.settimeout(0.0)
        self._selector.register(sock, selectors.EVENT_READ, _Worker(sock))

    def _serve(self, worker: _Worker, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush(worker)
            if mask & selectors.EVENT_READ:
                self._read(worker)
        except (OSError, EOFError):
            self._drop(worker)
        except MtspamError as error:
            _log.error("a worker sent what is no submission", extra={"error": str(error)})
            self._drop(worker)

    def _read(self, worker: _Worker) -> None:
        for _ in range(_READS_A_TURN):
            try:
                data = worker.sock.recv(_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise EOFError
            worker.frames.feed(data)
            self._waiting += [(worker, Submission.decode(frame)) for frame in worker.frames]

    def _drop(self, worker: _Worker) -> None:
        """Forget a worker; what it submitted is written, though nobody hears of it."""
        if worker.sock.fileno() >= 0:
            self._selector.unregister(worker.sock)
            worker.sock.close()

    def _write(self) -> None:
        self._area.note_waiting(len(self._waiting))
        now = time.monotonic()
        group: list[tuple[_Worker, Submission]] = []
        while self._waiting and len(group) < _GROUP:
            worker, submission = self._waiting.pop(0)
            if submission.deadline < now:
                continue
            if isinstance(submission.change, Forgetting):
                self._forgets.append((worker, submission))
            else:
                group.append((worker, submission))
        if group:
            self._write_group(group)

    def _write_group(self, group: list[tuple[_Worker, Submission]]) -> None:
        changes = [one.change for _, one in group if not isinstance(one.change, Forgetting)]
        try:
            outcomes = self._keeper.commit(changes)
        except DataError as error:
            if len(group) > 1:  # one of them is at fault; the others shall not suffer
                for one in group:
                    self._write_group([one])
                return
            answers = [Answer(group[0][1].number, None, str(error))]
        except JournalError as error:
            _log.error("labels were not written", extra={"n": len(group), "error": str(error)})
            answers = [Answer(submission.number, None, str(error)) for _, submission in group]
        else:
            answers = [
                Answer(submission.number, outcome)
                for (_, submission), outcome in zip(group, outcomes, strict=True)
            ]
        for (worker, _), answer in zip(group, answers, strict=True):
            worker.unsent += answer.encode()
        for worker in {id(worker): worker for worker, _ in group}.values():
            self._serve(worker, selectors.EVENT_WRITE)

    def _forget(self) -> None:
        """Delete whom to forget, once nobody here reads the journal or holds a copy of the model.

        A reader would keep pages alive of what is deleted, a snapshot in the making its weights.
        """
        while self._forgets and self._keeper.is_quiet:
            worker, submission = self._forgets.pop(0)
            if submission.deadline < time.monotonic():
                continue
            if isinstance(submission.change, Forgetting):
                self._forget_user(worker, submission.number, submission.change)

    def _forget_user(self, worker: _Worker, number: int, forgetting: Forgetting) -> None:
        try:
            n_events, place = self._keeper.forget(forgetting.user, *forgetting.aliases)
        except MtspamError as error:
            _log.error("nobody was forgotten, or not wholly", extra={"error": str(error)})
            self._tell(worker, Answer(number, None, str(error)))
            return
        done = Answer(number, LearnOutcome.REMOVED, n_events=n_events)
        if place > self._keeper.folded:
            self._tell(worker, replace(done, is_last=False))
        self._folding.append((place, worker, done))

    def _tell_forgotten(self) -> None:
        """Tell those whose wish the model in use fulfils."""
        folding, self._folding = self._folding, []
        for place, worker, done in folding:
            if place <= self._keeper.folded:
                self._tell(worker, done)
            else:
                self._folding.append((place, worker, done))

    def _tell(self, worker: _Worker, answer: Answer) -> None:
        worker.unsent += answer.encode()
        self._serve(worker, selectors.EVENT_WRITE)

    def _flush(self, worker: _Worker) -> None:
        if worker.sock.fileno() < 0:
            return
        with suppress(BlockingIOError):
            while worker.unsent:
                del worker.unsent[: worker.sock.send(worker.unsent)]
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
        self._selector.modify(worker.sock, mask, worker)

    def close(self) -> None:
        """Write what is still waiting and let go of the connections."""
        while True:
            self.turn(0.0)
            if not self._waiting:
                break
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, _Worker):
                self._drop(key.data)
        self._selector.close()


def run_writer(
    directory: StateDirectory,
    settings: Settings,
    area: LiveArea,
    listener: socket.socket,
    lifeline: int,
    ready: Callable[[], None],
) -> None:
    """Be the writer until asked to stop by SIGTERM, or until the supervisor is gone.

    Parameters
    ----------
    directory
        The state.
    settings
        All of them.
    area
        Where the live model is to be.
    listener
        Bound and listening.
    lifeline
        Descriptor that can be read once the supervisor is gone.
    ready
        Called when labels can be taken.

    Raises
    ------
    JournalError
        Where the state cannot be read or written, or another process is writing to it.
    SnapshotError
        Where the snapshot is of a newer version, or the last one cannot be written.
    """
    alarm = _Alarm()
    with ExitStack() as exits:
        exits.enter_context(directory.writing())
        directory.prepare()
        journal = exits.enter_context(Journal.open(directory.journal))
        keeper = ModelKeeper(directory, settings, journal, area, alarm.wake)
        writer = Writer(keeper, listener, area)
        writer.watch(alarm.reader, alarm.drain)
        writer.watch(lifeline, alarm.stop)
        signal.set_wakeup_fd(alarm.writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda _number, _frame: alarm.stop())
        area.note_writer(os.getpid())
        ready()
        while not alarm.is_stopping:
            writer.turn()
        writer.close()
        keeper.close()
        area.note_writer(0)


class _Alarm:
    """Wakes the writer, from another thread or a signal, and says whether it is to stop."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        for end in (self.reader, self.writer):
            os.set_blocking(end, False)
        self.is_stopping = False

    def wake(self) -> None:
        with suppress(BlockingIOError):  # it is awake already
            os.write(self.writer, b"!")

    def drain(self) -> None:
        os.read(self.reader, 4096)

    def stop(self) -> None:
        self.is_stopping = True
