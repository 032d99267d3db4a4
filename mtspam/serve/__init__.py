"""The service: one supervisor, one writer, many workers, and a face for each protocol.

Nothing here decides about mail itself: that is `mtspam.spam`. Each protocol has a codec without
input and output, and a small server around it that asks a `Service`.
"""
