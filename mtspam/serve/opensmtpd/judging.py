"""Judges in this process, where no service answers: one message at a time, in a thread."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from mtspam.config import Settings
from mtspam.serve.contract import Envelope, Service
from mtspam.serve.local import open_local_judge
from mtspam.serve.opensmtpd.message import Decision

__all__ = ["LocalJudge"]

LOOK_SECONDS = 10.0
"""How often it is looked whether the state has changed."""


class LocalJudge:
    """Decides by the state on the disk, as it was when last looked at.

    Parameters
    ----------
    state
        The state directory.
    settings
        All settings.
    """

    def __init__(self, state: Path, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        # What is opened in one thread is used in no other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mtspam-judge")
        self._exits = ExitStack()
        self._service: Service | None = None
        self._seen: tuple[int, ...] = ()
        self._looked_seconds = 0.0

    async def decide(self, raw: bytes, envelope: Envelope) -> Decision:
        """Return what is to become of a message.

        Raises
        ------
        MtspamError
            Where the state cannot be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._decide, raw, envelope)

    def _decide(self, raw: bytes, envelope: Envelope) -> Decision:
        ruling = self._newest().rule_together(raw, envelope)
        return Decision.of(ruling.action, ruling.fields, ruling.subject, ruling.text)

    def _newest(self) -> Service:
        """Return a service over the state, opened anew where the state has changed."""
        now = time.monotonic()
        if self._service is not None and now - self._looked_seconds < LOOK_SECONDS:
            return self._service
        seen = self._look()
        if self._service is None or seen != self._seen:
            self._exits.close()
            self._service = None
            self._service = self._exits.enter_context(
                open_local_judge(self._state, self._settings)
            )
            self._seen = seen
        self._looked_seconds = now
        return self._service

    def _look(self) -> tuple[int, ...]:
        found: list[int] = []
        for name in ("journal.sqlite", "journal.sqlite-wal", "model.snapshot"):
            try:
                facts = (self._state / name).stat()
            except OSError:
                continue
            found += (facts.st_mtime_ns, facts.st_size)
        return tuple(found)
