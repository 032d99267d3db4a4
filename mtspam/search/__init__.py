"""Queries and documents: what is known of them and of what people did with them.

Nothing here learns: that is `mtspam.model` and `mtspam.ranking`.
"""
