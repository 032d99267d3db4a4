"""Logs: one line each on standard error, ``key=value``; never text of a message nor an address."""

import logging
import os
import sys
import time
from functools import lru_cache

__all__ = ["LogLines", "quoted", "set_up_logs", "stamp"]

_STANDARD = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime", "taskName"}
)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+@[],")


class LogLines(logging.Formatter):
    """Writes a record as ``time= level= from= pid= msg=`` and whatever ``extra`` it has.

    Examples
    --------
    >>> record = logging.makeLogRecord({"name": "mtspam.serve.x", "msg": "so it is", "n": 3})
    >>> LogLines().format(record).partition(" pid=")[2].partition(" ")[2]
    'msg="so it is" n=3'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        parts = [
            stamp(record.created),
            f"level={record.levelname.lower()}",
            f"from={record.name.removeprefix('mtspam.').removeprefix('serve.')}",
            f"pid={os.getpid()}",
            f"msg={quoted(record.getMessage())}",
        ]
        parts += [
            f"{name}={quoted(str(value))}"
            for name, value in record.__dict__.items()
            if name not in _STANDARD
        ]
        if record.exc_info:
            parts.append(f"trace={quoted(self.formatException(record.exc_info))}")
        return " ".join(parts)


def stamp(moment: float) -> str:
    """Write a moment as all lines begin.

    Examples
    --------
    >>> stamp(0.25)
    'time=1970-01-01T00:00:00.250Z'
    """
    return f"time={_second(int(moment // 1))}.{int(moment % 1 * 1000):03d}Z"


@lru_cache(maxsize=1)
def _second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


def quoted(text: str) -> str:
    """Quote a value where it must be; whatever is in it, it stays on its line."""
    if text and _PLAIN.issuperset(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in escaped
    )
    return f'"{escaped}"'


def set_up_logs(level: str) -> None:
    """Send what this program logs to standard error.

    Parameters
    ----------
    level
        ``debug``, ``info``, ``warning`` or ``error``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("mtspam").setLevel(level.upper())
    logging.raiseExceptions = False  # that nobody reads the log must not end in tracebacks
