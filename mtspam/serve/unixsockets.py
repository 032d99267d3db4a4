"""UNIX sockets whose paths may be longer than the system lets an address be."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtspam.serve.contract import UnavailableError

__all__ = ["bind_unix", "remove_socket", "short_path"]

_LONGEST = 100  # of 107 on Linux and 103 elsewhere
_BACKLOG = 1024


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a path by which a socket can be bound or connected to, however long its own is."""
    whole = str(path)
    if len(os.fsencode(whole)) <= _LONGEST:
        yield whole
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def bind_unix(path: Path, mode: int) -> socket.socket:
    """Listen on a UNIX socket; a file that a dead process left there makes room.

    Parameters
    ----------
    path
        Where.
    mode
        Of the file.

    Raises
    ------
    UnavailableError
        Where that is not possible, as when another process listens there.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as short:
            _make_room(path, short)
            # Nobody may come in before the mode is what it is to be.
            former = os.umask(0o777 & ~0o600)
            try:
                sock.bind(short)
            finally:
                os.umask(former)
            path.chmod(mode)
        sock.listen(_BACKLOG)
    except (OSError, ValueError) as error:  # the latter where a path has a null byte in it
        sock.close()
        why = getattr(error, "strerror", None) or error
        raise UnavailableError(f"{path}: cannot listen here ({why})") from error
    except BaseException:
        sock.close()
        raise
    return sock


def remove_socket(path: Path) -> None:
    """Remove the file of a socket, if that is allowed: who was root may be so no longer."""
    with suppress(OSError):  # whoever listens there next makes room
        path.unlink()


def _make_room(path: Path, short: str) -> None:
    if not path.is_socket():
        return  # binding says what is wrong with a file of another kind
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(short)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise UnavailableError(f"{path}: another process listens here")
