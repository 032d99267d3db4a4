"""LMTP between a mail server and its mailboxes: every recipient gets their own verdict."""
