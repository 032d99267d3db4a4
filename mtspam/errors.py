"""Every error that mtspam raises on purpose.

::

    MtspamError
    ├── ConfigError     a setting is unknown, out of range or contradictory (also ValueError)
    ├── DataError       an input file is missing, unreadable or malformed   (also ValueError)
    ├── ModelError      the model cannot do what was asked
    │   ├── NotFittedError
    │   └── SnapshotError   a snapshot is torn, foreign or not there
    │       └── NewerSnapshotError  a snapshot is of a newer program than this one
    ├── JournalError    the journal cannot be read or written
    │   └── StateLockedError    another process is writing to the state
    ├── ProtocolError   a peer broke a protocol
    └── ServiceError    the running service is not there, or refused what it was asked

Hostile mail is no error: it becomes defects of a message, and the verdict is still given.
"""

__all__ = [
    "ConfigError",
    "DataError",
    "JournalError",
    "ModelError",
    "MtspamError",
    "NewerSnapshotError",
    "NotFittedError",
    "ProtocolError",
    "ServiceError",
    "SnapshotError",
    "StateLockedError",
]


class MtspamError(Exception):
    """Base of every error raised on purpose; its text is fit to be shown to a user."""


class ConfigError(MtspamError, ValueError):
    """A setting is unknown, out of range or contradicts another."""


class DataError(MtspamError, ValueError):
    """An input is missing, unreadable or malformed; the text names file and line."""


class ModelError(MtspamError):
    """The model cannot do what was asked of it."""


class NotFittedError(ModelError):
    """The model has seen no label and has no starter to lean on."""


class SnapshotError(ModelError):
    """A snapshot is torn, foreign or not there; it can be rebuilt from the journal."""


class NewerSnapshotError(SnapshotError):
    """A snapshot is of a newer format: to rebuild it would undo what a newer program did."""


class JournalError(MtspamError):
    """The journal cannot be opened, read or written."""


class StateLockedError(JournalError):
    """Another process is writing to the state, such as a running service."""


class ProtocolError(MtspamError):
    """A peer sent what its protocol does not allow."""


class ServiceError(MtspamError):
    """The running service is not there, or did not do what it was asked."""
