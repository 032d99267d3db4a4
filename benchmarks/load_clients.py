"""Clients that put load on the service: rspamd's HTTP and spamd's protocol, many at once."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import uvloop

__all__ = ["Job", "Load", "Outcome", "put_load"]

_SECONDS = 60.0
_RETRIES = 100
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to ask.

    Parameters
    ----------
    raw
        The message.
    user
        Whose.
    label
        ``spam`` or ``ham``, to be learnt; None: to be judged.
    """

    raw: bytes
    user: str
    label: str | None = None


@dataclass
class Outcome:
    """What became of all jobs.

    Parameters
    ----------
    latencies
        Seconds of each message judged, over each protocol.
    learnt
        Jobs whose label was acknowledged.
    errors
        What went wrong, in words.
    n_again
        How often a job was given again.
    seconds
        How long all took.
    """

    latencies: dict[str, list[float]] = field(default_factory=lambda: {"http": [], "spamd": []})
    learnt: list[Job] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    n_again: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How the load is put on.

    Parameters
    ----------
    http_port, spamd_port
        Where the faces are.
    n_http, n_spamd
        Connections: those of HTTP are kept open, spamd's protocol takes a new one for a message.
    rate
        Messages a second, over all; None: each connection asks again as soon as it is answered.
    is_patient
        Whether what fails is given again, as a mail server would; else it is an error.
    on_done
        Called after each job.
    """

    http_port: int
    spamd_port: int
    n_http: int
    n_spamd: int
    rate: float | None = None
    is_patient: bool = False
    on_done: Callable[[int], None] | None = None


def put_load(jobs: Iterator[Job], load: Load) -> Outcome:
    """Run all jobs, as many at once as there are connections."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(jobs, load))


class _Pace:
    """Gives out jobs, each at its time."""

    def __init__(self, jobs: Iterator[Job], rate: float | None) -> None:
        self._jobs = jobs
        self._step = 1.0 / rate if rate else 0.0
        self._next = time.perf_counter()
        self.n_done = 0

    async def take(self) -> tuple[Job, float] | None:
        """Return the next job and the moment from which its latency counts."""
        job = next(self._jobs, None)
        if job is None:
            return None
        if not self._step:
            return job, time.perf_counter()
        due = self._next
        self._next += self._step
        pause = due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        # Waiting for a free connection counts: otherwise a slow service would be asked less.
        return job, due


async def _run(jobs: Iterator[Job], load: Load) -> Outcome:
    outcome = Outcome()
    pace = _Pace(jobs, load.rate)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(load.n_http):
            group.create_task(_drive(_Http(load.http_port), pace, load, outcome))
        for _ in range(load.n_spamd):
            group.create_task(_drive(_Spamd(load.spamd_port), pace, load, outcome))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _drive(client: "_Http | _Spamd", pace: _Pace, load: Load, outcome: Outcome) -> None:
    teacher = client if isinstance(client, _Spamd) else _Spamd(load.spamd_port)
    while (taken := await pace.take()) is not None:
        job, began = taken
        who: _Http | _Spamd = client if job.label is None else teacher
        for attempt in range(_RETRIES if load.is_patient else 1):
            try:
                async with asyncio.timeout(_SECONDS):
                    await who.ask(job)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                client.close()
                if attempt + 1 == (_RETRIES if load.is_patient else 1):
                    outcome.errors.append(f"{who.name}: {error!r}")
                else:
                    outcome.n_again += 1
                    await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if job.label is None:
                outcome.latencies[client.name].append(time.perf_counter() - began)
            else:
                outcome.learnt.append(job)
            break
        pace.n_done += 1
        if load.on_done is not None:
            load.on_done(pace.n_done)
    client.close()


class _Http:
    """A connection to rspamd's endpoints that is kept open."""

    name = "http"

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, job: Job) -> None:
        """Have a message judged."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = (
            f"POST /checkv2 HTTP/1.1\r\nHost: localhost\r\nRcpt: {job.user}\r\n"
            f"Connection: keep-alive\r\nContent-Length: {len(job.raw)}\r\n\r\n"
        )
        self._writer.write(head.encode() + job.raw)
        reply = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"content-length: (\d+)", reply, re.IGNORECASE)
        if not reply.startswith("HTTP/1.1 200 ") or length is None:
            raise ValueError(reply)
        body = json.loads(await self._reader.readexactly(int(length[1])))
        if "score" not in body or "action" not in body:
            raise ValueError(str(body))

    def close(self) -> None:
        """Let go of the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class _Spamd:
    """Asks by spamd's protocol, a connection a message."""

    name = "spamd"

    def __init__(self, port: int) -> None:
        self._port = port

    async def ask(self, job: Job) -> None:
        """Have a message judged, or teach it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            verb = "CHECK SPAMC/1.5\r\n"
            if job.label is not None:
                verb = f"TELL SPAMC/1.5\r\nMessage-class: {job.label}\r\nSet: local\r\n"
            head = f"{verb}User: {job.user}\r\nContent-length: {len(job.raw)}\r\n\r\n"
            writer.write(head.encode() + job.raw)
            reply = await reader.read()
            wanted = b"Spam: " if job.label is None else b"SPAMD/1.1 0 "
            if wanted not in reply:
                raise ValueError(reply.decode("latin-1"))
        finally:
            writer.close()

    def close(self) -> None:
        """Nothing is kept open."""
