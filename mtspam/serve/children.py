"""How the supervisor makes children and hears from them, and how they notice its end."""

import contextlib
import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from mtspam import errors
from mtspam.errors import MtspamError
from mtspam.serve import contract

__all__ = ["Child", "Lifeline", "fork_child"]

_log = logging.getLogger(__name__)

_READY = b"+"
_PROBLEM = b"!"
_PR_SET_NAME = 15
_NAME_BYTES = 15
_MOST_TOLD_BYTES = 4096  # what a pipe takes at once, whole or not at all


class Lifeline:
    """A pipe that nobody writes to: who reads it learns of the supervisor's end."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def hold(self) -> None:
        """Let go of the supervisor's end; in each child, or it would keep the others waiting."""
        os.close(self._writer)


@dataclass(slots=True)
class Child:
    """A process that the supervisor made.

    Parameters
    ----------
    name
        For logs.
    pid
        Its number.
    pipe
        Where it says that it is ready, or why it cannot be; -1 once it has said so.
    began
        When it was made.
    is_ready
        Whether it does its work.
    problem
        Why it could not begin.
    kill_at
        When it is ended by force, if it has been asked to stop.
    is_dismissed
        Whether it has been asked to stop.
    """

    name: str
    pid: int
    pipe: int
    began: float
    is_ready: bool = False
    problem: MtspamError | None = None
    kill_at: float = float("inf")
    is_dismissed: bool = False

    def hear(self) -> None:
        """Take in what it says."""
        if self.pipe < 0:
            return
        told = os.read(self.pipe, _MOST_TOLD_BYTES)
        self.is_ready = told == _READY
        if told.startswith(_PROBLEM):
            kind, _, text = told[1:].decode(errors="replace").partition(":")
            self.problem = _error_of(kind, text)
        self.deafen()

    def deafen(self) -> None:
        """Close the pipe."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def ask_to_stop(self, grace_seconds: float) -> None:
        """Ask it to end what it has begun, within a time."""
        self.is_dismissed = True
        self.kill_at = min(self.kill_at, time.monotonic() + grace_seconds)
        self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Send it a signal, if it is there still."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _error_of(kind: str, text: str) -> MtspamError:
    """Make an error as the child raised it."""
    found = getattr(errors, kind, getattr(contract, kind, None))
    if isinstance(found, type) and issubclass(found, MtspamError):
        return found(text)
    return MtspamError(text)


def fork_child(
    name: str, work: Callable[[Callable[[], None]], None], lifeline: Lifeline, inherited: list[int]
) -> Child:
    """Make a child.

    Parameters
    ----------
    name
        Shown in process lists, at most 15 bytes of it.
    work
        What it does; called with what it is to call when it is ready. When it returns or raises,
        the child ends.
    lifeline
        The supervisor's.
    inherited
        Descriptors that only the supervisor needs.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return Child(name, pid, reader, time.monotonic())
    code = 1
    try:
        os.close(reader)
        lifeline.hold()
        _start_over(name, inherited)
        work(lambda: _tell(writer, _READY))
        code = 0
    except MtspamError as error:
        _log.error("%s cannot go on", name, extra={"error": str(error)})
        _tell(
            writer, _PROBLEM + f"{type(error).__name__}:{error}".encode()[: _MOST_TOLD_BYTES - 1]
        )
    except BaseException:  # noqa: BLE001 - nothing may run on in the supervisor's place
        _log.exception("%s failed", name)
    finally:
        logging.shutdown()
        os._exit(code)


def _start_over(name: str, inherited: list[int]) -> None:
    """Undo what the supervisor set up for itself."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # A terminal tells every process of a group of these two; the supervisor passes on what is
    # meant for its children.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for descriptor in inherited:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NAME, name.encode()[:_NAME_BYTES], 0, 0, 0)


def _tell(writer: int, told: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(writer, told)
