"""A layer around the application that lets a client say all before it hears an early answer."""

import asyncio
import logging

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.types.asgi_types import HTTPReceiveMessage, WebSocketReceiveMessage

from mtspam.serve.http.connections import LINGER_SECONDS

__all__ = ["HearsOut"]

_log = logging.getLogger(__name__)


class HearsOut:
    """Takes in what is left of a request's body before the answer begins.

    A connection that is closed with bytes unread takes its answer back: a client that is still
    sending would see nothing but a broken pipe, and never learn what was wrong.

    Parameters
    ----------
    app
        What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        # Who asks whether to send the body does not send it before it is asked for.
        is_all_heard = any(name == b"expect" for name, _ in scope["headers"])

        async def hear() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            nonlocal is_all_heard
            event = await receive()
            is_all_heard = event["type"] != "http.request" or not event.get("more_body", False)
            return event

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_all_heard:
                try:
                    async with asyncio.timeout(LINGER_SECONDS):
                        while not is_all_heard:
                            await hear()
                except TimeoutError:
                    _log.info("a client went on sending what was refused")
            await send(message)

        await self._app(scope, hear, answer)
