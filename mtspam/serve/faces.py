"""Which faces there are, where each listens, and how each is started."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from socket import socket

from mtspam.config import Settings
from mtspam.serve.contract import Face, Service
from mtspam.serve.listeners import CONTROL, ENCRYPTED, Place, parse_places, setting_of

__all__ = ["FACES", "places_of", "start_face"]

FACES = {
    "spamd": "mtspam.serve.spamd.server",
    "http": "mtspam.serve.http.server",
    CONTROL: "mtspam.serve.http.server",
    "milter": "mtspam.serve.milter.server",
    "lmtp": "mtspam.serve.lmtp.server",
    f"spamd{ENCRYPTED}": "mtspam.serve.spamd.server",
    f"http{ENCRYPTED}": "mtspam.serve.http.server",
}
"""The module of each face, by the name that its listening sockets have."""

_Start = Callable[[Service, socket, Settings], Awaitable[Face]]


def places_of(settings: Settings, state: Path) -> dict[str, tuple[Place, ...]]:
    """Return where each face is to listen; a face that is off listens nowhere.

    Raises
    ------
    ConfigError
        Where a place is no place; the text names the setting.
    """
    places = {}
    for name in FACES:
        if name != CONTROL:
            key = setting_of(name)
            section, _, field = key.partition(".")
            places[name] = parse_places(getattr(getattr(settings, section), field), key)
    control = settings.http.control
    places[CONTROL] = (Place(path=str(state / control)),) if control else ()
    return places


async def start_face(name: str, service: Service, sock: socket, settings: Settings) -> Face:
    """Let a face answer on a socket that is bound and listening."""
    module = import_module(FACES[name])
    start: _Start = module.start_encrypted if name.endswith(ENCRYPTED) else module.start
    if name == "http":
        start = module.start_untrusted  # systemd may give it a path like the control socket's
    return await start(service, sock, settings)
