"""Messages out of a tar archive, read from front to back in memory; nothing is ever extracted."""

import io
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from mtspam.mail.sources.mbox import read_stream
from mtspam.mail.sources.opening import naming_errors, peekable, printable

__all__ = ["is_tar", "read_tar"]

_MAGIC = slice(257, 262)
# Long names and the like come in headers of their own, which tarfile reads whole and by recursion.
_EXTENSIONS = frozenset(b"gxKLX")
_MAX_EXTENSION_BYTES = 1_000_000
_MAX_EXTENSIONS = 8


def is_tar(head: bytes) -> bool:
    """Tell whether a stream with this beginning is a tar archive; archives before 1988 are not."""
    return head[_MAGIC] == b"ustar"


class _Member(tarfile.TarInfo):
    """A member whose header is bounded, and whose damage is not taken for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(str(error)) from error
            raise
        if member.type[0] in _EXTENSIONS and member.size > _MAX_EXTENSION_BYTES:
            raise tarfile.ReadError(f"a header of {member.size} bytes")
        return member

    @classmethod
    def fromtarfile(cls, tarfile: "_Archive") -> Self:  # type: ignore[override]  # only _Archive makes members of this class
        with tarfile.nested_header():
            return super().fromtarfile(tarfile)


class _Archive(tarfile.TarFile):
    """An archive that bounds how many headers a member may have before its own."""

    tarinfo = _Member
    _depth = 0

    @contextmanager
    def nested_header(self) -> Iterator[None]:
        if self._depth > _MAX_EXTENSIONS:
            raise tarfile.ReadError("too many headers before a member")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        yield member
        # tarfile remembers all members otherwise, and memory grows with the archive.
        archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out


def read_tar(stream: io.BufferedReader, name: str, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield the names and messages of an archive's files, in the archive's order.

    Links, devices and folders are passed over, as are files whose names begin with a dot. A file
    that is an mbox gives all its messages.

    Parameters
    ----------
    stream
        At its beginning, already unpacked.
    name
        What the archive is called.
    max_bytes
        Bytes of each message that are kept.

    Raises
    ------
    DataError
        If the archive is damaged or cut off.
    """
    with (
        naming_errors(name),
        _Archive.open(fileobj=stream, mode="r|") as archive,
    ):
        for member in _members(archive):
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or posixpath.basename(member.name).startswith("."):
                continue
            member_name = f"{name}:{printable(member.name)}"
            with naming_errors(member_name):
                yield from read_stream(peekable(content), member_name, max_bytes)
