"""Learning from what people do with mail in their Maildirs: into Junk, and out of it."""
