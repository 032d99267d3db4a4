"""From the paths that a user names to raw messages. What a message means is told elsewhere."""

from mtspam.mail.sources.reader import count_hint, read_messages
from mtspam.mail.sources.records import SourceMessage, SourceOptions

__all__ = ["SourceMessage", "SourceOptions", "count_hint", "read_messages"]
