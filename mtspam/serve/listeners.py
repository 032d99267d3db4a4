"""The listening sockets: opened once, before anybody is forked, and inherited by all workers."""

import errno
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from mtspam.errors import ConfigError
from mtspam.serve.contract import UnavailableError
from mtspam.serve.unixsockets import bind_unix, remove_socket

__all__ = [
    "CONTROL",
    "ENCRYPTED",
    "Listeners",
    "Place",
    "inherited_sockets",
    "parse_places",
    "setting_of",
]

CONTROL = "control"
"""Name of the UNIX socket for the commands of this program: the HTTP face, trusted."""

ENCRYPTED = "-tls"
"""End of the name of a face whose connections are encrypted."""

_BACKLOG = 1024
_LARGEST_PORT = 65_535
_FIRST_INHERITED = 3
_UNNAMED = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: a host with a port, or a path.

    Parameters
    ----------
    host, port
        An address or a name of this machine; port 0: any that is free.
    path
        Of a UNIX socket; empty for TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def setting_of(face: str) -> str:
    """Return the key of the setting that says where a face listens.

    Examples
    --------
    >>> setting_of("http"), setting_of("http-tls"), setting_of("control")
    ('http.listen', 'http.tls_listen', 'http.control')
    """
    if face == CONTROL:
        return "http.control"
    if face.endswith(ENCRYPTED):
        return f"{face.removesuffix(ENCRYPTED)}.tls_listen"
    return f"{face}.listen"


def parse_places(text: str, setting: str) -> tuple[Place, ...]:
    """Read a setting that says where to listen.

    Parameters
    ----------
    text
        Places separated by blanks: HOST:PORT, [IPV6]:PORT or /PATH.
    setting
        Its key, for the error to name.

    Raises
    ------
    ConfigError
        Where one is no place.

    Examples
    --------
    >>> [str(place) for place in parse_places("127.0.0.1:783 [::1]:783 /run/x.sock", "x.listen")]
    ['127.0.0.1:783', '[::1]:783', '/run/x.sock']
    """
    return tuple(_parse(word, setting) for word in text.split())


def _parse(word: str, setting: str) -> Place:
    if word.startswith("/"):
        return Place(path=word)
    host, colon, port = word.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if is_bracketed:
        host = host[1:-1]
    is_port = port.isascii() and port.isdigit() and int(port) <= _LARGEST_PORT
    if not colon or not host or not is_port or (":" in host and not is_bracketed):
        raise ConfigError(
            f"{setting} has {word!r}; a place is HOST:PORT, [IPV6]:PORT or /PATH, with a port up "
            f"to {_LARGEST_PORT}"
        )
    return Place(host=host, port=int(port))


def inherited_sockets(environment: MutableMapping[str, str]) -> dict[str, list[socket.socket]]:
    """Take the sockets that systemd has opened for this process, by their names.

    What told of them is taken out of the environment, so that no child takes them for its own.

    Raises
    ------
    ConfigError
        Where one has no name.
    """
    told = {name: environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS")}
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdigit():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for n in range(int(told["LISTEN_FDS"])):
        name = names[n] if n < len(names) else ""
        if name in {"", _UNNAMED}:
            raise ConfigError(
                f"socket {n + 1} of socket activation has no name; FileDescriptorName= must say "
                "which face it is for"
            )
        os.set_inheritable(_FIRST_INHERITED + n, False)  # noqa: FBT003 - takes it by place only
        sock = socket.socket(fileno=_FIRST_INHERITED + n)
        found.setdefault(name, []).append(sock)
    return found


class Listeners:
    """The sockets of all faces.

    A TCP place has a socket for each worker: the kernel spreads connections evenly over them, and
    those that wait for a worker that died wait for the next one, since the supervisor holds the
    sockets, too. A UNIX place and one opened by systemd has one that all workers share.

    Parameters
    ----------
    n_rows
        Workers.
    mode
        Of UNIX sockets.
    inherited
        Sockets opened by systemd, by face; such a face does not listen elsewhere.
    """

    def __init__(
        self,
        n_rows: int,
        mode: int,
        inherited: Mapping[str, list[socket.socket]] | None = None,
    ) -> None:
        self._n_rows = n_rows
        self._mode = mode
        self._inherited = dict(inherited or {})
        self._open: dict[tuple[str, Place], list[socket.socket]] = {}

    def listen(self, places: Mapping[str, tuple[Place, ...]]) -> None:
        """Listen in these places and in no others; what is open already stays as it is.

        Parameters
        ----------
        places
            By face.

        Raises
        ------
        UnavailableError
            Where one is taken or not allowed; then all is as it was.
        """
        wanted = [
            (name, place)
            for name, some in places.items()
            if name not in self._inherited
            for place in dict.fromkeys(some)
        ]
        fresh: dict[tuple[str, Place], list[socket.socket]] = {}
        try:
            for name, place in wanted:
                if (name, place) not in self._open:
                    fresh[name, place] = self._bind(name, place)
        except UnavailableError:
            for some in fresh.values():
                _close(some)
            raise
        for key in [key for key in self._open if key not in wanted]:
            self._shut(key)
        self._open.update(fresh)

    def _bind(self, name: str, place: Place) -> list[socket.socket]:
        try:
            if place.path:
                return [bind_unix(Path(place.path), self._mode)]
            return _bind_tcp(place, self._n_rows)
        except UnavailableError as error:
            raise UnavailableError(f"{setting_of(name)}: {error}") from error

    def of_row(self, row: int, n_rows: int) -> list[tuple[str, socket.socket]]:
        """Return the sockets of one of `n_rows` workers, each with the name of its face."""
        mine = [
            (name, sock)
            for (name, _), some in self._open.items()
            for at, sock in enumerate(some)
            # Each worker has at least one and each socket a worker, also once there are more or
            # fewer workers than when it was opened.
            if at % n_rows == row or row % len(some) == at
        ]
        return mine + [(name, sock) for name, some in self._inherited.items() for sock in some]

    def addresses(self) -> dict[str, list[str]]:
        """Return where each face listens, in words."""
        told: dict[str, list[str]] = {}
        for (name, place), some in self._open.items():
            told.setdefault(name, []).append(place.path or _address(some[0]))
        for name, some in self._inherited.items():
            told[name] = [_address(sock) for sock in some]
        return told

    def paths(self) -> list[Path]:
        """Return the files of the UNIX sockets opened here."""
        return [Path(place.path) for _, place in self._open if place.path]

    def close(self) -> None:
        """Listen nowhere any more and remove the files of UNIX sockets."""
        for key in list(self._open):
            self._shut(key)
        for some in self._inherited.values():
            _close(some)

    def _shut(self, key: tuple[str, Place]) -> None:
        _close(self._open.pop(key))
        if key[1].path:
            remove_socket(Path(key[1].path))

    def let_go(self) -> None:
        """Close this process's copies only; the sockets stay as they are."""
        for some in [*self._open.values(), *self._inherited.values()]:
            _close(some)


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    return str(Place(name[0], name[1])) if isinstance(name, tuple) else str(name)


def _bind_tcp(place: Place, n: int) -> list[socket.socket]:
    """Open `n` sockets in one place."""
    opened: list[socket.socket] = []
    try:
        family, _, _, _, address = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Sockets that share a place share it with every process of this user, another service of
        # ours among them; one that does not share finds out whether the place is free.
        with _socket(family, is_shared=False) as probe:
            probe.bind(address)
            address = probe.getsockname()
        for _ in range(n):
            sock = _socket(family, is_shared=n > 1)
            opened.append(sock)
            sock.bind(address)
            sock.listen(_BACKLOG)
    except UnicodeError as error:  # no name of the DNS has such a part
        raise UnavailableError(
            f"{place}: cannot listen here ({place.host!r} is no host)"
        ) from error
    except OSError as error:
        _close(opened)
        raise UnavailableError(
            f"{place}: cannot listen here ({error.strerror}){_hint(error)}"
        ) from error
    return opened


def _hint(error: OSError) -> str:
    """Say what to do about what is met most often."""
    if error.errno == errno.EADDRINUSE:
        return "; end what listens there, or set another place"
    if error.errno == errno.EACCES:
        return "; ports below 1024 are root's, or systemd's to open"
    return ""


def _socket(family: int, *, is_shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock
