"""What the process tells its caller when it ends."""

from enum import IntEnum

from mtspam.errors import (
    ConfigError,
    DataError,
    JournalError,
    ModelError,
    MtspamError,
    ServiceError,
)

__all__ = ["EXIT_TEXTS", "Exit", "exit_of"]


class Exit(IntEnum):
    """Exit codes; what they mean stands in `EXIT_TEXTS`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INPUT = 3
    STATE = 4
    SETTINGS = 5
    FAILED_WORK = 6
    SERVICE = 7
    BUG = 70
    TEMPFAIL = 75
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


EXIT_TEXTS: dict[Exit, str] = {
    Exit.OK: "all went well",
    Exit.FAILED: (
        "the answer is no: a check did not hold (fold --check), there was nothing to take back, "
        "an id is not known; or it is spam (filter -c)"
    ),
    Exit.USAGE: "the command was called wrongly",
    Exit.INPUT: "an input or output file is missing, unreadable, malformed or full",
    Exit.STATE: "the state cannot be read or written, or is of a newer version",
    Exit.SETTINGS: "a setting is unknown or out of range",
    Exit.FAILED_WORK: "the work could not begin or broke off: an address is taken, a worker died",
    Exit.SERVICE: "the service is not running, or refused what it was asked",
    Exit.BUG: "a defect of mtspam itself",
    Exit.TEMPFAIL: "there is no verdict (filter --fail tempfail): to be tried again later",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
    Exit.BROKEN_PIPE: "the reader of the output went away",
    Exit.TERMINATED: "terminated (SIGTERM)",
}
"""What each exit code means, for people."""


def exit_of(error: MtspamError) -> Exit:
    """Return the exit code of an error raised on purpose."""
    if isinstance(error, DataError):
        return Exit.INPUT
    if isinstance(error, ConfigError):
        return Exit.SETTINGS
    if isinstance(error, JournalError | ModelError):
        return Exit.STATE
    if isinstance(error, ServiceError):
        return Exit.SERVICE
    return Exit.FAILED_WORK
