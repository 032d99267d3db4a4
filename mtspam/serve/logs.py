"""Logs: one line each on standard error, ``key=value``; never text of a message nor an address."""

import logging
import os
import sys
from datetime import UTC, datetime

__all__ = ["LogLines", "set_up_logs"]

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
        moment = datetime.fromtimestamp(record.created, UTC)
        parts = [
            f"time={moment:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
            f"level={record.levelname.lower()}",
            f"from={record.name.removeprefix('mtspam.').removeprefix('serve.')}",
            f"pid={os.getpid()}",
            f"msg={_value(record.getMessage())}",
        ]
        parts += [
            f"{name}={_value(str(value))}"
            for name, value in record.__dict__.items()
            if name not in _STANDARD
        ]
        if record.exc_info:
            parts.append(f"trace={_value(self.formatException(record.exc_info))}")
        return " ".join(parts)


def _value(text: str) -> str:
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
