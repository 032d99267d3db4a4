"""Asks a running service over its control socket; starts at once, since it imports little."""

import http.client
import json
import socket
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from mtspam.errors import ConfigError, DataError, ServiceError

__all__ = [
    "DEFAULT_CONTROL",
    "DEFAULT_MAX_BYTES",
    "RefusedError",
    "ServiceClient",
    "control_socket",
    "setting_in",
]

# The settings themselves take too long to import; a test holds these to them.
DEFAULT_CONTROL = "mtspam.sock"
DEFAULT_MAX_BYTES = 50_000_000

_MAX_REPLY_BYTES = 1 << 26
_DONE = (http.client.OK, http.client.ACCEPTED)
_CLIENT_ERRORS = range(400, 500)
_MAX_SHOWN = 300


class RefusedError(ServiceError):
    """The service understood what it was asked and will not do it; to ask again is of no use."""


class ServiceClient:
    """Asks a running service.

    Parameters
    ----------
    path
        The control socket of the service.
    timeout_seconds
        How long to wait for each step of an answer.

    Examples
    --------
    >>> client = ServiceClient(Path("/nowhere/mtspam.sock"))
    >>> client.status()
    Traceback (most recent call last):
    ...
    mtspam.errors.ServiceError: no service answers at /nowhere/mtspam.sock (No such file or \
directory); start it with `mtspam serve`
    """

    def __init__(self, path: Path, *, timeout_seconds: float = 10.0) -> None:
        self._path = path
        self._timeout = timeout_seconds

    def judge(
        self, raw: bytes, *, user: str | None = None, sender: str | None = None
    ) -> dict[str, Any]:
        """Ask what a message is; nothing is learnt.

        Returns
        -------
        dict
            What the service says: ``verdict``, ``action``, ``points``, ``required``, ``levels``,
            ``id``, ``symbols``, ``fields`` and more.

        Raises
        ------
        ServiceError
            Where it is not there or refuses.
        """
        return self._post("judge", raw, {"user": user, "sender": sender})

    def explain(self, raw: bytes, *, user: str | None = None, limit: int = 15) -> dict[str, Any]:
        """Ask why, feature by feature; raises as `judge`."""
        return self._post("explain", raw, {"user": user, "limit": limit})

    def learn(
        self, message: bytes | str, label: str, *, user: str | None = None, source: str = "cli"
    ) -> dict[str, Any]:
        """Say what a message is, given itself or by its id; raises as `judge`.

        Returns
        -------
        dict
            ``outcome`` (new, same, changed, unknown) and ``id``.
        """
        raw, which = _given(message)
        return self._post(
            "learn", raw, {"label": label, "user": user, "source": source, "id": which}
        )

    def unlearn(
        self, message: bytes | str, *, user: str | None = None, source: str = "cli"
    ) -> dict[str, Any]:
        """Take back what was said about a message, given itself or by its id; raises as `judge`.

        Returns
        -------
        dict
            ``outcome`` (removed, unknown) and ``id``.
        """
        raw, which = _given(message)
        return self._post("unlearn", raw, {"user": user, "source": source, "id": which})

    def forget(self, user: str) -> dict[str, Any]:
        """Have all deleted that a user ever said; raises as `judge`.

        Returns
        -------
        dict
            ``events`` (how many were deleted), ``folded`` (whether the model in use is without
            them) and ``rank_versions`` (trained versions that may hold some).
        """
        return self._post("forget", b"", {"user": user})

    def status(self) -> dict[str, Any]:
        """Ask how the service is; raises as `judge`."""
        return self._ask("GET", "/v1/status", None)

    def _post(self, verb: str, body: bytes, query: dict[str, object]) -> dict[str, Any]:
        said = {key: str(value) for key, value in query.items() if value is not None}
        text = urlencode(said, quote_via=quote, errors="replace")
        return self._ask("POST", f"/v1/{verb}?{text}" if text else f"/v1/{verb}", body)

    def _ask(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        connection = _UnixConnection(self._path, self._timeout)
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "message/rfc822"
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            text = response.read(_MAX_REPLY_BYTES)
            if response.length:
                raise http.client.IncompleteRead(text, response.length)
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ServiceError(
                f"no service answers at {self._path} ({why}); start it with `mtspam serve`"
            ) from error
        finally:
            connection.close()
        return self._read(response.status, text)

    def _read(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(text)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise ServiceError(f"{self._path}: what answers there (status {status}) is no mtspam")
        if status in _DONE:
            return reply
        kind = RefusedError if status in _CLIENT_ERRORS else ServiceError
        raise kind(f"the service says: {str(reply.get('error', status))[:_MAX_SHOWN]}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _given(message: bytes | str) -> tuple[bytes, str | None]:
    """Return the body and the id with which a message is told."""
    return (b"", message) if isinstance(message, str) else (message, None)


def setting_in(config: str | None, section: str, name: str) -> object:
    """Return what a file of settings says, unchecked: the service checks it; None if nothing.

    Raises
    ------
    ConfigError
        Where the file cannot be read.
    """
    if config is None:
        return None
    try:
        tables = tomllib.loads(Path(config).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror or error}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise ConfigError(f"{config}: not TOML: {error}") from error
    table = tables.get(section)
    return table.get(name) if isinstance(table, dict) else None


def control_socket(state: Path, config: str | None) -> Path:
    """Return where the service of a state directory listens for its own commands.

    Raises
    ------
    ConfigError
        Where the file of settings cannot be read.
    DataError
        Where the settings switch the socket off.
    """
    said = setting_in(config, "http", "control")
    control = DEFAULT_CONTROL if said is None else str(said)
    if not control:
        raise DataError(f"{config}: http.control is empty, so that no command reaches the service")
    return state / control
