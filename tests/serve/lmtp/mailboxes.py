"""A small mailbox server over LMTP or SMTP for tests, which can be told to misbehave."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Mailboxes", "listening", "mailboxes_at"]


def listening(family=socket.AF_INET, place=("127.0.0.1", 0)):
    """Return a socket that is bound and listening."""
    sock = socket.socket(family)
    sock.bind(place)
    sock.listen()
    sock.setblocking(False)
    return sock


@dataclass
class Mailboxes:
    """What was delivered, and how to misbehave.

    Parameters
    ----------
    unknown
        Recipients that are refused when they are named.
    answers
        What is said after a message to recipients; the others' mail is stored.
    hang_up_at
        Verbs or lines at which the connection is dropped, each once; ``END``: after a message was
        stored, before the answers; ``END 1``: after one answer.
    silent_at
        A verb that is never answered.
    may_answer
        What is waited for after a message was stored, before the answers.
    """

    is_lmtp: bool = True
    offered: tuple[str, ...] = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")
    unknown: set[str] = field(default_factory=set)
    answers: dict[str, str] = field(default_factory=dict)
    hang_up_at: list[str] = field(default_factory=list)
    silent_at: str = ""
    may_answer: asyncio.Event | None = None
    stored: list[tuple[str, bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    n_connections: int = 0
    tasks: list[asyncio.Task] = field(default_factory=list)

    def of(self, recipient):
        """Return the messages that one recipient got."""
        return [raw for name, raw in self.stored if name == recipient]

    def serve(self, reader, writer):
        """Serve one connection."""
        self.n_connections += 1
        self.tasks.append(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader, writer):
        writer.write(b"220 mailboxes\r\n")
        recipients = []
        try:
            while await self._command(reader, writer, recipients):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _command(self, reader, writer, recipients):
        """Answer one command; return whether to go on."""
        line = (await reader.readuntil(b"\n")).decode().rstrip("\r\n")
        verb = line.partition(" ")[0].upper()
        self.commands.append(line)
        for asked in (verb, line):
            if asked in self.hang_up_at:
                self.hang_up_at.remove(asked)
                return False
        if verb == self.silent_at:
            await asyncio.Event().wait()
        if verb == "DATA":
            return await self._data(reader, writer, recipients)
        writer.write(self._answer(verb, line, recipients).encode() + b"\r\n")
        return verb != "QUIT"

    def _answer(self, verb, line, recipients):
        if verb == ("LHLO" if self.is_lmtp else "EHLO"):
            words = ["mailboxes", *self.offered]
            return "".join(f"250-{word}\r\n" for word in words[:-1]) + f"250 {words[-1]}"
        if verb == "RCPT":
            address = line.partition("<")[2].partition(">")[0]
            if address in self.unknown:
                return "550 5.1.1 Nobody of that name"
            recipients.append(address)
            return "250 2.1.5 Ok"
        if verb in ("MAIL", "RSET"):
            recipients.clear()
        known = {"MAIL": "250 2.1.0 Ok", "RSET": "250 2.0.0 Ok", "QUIT": "221 2.0.0 Bye"}
        return known.get(verb, "500 5.5.1 What?")

    async def _data(self, reader, writer, recipients):
        writer.write(b"354 Go on\r\n")
        lines = []
        while (line := await reader.readuntil(b"\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        raw = b"".join(lines)
        for name in recipients:
            if self.answers.get(name, "2").startswith("2"):
                self.stored.append((name, raw))
        if self.may_answer is not None:
            await self.may_answer.wait()
        for at, name in enumerate(recipients if self.is_lmtp else recipients[:1]):
            stage = f"END {at}" if at else "END"
            if stage in self.hang_up_at:
                self.hang_up_at.remove(stage)
                await writer.drain()
                return False
            writer.write(self.answers.get(name, "250 2.0.0 Stored").encode() + b"\r\n")
        recipients.clear()
        return True


@asynccontextmanager
async def mailboxes_at(mailboxes, sock):
    """Let mailboxes be delivered to at a socket."""
    server = await asyncio.start_server(mailboxes.serve, sock=sock)
    try:
        yield
    finally:
        server.close()
        for task in mailboxes.tasks:
            task.cancel()
        await asyncio.gather(*mailboxes.tasks, return_exceptions=True)
