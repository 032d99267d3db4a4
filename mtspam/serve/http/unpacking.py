"""Bodies that were sent compressed or in parts, unpacked within limits."""

import sys
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
from multipart import (  # type: ignore[import-untyped]  # ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from mtspam.serve.http.messages import MOST_DIGITS, Fields, RefusedError, first_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Package", "message_of", "unpack_parts"]

_MAX_PARTS = 16
_MAX_METADATA_BYTES = 65_536
_PLAIN = frozenset({b"", b"identity"})


def message_of(fields: Fields, body: bytes, limit: int) -> bytes:
    """Return the message in a request's body, unpacked as its header fields say.

    Parameters
    ----------
    limit
        The most bytes that a message may have once it is unpacked.

    Raises
    ------
    RefusedError
        Where the packing is unknown, broken or holds more than `limit`.
    """
    for name in (b"content-encoding", b"compression"):
        packing = (first_of(fields, name) or b"").strip().lower()
        if packing not in _PLAIN:
            body = _unpacked(packing, body, limit)
    offset = first_of(fields, b"message-offset")
    if offset is None:
        return body
    if not offset.isdigit() or len(offset) > MOST_DIGITS:
        raise RefusedError(400, "Message-Offset must be a whole number")
    return body[int(offset) :]


def _unpacked(packing: bytes, body: bytes, limit: int) -> bytes:
    try:
        data, is_whole = _inflated(packing, body, limit + 1)
    except (zlib.error, zstd.ZstdError, EOFError) as problem:
        raise RefusedError(400, "the body is not packed as its header says") from problem
    if len(data) > limit:
        raise RefusedError(413, f"the body must not have more than {limit} bytes unpacked")
    if not is_whole:
        raise RefusedError(400, "the packed body ends too early")
    return data


def _inflated(packing: bytes, body: bytes, most: int) -> tuple[bytes, bool]:
    """Return at most so many bytes, and whether the packed stream ended."""
    if packing == b"zstd":
        unpacker = zstd.ZstdDecompressor()
        data = unpacker.decompress(body, most)
        return data, unpacker.eof
    if packing not in (b"gzip", b"x-gzip", b"deflate"):
        raise RefusedError(415, "packing must be one of gzip, deflate, zstd")
    try:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # zlib's or gzip's frame
        data = inflater.decompress(body, most)
    except zlib.error:
        inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # some clients deflate without one
        data = inflater.decompress(body, most)
    return data, inflater.eof


@dataclass(frozen=True, slots=True)
class Package:
    """The parts of a request to ``/checkv3``: what is known of a message, as fields, and it."""

    fields: Fields
    message: bytes


def unpack_parts(fields: Fields, body: bytes) -> Package:
    """Part a form of ``metadata`` (a JSON object) and ``message``.

    Raises
    ------
    RefusedError
        Where it is no such form.
    """
    content_type = (first_of(fields, b"content-type") or b"").decode("latin-1")
    kind, options = parse_options_header(content_type)
    if kind.lower() != "multipart/form-data" or not options.get("boundary"):
        raise RefusedError(415, "the body must be multipart/form-data")
    try:
        parts = _parts(options["boundary"], body)
    except (MultipartError, UnicodeError) as problem:
        raise RefusedError(400, "the form cannot be parted") from problem
    if "message" not in parts:
        raise RefusedError(400, "the form must have a part called message")
    return Package(_metadata(parts.get("metadata", b"")), parts["message"])


def _parts(boundary: str, body: bytes) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    chunks: list[bytes] = []
    name = ""
    with PushMultipartParser(boundary, max_segment_count=_MAX_PARTS) as parser:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                name, chunks = event.name, []
            elif event is None:
                parts.setdefault(name, b"".join(chunks))
            else:
                chunks.append(bytes(event))
    return parts


def _metadata(data: bytes) -> Fields:
    if not data.strip():
        return []
    if len(data) > _MAX_METADATA_BYTES:
        raise RefusedError(413, f"metadata must not have more than {_MAX_METADATA_BYTES} bytes")
    try:
        values: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise RefusedError(400, "metadata must be a JSON object") from problem
    fields: Fields = []
    for key, value in values.items():
        name = key.lower().replace("_", "-").encode("utf-8", "replace")
        several = value if isinstance(value, list) else [value]
        texts = [str(one) for one in several if isinstance(one, str | int | float)]
        fields += [(name, text.encode("utf-8", "replace")) for text in texts]
    return fields
