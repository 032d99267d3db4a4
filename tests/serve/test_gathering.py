"""Who was let in just before the end is answered, whether or not it was heard by then."""

import asyncio
import threading

import pytest

from tests.serve.http.conftest import request
from tests.serve.http.conftest import serving as serving_http
from tests.serve.local_service import PILLS, SECONDS
from tests.serve.spamd.conftest import scan
from tests.serve.spamd.conftest import serving as serving_spamd


async def _let_in(open_connections):
    while not open_connections:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("serving", "open_in", "asked", "answer"),
    [
        (
            serving_spamd,
            lambda face: face.connections,
            scan("CHECK", PILLS),
            b"SPAMD/1.1 0 EX_OK",
        ),
        (
            serving_http,
            lambda face: face._connections._open,
            request("/checkv2", PILLS),
            b"HTTP/1.1 200 ",
        ),
    ],
    ids=["spamd", "http"],
)
def test_what_was_asked_right_before_the_end_is_answered(
    tmp_path, serving, open_in, asked, answer
):
    with serving(tmp_path) as running:
        face, has_asked = running.faces[0], threading.Event()
        with running.connect() as client:
            running.in_loop(_let_in(open_in(face)))
            running.loop.call_soon_threadsafe(has_asked.wait, SECONDS)
            # The loop reads nothing meanwhile: it closes before it has heard of the request.
            closing = asyncio.run_coroutine_threadsafe(face.close(SECONDS), running.loop)
            client.sendall(asked)
            has_asked.set()
            assert client.recv(65_536).startswith(answer)
        closing.result(SECONDS)
