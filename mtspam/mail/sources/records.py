"""What a source gives, and how it is to be read."""

from dataclasses import dataclass

from mtspam.errors import ConfigError

__all__ = ["SourceMessage", "SourceOptions"]


@dataclass(frozen=True, slots=True)
class SourceMessage:
    """A message as it was found.

    Parameters
    ----------
    name
        Where it was found: ``path``, ``archive:member``, ``mbox:number`` or ``table:row``, numbers
        from 1. Control bytes and bytes that are no UTF-8 are written as escapes.
    raw
        Its bytes, the first `SourceOptions.max_message_bytes` of them.
    user
        Whose message it is; None unless a table says so.
    """

    name: str
    raw: bytes
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How sources are read.

    Parameters
    ----------
    message_column
        Column of a table that holds the raw messages; by default the first that exists of
        ``raw``, ``message``, ``email``, ``content``.
    user_column
        Column of a table that holds the users; by default ``user`` where there is one.
    max_message_bytes
        Bytes of a message that are read, at least 1; the rest is passed over.

    Raises
    ------
    ConfigError
        If `max_message_bytes` is below 1.
    """

    message_column: str | None = None
    user_column: str | None = None
    max_message_bytes: int = 50_000_000

    def __post_init__(self) -> None:
        if self.max_message_bytes < 1:
            raise ConfigError(
                f"max_message_bytes must be at least 1, got {self.max_message_bytes}"
            )
