"""From bytes to the features of a message, and from sources to messages."""
