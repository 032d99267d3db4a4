"""TLS for protocols whose client says that it has said all, and then waits for the answer.

The encryption of event loops ends a connection when either side has ended its own half.
"""

import asyncio
import contextlib
import ssl
from typing import Any, cast

from mtspam.serve.encryption import HANDSHAKE_SECONDS

__all__ = ["HalfClosing"]

_READ_BYTES = 1 << 16


class HalfClosing(asyncio.Protocol):
    """Decrypts what comes for a protocol, and encrypts what it sends.

    Parameters
    ----------
    inner
        Gets its connection once the encryption is agreed on.
    context
        How to encrypt.
    """

    def __init__(self, inner: asyncio.Protocol, context: ssl.SSLContext) -> None:
        self.arriving, self.leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.arriving, self.leaving, server_side=True)
        self._inner = inner
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._is_agreed = False
        self._is_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client to agree, for a time."""
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HANDSHAKE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Decrypt."""
        self.arriving.write(data)
        try:
            self._go_on()
        except ssl.SSLError:
            self.flush()  # it says what was wrong
            self._transport.close()

    def eof_received(self) -> bool:
        """Pass on the end of the client's half, however it was said."""
        if not self._is_agreed:
            return False
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_agreed:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._is_agreed:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._is_agreed:
            self._inner.resume_writing()

    def flush(self) -> None:
        """Send what is encrypted."""
        if self.leaving.pending and not self._transport.is_closing():
            self._transport.write(self.leaving.read())

    def _go_on(self) -> None:
        if not self._is_agreed and not self._agree():
            return
        while not self._transport.is_closing():
            try:
                data = self.session.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self._end()
                break
            self._inner.data_received(data)
        self.flush()

    def _agree(self) -> bool:
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        self._is_agreed = True
        self._inner.connection_made(_Encrypting(self, self._transport))
        return True

    def _end(self) -> None:
        if self._is_ended:
            return
        self._is_ended = True
        if not self._inner.eof_received():
            self._transport.close()


class _Encrypting(asyncio.Transport):
    """What the protocol writes to."""

    def __init__(self, outer: HalfClosing, transport: asyncio.Transport) -> None:
        super().__init__()
        self._outer = outer
        self._transport = transport

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if data and not self._transport.is_closing():
            self._outer.session.write(data)
            self._outer.flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._say_end()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        self._say_end()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def _say_end(self) -> None:
        # It waits for the other's end; ours is said by then.
        with contextlib.suppress(ssl.SSLError):
            self._outer.session.unwrap()
        self._outer.flush()
