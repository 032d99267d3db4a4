"""The supervisor: opens sockets, forks, fills the places of who dies, reloads, stops."""

import contextlib
import itertools
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path

from mtspam.config import Settings
from mtspam.errors import ConfigError, JournalError, MtspamError
from mtspam.journal.identity import Identity
from mtspam.serve.children import Child, Lifeline, fork_child
from mtspam.serve.contract import UnavailableError
from mtspam.serve.counters import Counters
from mtspam.serve.encryption import server_context, wants_encryption
from mtspam.serve.faces import FACES, places_of
from mtspam.serve.http.passwords import Gate
from mtspam.serve.listeners import Listeners, inherited_sockets
from mtspam.serve.live import LiveArea
from mtspam.serve.lmtp.nexthop import next_hop_of
from mtspam.serve.lmtp.parcels import Parcels
from mtspam.serve.logs import set_up_logs
from mtspam.serve.notify import Notifier
from mtspam.serve.policy import Policy
from mtspam.serve.posts import Post
from mtspam.serve.privileges import owner_of
from mtspam.serve.roster import WRITER_ROW, Roster
from mtspam.serve.unixsockets import bind_unix, remove_socket
from mtspam.serve.warming import warm_up
from mtspam.serve.worker import WRITER_SOCKET, WorkerPlace, run_worker
from mtspam.serve.writer import run_writer
from mtspam.spam.state import StateDirectory

__all__ = ["Supervisor", "check_settings"]

_log = logging.getLogger(__name__)

_TURN_SECONDS = 0.5
_EXTRA_SECONDS = 2.0
_WRITER_SECONDS = 120.0
_MOST_WORKERS = 256


def check_settings(settings: Settings, state: Path) -> None:
    """Try out all that can be tried without opening a socket.

    Raises
    ------
    ConfigError
        Where a place is no place, or a file that is named does not hold.
    """
    places_of(settings, state)
    Policy(settings.actions, Identity(settings.identity))
    owner_of(settings.serve)
    if settings.lmtp.listen or settings.lmtp.next_hop:
        next_hop_of(settings.lmtp)
    if wants_encryption(settings):
        server_context(settings.tls)
    Gate(settings.http.password_hash, settings.http.max_failures)


class Supervisor:
    """Runs the service in the foreground until it is told to stop.

    Parameters
    ----------
    state
        The state directory.
    read_settings
        Reads the settings, now and at each reload.
    environment
        Where systemd leaves word.
    """

    def __init__(
        self,
        state: Path,
        read_settings: Callable[[], Settings],
        environment: MutableMapping[str, str],
    ) -> None:
        self._directory = StateDirectory(state.absolute())
        self._read_settings = read_settings
        self._settings = read_settings()
        check_settings(self._settings, self._directory.path)
        self._notifier = Notifier(environment)
        self._inherited = inherited_sockets(environment)
        unknown = [name for name in self._inherited if name not in FACES]
        if unknown:
            for sock in itertools.chain(*self._inherited.values()):
                sock.close()
            raise ConfigError(
                f"socket activation gives a socket called {unknown[0]!r}; FileDescriptorName= "
                f"must be one of {', '.join(FACES)}"
            )
        self._lifeline = Lifeline()
        self._counters = Counters(_MOST_WORKERS)
        self._roster = Roster(_MOST_WORKERS)
        self._selector = selectors.DefaultSelector()
        self._parcels: Parcels | None = None
        self._signals: list[int] = []
        self._reload_rows: list[int] = []
        self._retired: list[Post] = []
        self._n_stops = 0
        self._was_ready = False
        self._is_told = False
        self._watched = 0.0

    @property
    def _n_rows(self) -> int:
        return self._settings.serve.workers or len(os.sched_getaffinity(0))

    # Beginning.

    def run(self, on_listening: Callable[[dict[str, list[str]]], None] | None = None) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reads the settings again.

        Parameters
        ----------
        on_listening
            Called with the addresses of each face, once all are open.

        Raises
        ------
        MtspamError
            Where it cannot begin: a socket is taken, the state cannot be read or written.
        """
        with contextlib.ExitStack() as exits:
            self._open(exits)
            if on_listening is not None:
                on_listening(self._listeners.addresses())
            self._roster.begin(self._n_rows)
            self._area = LiveArea(self._settings)
            self._writer = Post("mtspam writer", self._fork_writer, is_alone=True)
            self._posts = [self._post(row) for row in range(self._n_rows)]
            try:
                while self._turn():
                    pass
            finally:
                for child in self._alive():
                    child.send(signal.SIGKILL)

    def _open(self, exits: contextlib.ExitStack) -> None:
        """Do all that root may be needed for, and then be root no longer."""
        path, serve = self._directory.path, self._settings.serve
        owner = owner_of(serve)
        is_new = not path.exists()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"state {path}: cannot be made ({error.strerror})") from error
        self._listeners = Listeners(self._n_rows, serve.mode, self._inherited)
        exits.callback(self._listeners.close)
        self._listeners.listen(places_of(self._settings, path))
        writer_path = path / WRITER_SOCKET
        self._writer_socket = exits.enter_context(bind_unix(writer_path, 0o600))
        exits.callback(remove_socket, writer_path)
        # While root still: who comes after it may not be able to keep what is compiled.
        self._starter = warm_up(self._settings)
        if owner is not None:
            for one in [*([path] if is_new else []), writer_path, *self._listeners.paths()]:
                owner.own(one)
            owner.assume()
        self._listen_to_signals(exits)

    def _listen_to_signals(self, exits: contextlib.ExitStack) -> None:
        reader, writer = os.pipe()
        self._pipe = [reader, writer]
        for end in self._pipe:
            os.set_blocking(end, False)
            exits.callback(os.close, end)
        former = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        exits.callback(signal.set_wakeup_fd, former)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            exits.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, lambda number, _frame: self._signals.append(number))
        self._selector.register(reader, selectors.EVENT_READ)

    def _post(self, row: int) -> Post:
        return Post(f"mtspam worker {row}", lambda: self._fork_worker(row))

    def _fork_writer(self) -> Child:
        def work(ready: Callable[[], None]) -> None:
            def begin() -> None:
                self._roster.enter(WRITER_ROW)
                ready()

            self._listeners.let_go()
            run_writer(
                self._directory,
                self._settings,
                self._area,
                self._writer_socket,
                self._lifeline.reader,
                begin,
            )

        return self._watch(fork_child("mtspam writer", work, self._lifeline, self._pipe))

    def _fork_worker(self, row: int) -> Child:
        self._roster.beat(row)
        if self._settings.lmtp.listen and self._parcels is None:
            self._parcels = Parcels()
        place = WorkerPlace(
            row=row,
            n_rows=self._n_rows,
            directory=self._directory,
            settings=self._settings,
            area=self._area,
            starter=self._starter,
            counters=self._counters.of_row(row),
            roster=self._roster,
            parcels=self._parcels,
            sockets=self._listeners.of_row(row, self._n_rows),
            lifeline=self._lifeline.reader,
        )

        def work(ready: Callable[[], None]) -> None:
            self._writer_socket.close()
            run_worker(place, ready)

        return self._watch(fork_child(f"mtspam worker {row}", work, self._lifeline, self._pipe))

    def _watch(self, child: Child) -> Child:
        self._selector.register(child.pipe, selectors.EVENT_READ, child)
        return child

    # Going on.

    def _turn(self) -> bool:
        """Wait for something to happen and see to it; False: it is all over."""
        now = time.monotonic()
        if not self._n_stops:
            for post in (self._writer, *self._posts):
                post.fill(now)
        for key, _ in self._selector.select(_TURN_SECONDS):
            if isinstance(key.data, Child):
                self._hear(key.data)
            else:
                os.read(self._pipe[0], 4096)
        numbers, self._signals = self._signals, []
        self._bury()
        for number in numbers:
            if number == signal.SIGHUP:
                self._reload()
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
        now = time.monotonic()
        for post in (self._writer, *self._posts, *self._retired):
            post.enforce(now)
        self._retired = [post for post in self._retired if post.children]
        self._check_signs_of_life()
        self._go_on_reloading()
        self._tell(now)
        return self._go_on_stopping()

    def _hear(self, child: Child) -> None:
        self._selector.unregister(child.pipe)
        child.hear()

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._roster.leave(pid)
            for post in (self._writer, *self._posts, *self._retired):
                pipes = {child.pid: child.pipe for child in post.children}
                child = post.bury(pid, os.waitstatus_to_exitcode(status))
                if child is None:
                    continue
                if pipes[pid] >= 0:
                    with contextlib.suppress(KeyError):
                        self._selector.unregister(pipes[pid])
                is_beginning = not self._was_ready and not self._n_stops
                if is_beginning and not child.is_ready and not child.is_dismissed:
                    raise child.problem or UnavailableError(
                        f"{child.name} died before it could begin; the log says why"
                    )

    def _check_signs_of_life(self) -> None:
        for row, post in enumerate(self._posts):
            child = post.child
            if child is None or post.successor is not None:
                continue
            age = self._roster.age(row)
            if child.is_ready and age > self._settings.serve.stuck_seconds:
                _log.error("%s is stuck", child.name, extra={"seconds": round(age, 1)})
                child.send(signal.SIGKILL)
                self._roster.beat(row)

    def _tell(self, now: float) -> None:
        """Tell whoever started us how we are."""
        is_ready = all(post.is_ready for post in (self._writer, *self._posts))
        if is_ready and not self._is_told and not self._reload_rows and not self._n_stops:
            self._is_told = self._was_ready = True
            self._notifier.tell(
                "READY=1", f"STATUS={len(self._posts)} workers", f"MAINPID={os.getpid()}"
            )
            _log.info("ready", extra={"workers": len(self._posts)})
        seconds = self._notifier.watchdog_seconds
        if seconds and now - self._watched >= seconds / 3:
            self._watched = now
            self._notifier.tell("WATCHDOG=1")

    # Reloading.

    def _reload(self) -> None:
        """Read the settings again; where they do not hold, all stays as it is."""
        if self._n_stops:
            return
        self._notifier.tell_reloading()
        self._is_told = False
        try:
            settings = self._read_settings()
            check_settings(settings, self._directory.path)
            self._listeners.listen(places_of(settings, self._directory.path))
        except MtspamError as error:
            _log.error("not reloaded, all stays as it is", extra={"error": str(error)})
            return
        except Exception:  # noqa: BLE001 - a slip in a file must not end what works
            _log.exception("not reloaded, all stays as it is")
            return
        self._settings = settings
        set_up_logs(settings.serve.log_level)
        if settings.digest() != self._area.digest:
            # Who has the former area mapped keeps it until replaced.
            self._area.close()
            self._area = LiveArea(settings)
        self._writer.dismiss(_WRITER_SECONDS)
        grace = settings.serve.grace_seconds + _EXTRA_SECONDS
        for post in self._posts:
            post.recall(grace)
        n_rows = self._n_rows
        self._roster.expect(n_rows)
        for post in self._posts[n_rows:]:
            post.dismiss(grace)
            self._retired.append(post)
        del self._posts[n_rows:]
        self._reload_rows = list(range(len(self._posts)))
        self._posts += [self._post(row) for row in range(len(self._posts), n_rows)]
        _log.info("reloading", extra={"workers": n_rows})

    def _go_on_reloading(self) -> None:
        """Replace one worker after the other, each when its successor answers."""
        while self._reload_rows and not self._n_stops:
            post = self._posts[self._reload_rows[0]]
            if post.successor is None:
                if not self._writer.is_ready:
                    return
                post.replace(time.monotonic())
                return
            if not post.promote(self._settings.serve.grace_seconds + _EXTRA_SECONDS):
                return
            self._reload_rows.pop(0)

    # Ending.

    def _stop(self) -> None:
        """Begin to stop; asked a second time, wait for no worker."""
        self._n_stops += 1
        self._notifier.tell("STOPPING=1")
        _log.info("stopping")
        grace = self._settings.serve.grace_seconds + _EXTRA_SECONDS if self._n_stops == 1 else 0.0
        self._reload_rows = []
        for post in self._posts:
            post.recall(grace)
            post.dismiss(grace)
            for child in post.leaving:
                child.kill_at = min(child.kill_at, time.monotonic() + grace)

    def _go_on_stopping(self) -> bool:
        if not self._n_stops:
            return True
        if any(post.children for post in (*self._posts, *self._retired)):
            return True
        # Last of all the writer, so that every label that a worker took is written.
        self._writer.dismiss(_WRITER_SECONDS)
        return bool(self._writer.children)

    def _alive(self) -> list[Child]:
        return [
            child
            for post in (self._writer, *self._posts, *self._retired)
            for child in post.children
        ]
