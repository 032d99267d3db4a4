"""A relay on TCP whose way back is slow: what is answered there is done before anybody hears."""

import asyncio
import contextlib
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.hosts.processes import free_port, running

__all__ = ["slow_relay"]

PIECE_BYTES = 65_536


@contextmanager
def slow_relay(port, seconds, log):
    """Relay to a port of the loopback address; yield the port of the relay.

    Parameters
    ----------
    port
        Where to.
    seconds
        How long each piece waits on its way back.
    log
        Where the relay's own complaints go.
    """
    ours = free_port()
    command = [sys.executable, "-m", "tests.hosts.relay", str(ours), str(port), str(seconds)]
    with running(command, log, place=ours, cwd=Path(__file__).parents[2]):
        yield ours


async def _pass_on(reader, writer, seconds):
    with contextlib.suppress(OSError):
        while data := await reader.read(PIECE_BYTES):
            await asyncio.sleep(seconds)
            writer.write(data)
            await writer.drain()
    writer.close()


async def _relay(ours, port, seconds):
    async def connected(reader, writer):
        try:
            behind = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            _pass_on(reader, behind[1], 0.0), _pass_on(behind[0], writer, seconds)
        )

    server = await asyncio.start_server(connected, "127.0.0.1", ours)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
