"""An HTTP request put together from pieces, sans I/O, as quickly as Python can."""

from collections.abc import Collection

import httptools

from mtspam.serve.http.messages import Arrived, RefusedError

__all__ = ["MAX_HEAD_BYTES", "HttpReader", "hot_target"]

MAX_HEAD_BYTES = 65_536
"""Bytes that the header of a request may have, and what trails its body."""

_WORDS_OF_FIRST_LINE = 3


def hot_target(first_line: bytes, paths: Collection[bytes]) -> bool:
    """Tell whether the first line of a request is HTTP and asks for one of the paths."""
    words = first_line.split(b" ")
    if len(words) != _WORDS_OF_FIRST_LINE or not words[2].startswith(b"HTTP/1."):
        return False
    # What is asked by other means than these is for the framework to refuse.
    return words[0] in (b"POST", b"GET") and words[1].partition(b"?")[0] in paths


class HttpReader:
    """Takes one request in pieces.

    Parameters
    ----------
    limit
        The most bytes that a body may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._request = Arrived(b"")
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._n_head_bytes = 0
        self._is_head_over = False
        self._is_complete = False
        self._refusal: RefusedError | None = None
        self.n_buffered = 0
        self.wants_continue = False
        self.is_pipelined = False

    def feed(self, data: bytes) -> Arrived | None:
        """Take bytes; return the request once it is complete.

        Raises
        ------
        RefusedError
            Where it is malformed or too large.
        """
        if not self._is_head_over:
            self._n_head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.is_pipelined = True  # what follows is no HTTP that we speak
        except httptools.HttpParserError as problem:
            # Bytes behind a request that said it was the last are nobody's business.
            if not self._is_complete:
                raise self._refusal or RefusedError(400, "the request is no HTTP") from problem
        if self._refusal is not None:
            raise self._refusal
        if self._n_head_bytes > MAX_HEAD_BYTES and not self._is_complete:
            raise RefusedError(431, "the header is too long")
        if not self._is_complete:
            return None
        self._request.body = bytes(self._body)
        return self._request

    def end(self) -> Arrived | None:
        """Take the end of the stream; it completes nothing."""
        return None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Note a request behind a complete one."""
        self.is_pipelined = self._is_complete

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        if not self._is_complete:
            self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        if self._is_complete:
            return
        if self._is_head_over:  # a trailer: it must not say what the header did not
            self._n_head_bytes += len(name) + len(value)
            return
        name = name.lower()
        self._request.fields.append((name, value))
        if name == b"content-length":
            if value.isdigit() and int(value) > self._limit:
                self._refuse_size()
        elif name == b"connection":
            self._request.keeps_alive = b"keep-alive" in value.lower()
        elif name == b"expect":
            self.wants_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Take the end of the header."""
        self._is_head_over = True
        self._n_head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._is_complete:
            return
        self.n_buffered += len(body)
        if self.n_buffered > self._limit:
            self._refuse_size()
        if self._refusal is None:
            self._body += body  # pieces of a byte or two, kept apart, would take many times that

    def on_message_complete(self) -> None:
        """Take the end of the request."""
        self._is_complete = True

    def _refuse_size(self) -> None:
        self._refusal = RefusedError(413, f"the body must not have more than {self._limit} bytes")
