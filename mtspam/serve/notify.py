"""Telling systemd how we are, without a library: one datagram a message."""

import os
import socket
import time
from collections.abc import Mapping

__all__ = ["Notifier"]

_MICROSECONDS = 1_000_000


class Notifier:
    """Speaks to whoever started us and asked to be told; to nobody otherwise.

    Parameters
    ----------
    environment
        ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` are looked up in it.

    Examples
    --------
    >>> Notifier({}).tell("READY=1")
    >>> Notifier({"WATCHDOG_USEC": "30000000"}).watchdog_seconds
    30.0
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        asked = environment.get("WATCHDOG_USEC", "")
        is_for_us = environment.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        self.watchdog_seconds = (
            int(asked) / _MICROSECONDS if is_for_us and asked.isdigit() else 0.0
        )
        """A sign of life is expected at least so often; 0: never."""

    def tell(self, *assignments: str) -> None:
        """Send assignments such as ``READY=1``; that nobody listens is no error."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(1.0)
            try:
                sock.sendto("\n".join(assignments).encode(), address)
            except OSError:
                return

    def tell_reloading(self) -> None:
        """Say that settings are read again; ``READY=1`` is to follow."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
